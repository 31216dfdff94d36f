"""Names that nobody knows are refused or told: errors, owners, variables, and facts that a kind does not report."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.kinds.errornames import COMMON, hint, knows
from orchestrator.kinds.registry import Kind, load_kinds
from orchestrator.recording.verdict import Outcome
from orchestrator.run.options import Options
from orchestrator.run.plan import plan_tasks
from orchestrator.run.prepare import prepare
from tests.support.builders import history, request, verdict, worded

KINDS = load_kinds()
TOPOLOGY = """\
services:
  client: {image: "simctl/${CLIENT:-requests}"}
  server: {image: "simctl/${SERVER:-origin}"}
"""
SCENARIO = """\
name: demo
topology: lab.yaml
steps: [{name: load, request: {from: client, url: "http://server:8080/"}}]
"""


def scenario(tmp_path: Path, rest: str) -> Path:
    (tmp_path / "lab.yaml").write_text(TOPOLOGY)
    path = tmp_path / "demo.yaml"
    path.write_text(SCENARIO + rest)
    return path


def refused(path: Path, **variables: str) -> InputError:
    with pytest.raises(InputError) as caught:
        prepare(path, Options(variables=variables))
    return caught.value


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fact", "client", "name", "meant"),
    [
        ("errors", "httpx", "RemoteDisconected", "did you mean RemoteDisconnected?"),
        ("errors", "requests", "ECONNRESET", "did you mean ConnectionResetError?"),
        ("errors", "undici", "UND_ERR_SOKET_CLOSED", "did you mean ERR_SOCKET_CLOSED?"),
        ("errors", "libcurl", "PoolTimeout", "did you mean"),
        ("errors", "go-client", "Qzxw", "`simctl nodes go-client` lists them"),
        ("repeated", "urllib3", "ConectionResetError", "did you mean ConnectionResetError?"),
    ],
)
def test_an_error_that_the_client_cannot_report(tmp_path: Path, fact: str, client: str, name: str, meant: str) -> None:
    path = scenario(tmp_path, f"expect:\n  - that: x\n    client: {{{fact}: {{{name}: 0}}}}\n")
    error = refused(path, CLIENT=client)
    assert error.message == f"{client} reports no error of the name {name}"
    assert error.hint is not None
    assert error.hint.startswith(meant)
    assert (error.place.line, error.place.column) == (6, len(fact) + 17) if error.place else False


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.role == "client"], ids=lambda kind: kind.kind)
def test_what_clients_report_is_known(kind: Kind) -> None:
    for name in (*COMMON, "ETIMEDOUT", "EADDRNOTAVAIL", "EHOSTUNREACH", "unanswered", *kind.errors):
        assert knows(kind, name), name
    assert not knows(kind, "ReadTimeot")
    assert hint(kind, "ReadTimeot") == "did you mean ReadTimeout?"


def test_libcurls_codes_are_known() -> None:
    assert knows(KINDS["libcurl"], "CURLcode56")
    assert not knows(KINDS["requests"], "CURLcode56")


def test_another_run_of_the_matrix_may_name_errors_of_its_own_client(tmp_path: Path) -> None:
    rest = "matrix: {CLIENT: [requests, httpx]}\nexpect:\n  - that: x\n    only: {CLIENT: [httpx]}\n"
    path = scenario(tmp_path, rest + "    client: {errors: {PoolTimeout: 0}}\n")
    for client in ("requests", "httpx"):
        prepare(path, Options(cell={"CLIENT": client}))
    path.write_text(path.read_text().replace("PoolTimeout", "PoolTimeot"))
    with pytest.raises(InputError, match="no error of the name PoolTimeot"):
        prepare(path, Options(cell={"CLIENT": "requests"}))


# -- what a kind reports ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fact", ["served: 0", "closed_by: {idle: 0}"])
def test_what_a_server_never_reports_is_refused(tmp_path: Path, fact: str) -> None:
    path = scenario(tmp_path, f"expect:\n  - that: x\n    server: {{{fact}}}\n")
    prepare(path, Options())
    silent = next(name for name, kind in KINDS.items() if kind.role == "server" and not kind.reports_serving)
    error = refused(path, SERVER=silent)
    assert error.message.endswith(f"server is a {silent}, which reports none of it")
    assert error.hint is not None
    assert "origin" in error.hint


# -- variables -------------------------------------------------------------------------------------------------------


def test_a_variable_of_set_that_no_topology_mentions(tmp_path: Path) -> None:
    path = scenario(tmp_path, "")
    with pytest.raises(InputError, match=r"--set varies SERVR, which .*lab.yaml does not mention") as caught:
        plan_tasks([str(path)], Options(variables={"SERVR": "nginx"}), {}, None)
    assert caught.value.hint == "did you mean SERVER?"


def test_of_several_scenarios_one_has_to_mention_it(tmp_path: Path) -> None:
    scenario(tmp_path, "")
    (tmp_path / "other.yaml").write_text(SCENARIO.replace("lab", "fixed"))
    (tmp_path / "fixed.yaml").write_text("services: {client: {image: simctl/requests}, server: {image: simctl/origin}}")
    words = [str(tmp_path / "demo.yaml"), str(tmp_path / "other.yaml")]
    assert len(plan_tasks(words, Options(variables={"SERVER": "jetty"}), {}, None)) == 2
    with pytest.raises(InputError, match="--set varies SERVR, which none of the topologies mentions"):
        plan_tasks(words, Options(variables={"SERVR": "jetty"}), {}, None)


def test_a_variable_of_the_scenarios_own_set(tmp_path: Path) -> None:
    error = refused(scenario(tmp_path, "set: {SERVR: jetty}\n"))
    assert error.message == f"`set` gives a value to SERVR, which {tmp_path / 'lab.yaml'} does not mention"
    assert (str(error.place), error.hint) == (f"{tmp_path / 'demo.yaml'}:4:7", "did you mean SERVER?")


def test_a_variable_of_the_file_env_counts(tmp_path: Path) -> None:
    path = scenario(tmp_path, "set: {WHICH: jetty}\n")
    (tmp_path / ".env").write_text("SERVER=${WHICH}\n")
    prepare(path, Options())


# -- owners ----------------------------------------------------------------------------------------------------------

OWNED = """
    client:41000 > server:8080 {python3/7} | E  E  E
    server:8080 > client:41000 {nginx/8}   | E  E  E
"""


@pytest.mark.parametrize("owner", ["python", "python3", "python3.11"])
def test_an_interpreter_is_one_program(owner: str) -> None:
    asked = f"{{where: {{owner: {owner}}}, client: {{ESTABLISHED: 1}}}}"
    assert verdict(history(OWNED), asked).outcome is Outcome.PASS


def test_an_owner_that_nobody_has() -> None:
    run, asked = history(OWNED), "{where: {owner: ngnix}, server: {ESTABLISHED: 0}}"
    assert verdict(run, asked).outcome is Outcome.UNKNOWN
    assert worded(run, asked).reason == (
        "no socket of the run was owned by ngnix; there were: nginx, python3; did you mean nginx?"
    )


# -- attempts --------------------------------------------------------------------------------------------------------


def test_what_a_library_repeats_is_one_request() -> None:
    """Whether the library says why (libcurl) or not (Apache), the program got one answer."""
    attempts = [
        {**request(1.0), "id": 1, "n": 1, "status": None, "error": {"name": "ConnectionResetError", "text": ""}},
        {**request(1.1), "id": 1, "n": 1, "status": None, "error": None},
        {**request(1.2), "id": 1, "n": 1},
        {**request(1.3), "id": 1, "n": 2, "status": 302},
        {**request(1.4), "id": 1, "n": 2},
    ]
    run = history(OWNED, *attempts)
    for facts in (
        "requests: 3, errors: 0, repeated: 2",
        "errors: {ConnectionResetError: 0}",
        "repeated: {ConnectionResetError: 1, unanswered: 1}",
    ):
        assert verdict(run, f"{{over: start .. end, client: {{{facts}}}}}").outcome is Outcome.PASS, facts
