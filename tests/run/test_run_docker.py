"""The main job on containers: the real command, a real engine, real servers and clients."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.engine import client as dockerengine
from orchestrator.kinds.registry import kind_names
from orchestrator.runtimes.docker import images
from orchestrator.system import resources
from orchestrator.system.linux import process_start_time
from tests.conftest import Simctl
from tests.support.live import await_line, started
from tests.support.refusals import assert_refused, contents
from tests.support.stories import assert_all_pass

if TYPE_CHECKING:
    from docker import APIClient

ALL = [*kind_names(), images.PROBE]

pytestmark = [
    pytest.mark.docker,
    pytest.mark.images("host", "jetty", "origin", "requests"),
    pytest.mark.timeout(240),
]

DEADLINE = 30.0


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    """An image that is no node kind: Debian with Python's http.server, and no init of ours as its first process."""
    client = dockerengine.connect()
    name = f"simctl-test/http-server:{os.getpid()}"
    dockerfile = f'FROM {images.base_image().reference}\nENTRYPOINT ["python3", "-um", "http.server", "8080"]\n'
    said = list(client.build(fileobj=BytesIO(dockerfile.encode()), tag=name, rm=True, decode=True))
    assert not [line for line in said if "error" in line], said
    yield name
    client.remove_image(name, force=True)
    client.close()


def outcome(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    return done.returncode, report["outcome"], report["runtime"]


# -- the stories -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["origin", "jetty"])
def test_stories(simctl: Simctl, server: str) -> None:
    assert_all_pass(simctl, "docker", server)


def test_the_leak_is_shown_with_its_owner(simctl: Simctl, tmp_path: Path) -> None:
    """CLOSE_WAIT with pid and program, as the person who searches the leak has it from netstat."""
    done = simctl("run", "server-close-wait", "-r", "docker", "-q", "-o", "runs", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    netstat = (run / "ss" / "leaked.end" / "server.netstat.txt").read_text()
    owner = re.search(r":8080 +198\.18\.\S+ +CLOSE_WAIT +(\d+)/(\S+)", netstat)
    assert owner, netstat
    assert owner[2].startswith("python3")
    ss = (run / "ss" / "leaked.end" / "server.ss.txt").read_text()
    assert re.search(rf'^CLOSE-WAIT .*users:\(\("python3",pid={owner[1]},', ss, re.MULTILINE)
    sockets = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    leaked = [one for one in sockets if one["ev"] == "socket" and one["state"] == "CLOSE_WAIT"]
    assert {(one["node"], one["comm"]) for one in leaked if one.get("pid")} == {("server", "python3")}


# -- which runtime ---------------------------------------------------------------------------------------------------


def test_auto_is_docker_when_engine_and_images_are_there(simctl: Simctl) -> None:
    done = simctl("run", "session-close", "--format", "json", timeout=120)
    assert outcome(done) == (0, "pass", "docker")
    first = done.stderr.splitlines()[0]
    assert "runtime docker: an engine answers and has the images" in first
    assert "--runtime netns" in first, "how to get the other"


@pytest.mark.netns
def test_auto_is_netns_when_an_image_is_missing(simctl: Simctl, tmp_path: Path) -> None:
    """A checkout whose server was changed needs an image that nobody has built yet."""
    checkout = tmp_path / "checkout"
    for folder in ("orchestrator", "compose", "nodes", "scenarios"):
        shutil.copytree(resources.ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (checkout / "nodes" / "origin" / "server.py").open("a") as server:
        server.write(f"# {uuid.uuid4()}\n")
    done = simctl("run", "session-close", "-o", "runs", env={"PYTHONPATH": str(checkout)}, timeout=120)
    assert done.returncode == 0, done.stderr
    first = done.stderr.splitlines()[0]
    assert re.search(r"runtime netns: image simctl/origin:\w{12} is not built", first)
    assert "simctl images build" in first


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(["origin", "requests"], id="some"),
        pytest.param([], id="all", marks=[pytest.mark.slow, pytest.mark.images(*ALL)]),
    ],
)
def test_images_build_says_what_is_up_to_date(simctl: Simctl, tmp_path: Path, chosen: list[str]) -> None:
    done = simctl("images", "build", *chosen)
    assert done.returncode == 0, done.stderr
    expected = [f"{reference}: up to date" for reference in images.references(chosen or ALL).values()]
    assert done.stdout.splitlines() == expected
    assert "building" not in done.stderr
    listed = simctl("images", "list")
    told = dict(line.removeprefix("simctl/").split(": ") for line in listed.stdout.splitlines())
    assert list(told) == ALL
    assert {told[name] for name in chosen or ALL} == {"up to date"}
    assert not contents(tmp_path)


# -- several at a time -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runtimes", [("docker", "docker"), pytest.param(("docker", "netns"), marks=pytest.mark.netns)])
def test_runs_at_a_time_do_not_meet(tmp_path: Path, runtimes: tuple[str, str]) -> None:
    """server-says-close counts TIME_WAIT to the last one: what another run leaves behind would be seen."""
    argv = [sys.executable, "-m", "orchestrator", "run", "server-says-close", "-q", "-o", str(tmp_path / "runs")]
    runs = [
        subprocess.Popen([*argv, "-r", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in runtimes
    ]
    for run in runs:
        stdout, stderr = run.communicate(timeout=120)
        assert run.returncode == 0, stdout + stderr
    begins = [json.loads((folder / "events.jsonl").open().readline()) for folder in (tmp_path / "runs").iterdir()]
    assert sorted(begin["runtime"] for begin in begins) == sorted(runtimes)
    addresses = [address for begin in begins for node in begin["nodes"] for address in node["addresses"]]
    assert len(addresses) == len(set(addresses)) == 4


# -- the end, however it comes ---------------------------------------------------------------------------------------


def containers_of(engine: APIClient, pid: int, start: int) -> list[dict[str, Any]]:
    """The containers, in whatever state, whose labels name that process."""
    filters = {"label": f"simctl.pid={pid} {start}"}
    found: list[dict[str, Any]] = engine.containers(all=True, filters=filters)
    return found


def await_no_containers(engine: APIClient, pid: int, start: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while left := containers_of(engine, pid, start):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)


@pytest.mark.parametrize("phase", ["up:", "load:", "idle:"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["ctrl-c", "sigterm", "kill-9"])
def test_interrupted_in_every_phase(engine: APIClient, tmp_path: Path, phase: str, number: int) -> None:
    with started(tmp_path, "docker") as process:
        start = process_start_time(process.pid)
        assert start is not None
        await_line(process, phase)
        if phase != "up:":
            assert len(containers_of(engine, process.pid, start)) == 2
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=90)
        await_no_containers(engine, process.pid, start)
    assert stdout == ""
    if number != signal.SIGKILL:
        assert process.returncode == 130, stderr
        assert "Traceback" not in stderr
        assert "interrupted" in stderr


# -- images of other people, commands of the user --------------------------------------------------------------------

FOREIGN = """\
services:
  client: {{image: simctl/requests, networks: [lab]}}
  server: {{image: "{image}", networks: [lab]}}
networks: {{lab: {{internal: true}}}}
"""

ASKED = """\
name: foreign
topology: compose.yaml
steps:
  - name: load
    request: {from: client, url: "http://server:8080/", session: pool, count: 3}
  - name: settle
    wait: 300ms
expect:
  # Either end may be the first to close: the server writes and closes in two steps, the client needs no FIN.
  - that: http.server speaks HTTP/1.0 and keeps nothing open
    at: settle.end
    server: {LISTEN: 1, ESTABLISHED: 0, CLOSE_WAIT: 0, connections: 3}
    client: {ESTABLISHED: 0, CLOSE_WAIT: 0, requests: 3, errors: 0}
"""


def write_foreign(folder: Path, image: str) -> None:
    (folder / "compose.yaml").write_text(FOREIGN.format(image=image))
    (folder / "scenario.yaml").write_text(ASKED)


def test_a_foreign_image_needs_nothing_of_ours(simctl: Simctl, tmp_path: Path, foreign: str) -> None:
    write_foreign(tmp_path, foreign)
    done = simctl("run", "scenario.yaml", "-r", "docker", "-o", "runs", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert '"GET / HTTP/1.1" 200' in (run / "logs" / "server.log").read_text(), "what it prints is its log"
    assert re.search(r":8080 .*LISTEN +\d+/python3", (run / "ss" / "load.end" / "server.netstat.txt").read_text())


def test_a_foreign_image_is_refused_under_netns(simctl: Simctl, tmp_path: Path, foreign: str) -> None:
    write_foreign(tmp_path, foreign)
    before = contents(tmp_path)
    done = simctl("run", "scenario.yaml", "-r", "netns", "-q")
    assert_refused(done, 2)
    assert f"compose.yaml:3:3: service server: the image {foreign} runs under docker only" in done.stderr
    assert "use --runtime docker, or one of the node kinds: aiohttp, " in done.stderr
    assert contents(tmp_path) == before, "nothing was started"


def test_a_foreign_image_that_is_not_there(simctl: Simctl, tmp_path: Path) -> None:
    write_foreign(tmp_path, "nowhere.invalid/nothing:1")
    before = contents(tmp_path)
    done = simctl("run", "scenario.yaml", "-r", "docker", "-q")
    assert_refused(done, 3)
    assert "compose.yaml:3:3: service server: the engine has no image nowhere.invalid/nothing:1" in done.stderr
    assert "docker pull nowhere.invalid/nothing:1" in done.stderr
    assert contents(tmp_path) == before, "nothing was started"


def test_a_container_that_dies_at_start_shows_the_end_of_its_log(simctl: Simctl, tmp_path: Path, foreign: str) -> None:
    write_foreign(tmp_path, foreign)
    compose = (tmp_path / "compose.yaml").read_text()
    # It is never healthy, so that simctl waits for it until it dies, on a busy machine too.
    words = 'command: ["--nonsense"], healthcheck: {test: ["CMD", "false"], interval: 1s},'
    (tmp_path / "compose.yaml").write_text(compose.replace(f'"{foreign}",', f'"{foreign}", {words}'))
    done = simctl("run", "scenario.yaml", "-r", "docker", "-q")
    assert_refused(done, 3)
    assert "node server died at start (exit status 2)" in done.stderr
    assert "unrecognized arguments: --nonsense" in done.stderr


def test_exec_in_a_container_needs_no_permission(simctl: Simctl, tmp_path: Path) -> None:
    write_foreign(tmp_path, "simctl/origin")
    scenario = ASKED.partition("steps:")[0] + (
        "steps:\n  - name: look\n    exec: {node: client, command: [cat, /etc/hosts]}\n"
        "  - name: fail\n    exec: {node: server, command: [sh, -c, 'echo what it said; exit 3']}\nexpect: []\n"
    )
    (tmp_path / "scenario.yaml").write_text(scenario)
    done = simctl("run", "scenario.yaml", "-r", "docker", "-q", "-o", "runs")
    (run,) = (tmp_path / "runs").iterdir()
    assert re.search(r"^198\.18\.\S+ server$", (run / "logs" / "exec-look-client.txt").read_text(), re.MULTILINE)
    assert_refused(done, 3)
    assert "step fail: sh in server ended with status 3" in done.stderr
    assert "  | what it said" in done.stderr
