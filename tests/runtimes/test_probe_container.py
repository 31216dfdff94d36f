"""The probe as a container: for those who may use the engine and are not root on its machine. A real engine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.history.build import history_of
from orchestrator.observe.trace.tracefs import RECORDS
from orchestrator.recording.folder import RunFolder
from orchestrator.runtimes.docker import containers as dockercontainers
from orchestrator.system.linux import process_start_time
from orchestrator.system.resources import COMPOSE
from tests.conftest import Simctl
from tests.support.forwardedengine import forwarded_engine
from tests.support.ordinaryuser import UID, OrdinaryUser, ordinary_user

if TYPE_CHECKING:
    from docker import APIClient

pytestmark = [pytest.mark.docker, pytest.mark.images("origin", "probe", "requests"), pytest.mark.timeout(240)]

CONTAINER = {"SIMCTL_PROBE": "container"}
PATIENCE = 30.0
INSTANCES = "/sys/kernel/tracing/instances"
FOUR = 1 << 12 | 1 << 13 | 1 << 19 | 1 << 21  # CAP_NET_ADMIN, _NET_RAW, _SYS_PTRACE, _SYS_ADMIN: capabilities(7)


@pytest.fixture
def user(as_root: None) -> Iterator[OrdinaryUser]:
    with ordinary_user() as made:
        yield made


def only_run(folder: Path) -> Path:
    (run,) = folder.iterdir()
    return run


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.05)


def containers_of(engine: APIClient, pid: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.containers(all=True, filters={"label": dockercontainers.RUN_LABEL})
    return [item for item in found if item["Labels"]["simctl.pid"].split()[0] == str(pid)]


def probe_of(engine: APIClient, pid: int) -> dict[str, Any]:
    (probe,) = [item for item in containers_of(engine, pid) if dockercontainers.NODE_LABEL not in item["Labels"]]
    inspected: dict[str, Any] = engine.inspect_container(probe["Id"])
    return inspected


def records(pid: int) -> list[Path]:
    return list(RECORDS.glob(f"simctl-{pid}-*"))


def in_tracefs(*command: str) -> str:
    script = 'mount -t tracefs tracefs /sys/kernel/tracing && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", *command]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def instances() -> list[str]:
    """Names of all trace instances of the machine."""
    return in_tracefs("ls", INSTANCES).split()


# -- the story -------------------------------------------------------------------------------------------------------


def test_the_story_is_the_same_as_with_a_process(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "orchestrator", "run", "idle-close", "-r", "docker", "-q", "--format", "json"]
    runs = {
        place: subprocess.Popen(
            [*argv, "-o", str(tmp_path / place)],
            env=os.environ | {"SIMCTL_PROBE": place},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for place in ("process", "container")
    }
    verdicts = {}
    for place, process in runs.items():
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stdout + stderr
        history = history_of(RunFolder.open(only_run(tmp_path / place)))
        assert history.exact, (place, history.notes)
        report = json.loads(stdout)
        told = [
            (fact["node"], fact["fact"], fact["actual"], fact["outcome"])
            for verdict in report["verdicts"]
            for fact in verdict["facts"]
        ]
        ends = [(one["first_closer"], one["how"], one["close_reason"]) for one in report["connections"]]
        verdicts[place] = (told, ends)
    assert verdicts["process"] == verdicts["container"]
    assert not (tmp_path / "container" / "captures").exists()


def test_an_ordinary_user(user: OrdinaryUser, engine: APIClient) -> None:
    """All that root gets: the trace, ss and netstat with owners, packets; and the files are the user's."""
    done = user.simctl("run", "server-close-wait", "-r", "docker", "-o", "runs", "--capture")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the probe is a container: simctl is not root here" in done.stderr
    run = only_run(user.folder / "runs")
    history = history_of(RunFolder.open(run))
    assert history.exact, history.notes
    requests = [json.loads(line) for line in (run / "events.jsonl").open() if '"ev":"request"' in line]
    begin, end = history.moments["load.start"], history.moments["load.end"]
    assert requests and all(begin <= one["t0"] <= one["t"] <= end for one in requests), "one clock for all"
    netstat = (run / "ss" / "leaked.end" / "server.netstat.txt").read_text()
    assert re.search(r":8080 +198\.18\.\S+ +CLOSE_WAIT +\d+/python3", netstat), netstat
    ss = (run / "ss" / "leaked.end" / "server.ss.txt").read_text()
    assert re.search(r'^CLOSE-WAIT .*users:\(\("python3",pid=\d+,', ss, re.MULTILINE)
    assert "Failed" not in ss
    (capture,) = (run / "captures").iterdir()
    assert capture.read_bytes().startswith(b"\x0a\x0d\x0d\x0a"), "a pcapng file"
    assert capture.stat().st_uid == UID
    assert "no kernel trace" not in done.stdout
    assert re.search(r"capture: [1-9]\d* frames in captures/\w+\.pcapng, none dropped", done.stdout)


SIGNALS = """\
name: signals
topology: {compose}
steps:
  - {{name: freeze, pause: server}}
  - {{name: look, exec: {{node: client, command: [cat, /etc/hosts]}}}}
  - {{name: thaw, resume: server}}
  - {{name: load, request: {{from: client, url: "http://server:8080/", count: 2}}}}
  - {{name: last, kill: server}}
expect:
  - {{that: the server works again, client: {{requests: 2, errors: 0}}}}
"""


def test_an_ordinary_user_signals_nodes_and_runs_commands_in_them(user: OrdinaryUser) -> None:
    (user.folder / "s.yaml").write_text(SIGNALS.format(compose=COMPOSE / "client-server.yaml"))
    done = user.simctl("run", "s.yaml", "-r", "docker", "-q", "-o", "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(user.folder / "runs")
    assert re.search(r"^198\.18\.\S+ server$", (run / "logs" / "exec-look-client.txt").read_text(), re.MULTILINE)
    events = [json.loads(line) for line in (run / "events.jsonl").open()]
    ended = [one for one in events if one["ev"] == "node" and one["what"] == "ended" and one["node"] == "server"]
    assert ended[0]["detail"] == {"signal": signal.SIGKILL}


def test_a_standing_lab_of_an_ordinary_user(user: OrdinaryUser) -> None:
    assert user.simctl("up", "client-server", "-r", "docker").returncode == 0
    try:
        assert re.search(r"server +origin +198\.18\.\S+ +pid \d+ +up", user.simctl("ps").stdout)
        assert re.search(r'^LISTEN .*:8080 .*users:\(\("python3",pid=\d+', user.simctl("ss", "server").stdout, re.M)
        said = user.simctl("exec", "client", "--", "sh", "-c", "cat; echo wrong >&2; exit 7", input="what it heard\n")
        assert (said.returncode, said.stdout, said.stderr) == (7, "what it heard\n", "wrong\n")
    finally:
        down = user.simctl("down", "--all")
    assert down.returncode == 0, down.stderr
    assert user.simctl("clean").stdout == "nothing was left behind\n"


def test_doctor_tells_an_ordinary_user(user: OrdinaryUser) -> None:
    answer = json.loads(user.simctl("doctor", "--json").stdout)
    (probe,) = [check for check in answer["checks"] if check["name"] == "docker probe"]
    assert probe["ok"] is True
    assert probe["found"] == "a container, because simctl is not root here; traces"
    assert "docker" in answer["runtimes"]


def test_an_engine_that_is_reached_over_the_network(tmp_path: Path, simctl: Simctl) -> None:
    with forwarded_engine() as address:
        environment = {"DOCKER_HOST": address, "NO_PROXY": "127.0.0.1"}
        done = simctl("run", "session-close", "-r", "docker", "-o", "runs", "--capture", env=environment, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the probe is a container: the engine is reached over tcp" in done.stderr
    run = only_run(tmp_path / "runs")
    history = history_of(RunFolder.open(run))
    assert history.exact, history.notes
    assert [path.name for path in (run / "captures").iterdir()] == ["lab.pcapng"]
    assert not list((run / "logs").glob("*.hosts")), "nothing is mounted from here"


# -- rights, addresses -----------------------------------------------------------------------------------------------


@contextmanager
def idle_run(tmp_path: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A run whose probe is a container, at its step `idle`."""
    argv = [sys.executable, "-m", "orchestrator", "run", "idle-close", "-r", "docker", "-o", str(tmp_path / "runs")]
    environment = os.environ | CONTAINER
    with subprocess.Popen(
        [*argv, *more], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "idle: " in line:
                    break
            else:
                pytest.fail("it ended early")
            yield process
        finally:
            process.kill()


def test_it_has_these_capabilities_and_no_more(engine: APIClient, tmp_path: Path) -> None:
    with idle_run(tmp_path) as process:
        probe = probe_of(engine, process.pid)
        status = Path(f"/proc/{probe['State']['Pid']}/status").read_text()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    facts = dict(line.split(":\t", 1) for line in status.splitlines())
    for which in ("CapPrm", "CapEff", "CapBnd"):
        assert int(facts[which], 16) == FOUR
    assert facts["NoNewPrivs"] == "1"
    assert facts["Seccomp"].strip() == "2", "the engine's profile"
    assert probe["HostConfig"]["Privileged"] is False
    assert probe["HostConfig"]["NetworkMode"] == "none"
    assert not probe["Mounts"]


@pytest.mark.parametrize("other", ["docker", pytest.param("netns", marks=pytest.mark.netns)])
def test_runs_at_a_time_do_not_meet(user: OrdinaryUser, tmp_path: Path, other: str) -> None:
    """Its claims are seen by all who make labs on that machine, and it sees theirs."""
    story = ["run", "server-says-close", "-q"]
    first = subprocess.Popen(
        user.command(*story, "-r", "docker", "-o", "runs"), cwd=user.folder, env=user.environment, text=True
    )
    argv = [sys.executable, "-m", "orchestrator", *story, "-r", other, "-o", str(tmp_path / "runs")]
    second = subprocess.Popen(argv, env=os.environ | CONTAINER, stdout=subprocess.DEVNULL)
    assert (first.wait(120), second.wait(120)) == (0, 0)
    addresses = []
    for folder in (user.folder / "runs", tmp_path / "runs"):
        history = history_of(RunFolder.open(only_run(folder)))
        assert history.exact, history.notes
        addresses += [address for node in history.begin["nodes"] for address in node["addresses"]]
    assert len(set(addresses)) == len(addresses) == 4


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill-9"])
def test_it_goes_with_simctl(engine: APIClient, tmp_path: Path, number: int) -> None:
    with idle_run(tmp_path) as process:
        assert len(containers_of(engine, process.pid)) == 3
        pid = probe_of(engine, process.pid)["State"]["Pid"]
        (record,) = records(pid)
        assert record.name in instances()
        process.send_signal(number)
        process.communicate(timeout=60)
        until(lambda: not containers_of(engine, process.pid), "no container")
    assert not records(pid)
    assert record.name not in instances()


def test_whoever_cleans_lets_a_probe_remove_its_trace_instance(engine: APIClient, tmp_path: Path) -> None:
    with idle_run(tmp_path) as process:
        (record,) = records(probe_of(engine, process.pid)["State"]["Pid"])
        process.kill()
        process.wait(60)
        dockercontainers.clean(engine)  # as any run does that begins now
        assert not containers_of(engine, process.pid)
    assert not record.exists()
    assert record.name not in instances()


def test_a_probe_that_is_killed_ends_the_run(engine: APIClient, tmp_path: Path, user: OrdinaryUser) -> None:
    with idle_run(tmp_path) as process:
        probe = probe_of(engine, process.pid)
        (record,) = records(probe["State"]["Pid"])
        engine.kill(probe["Id"])
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 3
        assert "the probe, which watches the nodes, ended" in stderr and "Traceback" not in stderr
        until(lambda: not containers_of(engine, process.pid), "no container")
    assert user.simctl("clean").returncode == 0
    assert not record.exists()
    assert record.name not in instances()


def test_an_ordinary_user_cleans_what_a_killed_probe_left(user: OrdinaryUser) -> None:
    for _ in range(3):  # a run of somebody else may begin in between, and be the one that cleans
        with subprocess.Popen(["sleep", "600"]) as process:
            record = RECORDS / f"simctl-{process.pid}-{process_start_time(process.pid)}"
            process.kill()
        RECORDS.mkdir(parents=True, exist_ok=True)
        record.touch()
        in_tracefs("mkdir", f"{INSTANCES}/{record.name}")
        done = user.simctl("clean")
        assert not record.exists()
        assert record.name not in instances()
        if f"removed trace instance {record.name}" in done.stdout:
            return
    pytest.fail(f"never removed by clean: {done.stdout}{done.stderr}")
