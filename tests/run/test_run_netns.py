"""The main job on the embedded runtime: the real command, real namespaces, real servers and clients."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.reports import in_short
from tests.support.stories import assert_all_pass

pytestmark = pytest.mark.netns


def run_json(simctl: Simctl, *args: str | Path, timeout: float = 90) -> tuple[int, dict[str, object]]:
    done = simctl("run", *args, "--format", "json", timeout=timeout)
    assert done.stdout, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return done.returncode, document


@pytest.mark.timeout(200)
@pytest.mark.parametrize("server", ["origin", pytest.param("jetty", marks=pytest.mark.java)])
def test_stories(simctl: Simctl, server: str) -> None:
    assert_all_pass(simctl, "netns", server)


@pytest.mark.slow
@pytest.mark.java
@pytest.mark.timeout(200)
@pytest.mark.parametrize("server", ["origin", "jetty"])
def test_long_story(simctl: Simctl, server: str) -> None:
    code, report = run_json(simctl, "close-wait-stays", "--runtime", "netns", "--set", f"SERVER={server}", timeout=150)
    assert (code, report["outcome"]) == (0, "pass"), in_short(report)


def test_the_run_folder_is_enough_to_judge_and_print_again(simctl: Simctl, tmp_path: Path) -> None:
    first = simctl("run", "session-close", "-r", "netns", "-o", tmp_path / "runs")
    assert first.returncode == 0, first.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert {path.name for path in run.iterdir()} >= {
        "scenario.yaml", "topology.yaml", "events.jsonl", "ss", "logs", "verdict.json", "env.json",
    }  # fmt: skip
    netstat = (run / "ss" / "load.end" / "server.netstat.txt").read_text()
    assert "ESTABLISHED" in netstat
    assert "/python" in netstat, "the PID/Program column names the owner"
    assert "ESTAB" in (run / "ss" / "leave.start" / "client.ss.txt").read_text()

    elsewhere = tmp_path / "moved"
    run.rename(elsewhere)
    verify = simctl("verify", elsewhere)
    report = simctl("report", elsewhere)
    assert verify.returncode == 0, verify.stderr
    assert report.stdout == verify.stdout
    assert first.stdout.splitlines()[:12] == report.stdout.splitlines()[:12]

    # Judged again by other expectations: the recording stays, the verdict changes.
    scenario = elsewhere / "scenario.yaml"
    scenario.write_text(scenario.read_text().replace("client: {ESTABLISHED: 1, others: 0}", "client: {ESTABLISHED: 2}"))
    again = simctl("verify", elsewhere)
    assert again.returncode == 1
    assert again.stdout.startswith("FAIL")


def test_nothing_of_simctl_is_in_the_tables_that_it_measures(simctl: Simctl, tmp_path: Path) -> None:
    simctl("run", "session-close", "-r", "netns", "-o", tmp_path / "runs")
    (run,) = (tmp_path / "runs").iterdir()
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    server = next(node["addresses"][0] for node in events[0]["nodes"] if node["name"] == "server")
    sockets = [event for event in events if event["ev"] == "socket"]
    assert sockets
    assert all("127.0.0.1" not in event["local"] + event["peer"] for event in sockets)
    assert {event["peer"] for event in sockets if event["node"] == "client"} == {f"{server}:8080"}


def test_headers_of_both_directions_are_recorded(simctl: Simctl, tmp_path: Path) -> None:
    """The answer to: how do both ends know that this connection is short?"""
    simctl("run", "server-says-close", "-r", "netns", "-o", tmp_path / "runs")
    (run,) = (tmp_path / "runs").iterdir()
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    requests = [event for event in events if event["ev"] == "request"]
    assert len(requests) == 10
    for event in requests:
        assert event["request_headers"]["Connection"] == "keep-alive"
        assert {key.lower(): value for key, value in event["response_headers"].items()}["connection"] == "close"
        assert (event["reused"], event["nth"]) == (False, 1)


def test_two_runs_at_a_time_do_not_meet(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "orchestrator", "run", "session-close", "-r", "netns", "-q", "-o", str(tmp_path)]
    runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for run in runs:
        _, stderr = run.communicate(timeout=90)
        assert run.returncode == 0, stderr
    begins = [json.loads((folder / "events.jsonl").open().readline()) for folder in tmp_path.iterdir()]
    addresses = [address for begin in begins for node in begin["nodes"] for address in node["addresses"]]
    assert len(begins) == 3
    assert len(set(addresses)) == 6


def test_rootless_in_a_user_namespace(tmp_path: Path) -> None:
    """As an ordinary user: uid 1000 without any capability, in a user namespace as `unshare` makes it."""
    argv = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-m", "orchestrator"]
    argv += ["run", "session-close", "server-says-close", "-r", "netns", "-o", str(tmp_path / "runs")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    env = json.loads(next((tmp_path / "runs").glob("*/env.json")).read_text())
    assert env["root"] is False


def test_a_failing_expectation_shows_both_numbers_and_the_evidence(simctl: Simctl, tmp_path: Path) -> None:
    scenario = _scenario(
        tmp_path,
        steps="""[{name: one, request: {from: client, url: "http://server:8080/", session: s}},
                  {name: pause, wait: 300ms}]""",
        expect="[{that: the client has closed already, at: pause.end, client: {CLOSE_WAIT: 1, ESTABLISHED: 0}}]",
    )
    done = simctl("run", scenario, "-r", "netns", "-q")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("FAIL")
    assert "the client has closed already" in done.stdout
    assert "198.18." in done.stdout, "the evidence names the socket"
    assert "ss/pause.end/client.ss.txt" in done.stdout


def test_killed_server_leaves_its_fin_wait2_behind(simctl: Simctl, tmp_path: Path) -> None:
    """A killed process sends FIN like any other; its namespace is held, so what the kernel keeps can be seen."""
    scenario = _scenario(
        tmp_path,
        steps="""[{name: load, request: {from: client, url: "http://server:8080/", session: s}},
                  {name: crash, kill: server}, {name: settle, wait: 500ms},
                  {name: after, request: {from: client, url: "http://server:8080/"}}]""",
        expect="""[{that: the kernel closes for the dead, at: settle.end,
                    server: {FIN_WAIT2: 1, LISTEN: 0, first_fin: 1}, client: {CLOSE_WAIT: 1}},
                   {that: nobody listens, over: after.start .. after.end,
                    client: {errors: {ConnectionRefusedError: 1}}}]""",
    )
    done = simctl("run", scenario, "-r", "netns", "-q")
    assert done.returncode == 0, done.stderr + done.stdout


def test_stopped_paused_and_resumed_nodes(simctl: Simctl, tmp_path: Path) -> None:
    scenario = _scenario(
        tmp_path,
        steps="""[{name: load, request: {from: client, url: "http://server:8080/", session: s}},
                  {name: freeze, pause: server},
                  {name: stuck, request: {from: client, url: "http://server:8080/", session: s, timeout: 500ms}},
                  {name: thaw, resume: server},
                  {name: after, request: {from: client, url: "http://server:8080/", session: s}},
                  {name: leave, stop: server}, {name: settle, wait: 300ms}]""",
        expect="""[{that: a paused program answers nothing, over: stuck.start .. stuck.end,
                    client: {errors: {ReadTimeout: 1}}},
                   {that: and goes on afterwards, over: after.start .. after.end, client: {errors: 0, requests: 1}},
                   {that: a stopped server closes first, at: end,
                    server: {first_fin: 1, LISTEN: 0}, client: {CLOSE_WAIT: 1}}]""",
    )
    done = simctl("run", scenario, "-r", "netns", "-q")
    assert done.returncode == 0, done.stderr + done.stdout


def test_exec_needs_permission_under_netns(simctl: Simctl, tmp_path: Path) -> None:
    scenario = _scenario(
        tmp_path, steps="[{name: look, exec: {node: client, command: [cat, /etc/hosts]}}]", expect="[]"
    )
    refused = simctl("run", scenario, "-r", "netns", "-o", tmp_path / "refused")
    assert refused.returncode == 2
    assert "scenario.yaml:" in refused.stderr
    assert "--allow-exec" in refused.stderr
    assert not (tmp_path / "refused").exists(), "nothing was started"
    allowed = simctl("run", scenario, "-r", "netns", "--allow-exec", "-o", tmp_path / "runs")
    assert allowed.returncode == 0, allowed.stderr
    (output,) = (tmp_path / "runs").glob("*/logs/exec-look-client.txt")
    assert "server" in output.read_text()


def _scenario(folder: Path, *, steps: str, expect: str) -> Path:
    """A scenario file on a copy of the smallest topology."""
    (folder / "compose.yaml").write_text(
        "services:\n"
        "  client: {image: simctl/requests, networks: [lab]}\n"
        "  server: {image: simctl/origin, networks: [lab]}\n"
        "networks: {lab: {internal: true}}\n"
    )
    path = folder / "scenario.yaml"
    path.write_text(f"name: test\ntopology: compose.yaml\nsteps: {steps}\nexpect: {expect}\n")
    return path
