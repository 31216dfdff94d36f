"""Small files that want everything: each is refused at once, in one message, before anything is built."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.bounds import EXPECTATIONS, MATRIX, NETWORKS, NODES, PROBLEMS, STEPS, VALUE
from orchestrator.errors import InputError
from orchestrator.run.options import Options
from orchestrator.run.plan import plan_tasks
from orchestrator.scenario.matrix import cells
from tools.bounds_page import page

COMPOSE = """
services:
  client: {image: simctl/requests, depends_on: [server], networks: [lab]}
  server: {image: simctl/origin, networks: [lab], environment: {KEEPALIVE_TIMEOUT: "${A0:-5s}"}}
networks: {lab: {internal: true}}
"""
SCENARIO = "name: wants\ntopology: compose.yaml\n"
STEP = "steps: [{wait: 1s}]\n"
EXPECTATION = "{that: x, at: end, client: {TIME_WAIT: 0}}"
MOST = 64 << 20
"""Bytes of memory that refusing a small file may take."""


def refused(folder: Path, scenario: str, *, compose: str = COMPOSE, env: str = "") -> InputError:
    """What is said of these files, which took little memory. Times are not asserted: machines are busy."""
    (folder / "compose.yaml").write_text(compose)
    (folder / "wants.yaml").write_text(SCENARIO + scenario)
    if env:
        (folder / ".env").write_text(env)
    with little_memory(), pytest.raises(InputError) as caught:
        plan_tasks([str(folder / "wants.yaml")], Options(), {}, None)
        from orchestrator.run.prepare import prepare

        prepare(folder / "wants.yaml", Options())
    return caught.value


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def values(count: int) -> str:
    return f"[{', '.join(f'v{number}' for number in range(count))}]"


@pytest.mark.parametrize(("variables", "each"), [(8, 10), (20, 10), (4, 30), (1, 20_000), (1, MATRIX.limit + 1)])
def test_a_matrix_that_explodes(tmp_path: Path, variables: int, each: int) -> None:
    matrix = ", ".join(f"A{number}: {values(each)}" for number in range(variables))
    error = refused(tmp_path, f"{STEP}matrix: {{{matrix}}}\n")
    assert error.message.startswith("the matrix has ")
    assert error.place is not None and error.place.line == 4


def test_a_matrix_of_the_command_line_that_explodes() -> None:
    asked = {f"A{number}": [str(value) for value in range(10)] for number in range(10)}
    with pytest.raises(InputError, match="the matrix has more than a milliard runs"):
        cells({}, asked, ())


def test_an_expectation_of_no_run_is_found_without_building_them(tmp_path: Path) -> None:
    rest = f"{STEP}matrix: {{A0: {values(30)}, A1: {values(30)}}}\nexpect:\n"
    for unless, left in (("{A0: [v1]}", True), (f"{{A0: {values(30)}}}", False)):
        case = rest + f"  - {{that: x, only: {{A1: [v3]}}, unless: {unless}, at: end, client: {{ESTABLISHED: 0}}}}\n"
        error = refused(tmp_path, case)
        assert ("no run of the `matrix` is left for this" in error.message) is not left


def test_values_that_double(tmp_path: Path) -> None:
    lines = [f"A{number}=${{A{number + 1}}}${{A{number + 1}}}" for number in range(29, -1, -1)]
    error = refused(tmp_path, STEP, env="\n".join(["A30=" + "x" * 100, *lines]))
    assert f"{VALUE.limit} at most" in error.message
    many = "\n".join([f'A="{"x" * 60_000}"', *(f"B{number}=${{A}}y" for number in range(2000))])
    assert "come to more than" in refused(tmp_path, STEP, env=many).message


def test_values_that_are_used_again_and_again(tmp_path: Path) -> None:
    many = "\n".join(f"      X{number}: ${{A0}}y" for number in range(2000))
    compose = f"services:\n  client:\n    image: simctl/requests\n    environment:\n{many}\n"
    error = refused(tmp_path, STEP, compose=compose, env=f"A0={'x' * 60_000}")
    assert "come to more than" in str(error.problems[0])


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        (f"steps: [{', '.join(['{wait: 1s}'] * (STEPS.limit + 1))}]\n", f"at most {STEPS.limit}"),
        (
            STEP
            + f"expect: [{', '.join(['{that: x, at: end, client: {TIME_WAIT: 0}}'] * (EXPECTATIONS.limit + 1))}]\n",
            f"at most {EXPECTATIONS.limit}",
        ),
        (
            'steps: [{request: {from: client, url: "http://server/", count: 1000000000000000000000000000000}}]\n',
            "1000000",
        ),
        ('steps: [{request: {from: client, url: "http://server/", concurrency: 1000000}}]\n', "5000"),
    ],
    ids=["steps", "expectations", "count", "concurrency"],
)
def test_too_many_of_something(tmp_path: Path, rest: str, says: str) -> None:
    assert says in str(refused(tmp_path, rest).problems[0])


def test_networks(tmp_path: Path) -> None:
    names = [f"n{number}" for number in range(NETWORKS.limit + 1)]
    compose = f"services:\n  client: {{image: simctl/requests, networks: [{', '.join(names[:2])}]}}\nnetworks:\n"
    error = refused(tmp_path, STEP, compose=compose + "".join(f"  {name}: {{}}\n" for name in names))
    assert error.message == f"the topology has {NETWORKS.limit + 1} networks: {NETWORKS.limit} at most"


def test_a_long_name_of_a_step(tmp_path: Path) -> None:
    """Files are called after it."""
    assert (
        refused(tmp_path, f"steps: [{{name: {'a' * 81}, wait: 1s}}]\n").message
        == "`name`: must have at most 80 characters"
    )


def test_replicas_of_all_services_together(tmp_path: Path) -> None:
    services = "\n".join(
        f"  s{number}: {{image: simctl/origin, deploy: {{replicas: 900}}}}" for number in range(NODES.limit // 900 + 1)
    )
    assert f"{NODES.limit} at most" in refused(tmp_path, STEP, compose=f"services:\n{services}\n").message


@pytest.mark.parametrize(
    "rest",
    [
        "steps: [{wait: 1s}]\n" + "\n".join(f"key{number}: 1" for number in range(3_000)),
        "steps:\n" + "\n".join(f"  - {{wait: {number}q}}" for number in range(900)),
        "steps: [{wait: 1s}]\n" + "\n".join(f"key{number}:" for number in range(3_000)),
        "steps: [{wait: 1s}]\nexpect:\n"
        + "\n".join(f"  - {{that: x, at: end, nobody{number}: {{TIME_WAIT: 0}}}}" for number in range(900)),
        "steps: [{wait: 1s}]\nexpect:\n"
        + "\n".join(f"  - {{that: x, at: end, client: {{TIME_WAITS{number}: 0}}}}" for number in range(900)),
        "steps: [{wait: 1s}]\nexpect: [{that: x, at: end, client: "
        + f"{{{', '.join(f'k{n}: 1' for n in range(8_000))}}}}}]\n",
    ],
    ids=["keys", "durations", "nothing", "nodes", "facts", "facts-of-one-node"],
)
def test_of_very_many_problems_the_first_are_told(tmp_path: Path, rest: str) -> None:
    error = refused(tmp_path, rest)
    assert 1 < len(error.problems) <= PROBLEMS.limit
    assert error.message.startswith(f"the first {PROBLEMS.limit} problems")


def test_very_many_problems_of_a_topology(tmp_path: Path) -> None:
    keys = "\n".join(f"    key{number}: 1" for number in range(3_000))
    error = refused(tmp_path, STEP, compose=f"services:\n  client:\n    image: simctl/requests\n{keys}\n")
    assert error.message == f"the first {PROBLEMS.limit} problems in this topology"


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_file_of_variables_that_never_ends(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "f.env"
    if kind == "fifo":
        os.mkfifo(target)
    else:
        target.symlink_to("/dev/zero")
    compose = COMPOSE.replace("server: {", "server: {env_file: f.env, ")
    begun = time.monotonic()
    error = refused(tmp_path, STEP, compose=compose)
    assert "no regular file" in error.message or "outside the Compose file's folder" in error.message
    assert time.monotonic() - begun < 60


def test_the_page_says_what_the_table_does() -> None:
    path = Path(__file__).parents[2] / "docs" / "bounds.md"
    assert path.read_text(encoding="utf-8") == page(), "run: python -m tools.bounds_page > docs/bounds.md"
