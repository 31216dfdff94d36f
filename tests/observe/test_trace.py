"""The kernel's trace: every transition with its time, both ends, and nothing left of the instance."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.history.build import history_of
from orchestrator.history.model import History, Socket
from orchestrator.observe.trace.tracefs import RECORDS
from orchestrator.recording.folder import RunFolder
from tests.conftest import Simctl

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("as_root")]

STORY = """
name: story
topology: compose.yaml
steps: {steps}
expect: {expect}
"""
COMPOSE = """
services:
  client: {image: simctl/requests, networks: [lab]}
  server: {image: simctl/origin, networks: [lab], environment: {KEEPALIVE_TIMEOUT: 300ms}}
networks: {lab: {internal: true}}
"""
URL = '"http://server:8080/"'

Tell = Callable[[str, str], History]


@pytest.fixture
def tell(simctl: Simctl, tmp_path: Path) -> Tell:
    """Runs steps against expectations that must hold; returns the history."""

    def run(steps: str, expect: str = "[]") -> History:
        (tmp_path / "compose.yaml").write_text(COMPOSE)
        scenario = tmp_path / "story.yaml"
        scenario.write_text(STORY.format(steps=steps, expect=expect))
        done = simctl("run", scenario, "-r", "netns", "-q", "-o", tmp_path / "runs", timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        (run,) = (tmp_path / "runs").iterdir()
        history = history_of(RunFolder.open(run))
        assert history.exact, history.notes
        return history

    return run


def states(end: Socket | None) -> list[str]:
    assert end is not None
    return [interval.state.value for interval in end.intervals]


def test_client_closes_first(tell: Tell) -> None:
    history = tell(f"[{{request: {{from: client, url: {URL}}}}}, {{wait: 300ms}}]", "[]")
    (connection,) = history.connections
    assert states(connection.client) == ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"]
    assert states(connection.server) == ["SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK"]
    assert connection.closing.first_closer == "client"
    assert connection.closed is not None
    assert connection.closed[1] - connection.closed[0] < 1e-6, "not to the tick, but to the event"


def test_idle_server_closes_first_and_its_orphan_turns_when_the_client_does(tell: Tell) -> None:
    history = tell(
        f"[{{request: {{from: client, url: {URL}, session: s}}}}, {{name: idle, wait: 800ms}},"
        " {name: leave, close: {from: client, session: s}}, {wait: 200ms}]",
        "[{that: short states are known too, always: idle.start .. idle.end, client: {SYN_SENT: 0, LAST_ACK: 0}},"
        " {that: the server closes, over: idle.start .. idle.end, server: {first_fin: 1, closed_by: {idle: 1}}}]",
    )
    (connection,) = history.connections
    assert states(connection.server) == ["SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"]
    assert states(connection.client) == ["SYN_SENT", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK"]
    assert connection.server is not None
    assert connection.client is not None
    turned = connection.server.intervals[-1].first
    client_last_ack = connection.client.intervals[-1]
    assert client_last_ack.first <= turned <= client_last_ack.last + 1e-3


def test_reset_names_its_sender_and_reason(tell: Tell) -> None:
    """A client that gives up while the answer is under way closes with unread data: RST instead of FIN."""
    history = tell(
        "[{name: one, request: {from: client, url: 'http://server:8080/delay/200', session: s, timeout: 100ms}},"
        " {name: after, wait: 400ms}]",
        "[{that: the server answers into the void, over: start .. end, client: {errors: {ReadTimeout: 1}}}]",
    )
    (connection,) = history.connections
    assert connection.closing.first_closer == "client"
    assert [reset["node"] for reset in history.resets] == ["client"], "the answer meets a socket that is gone"


def test_fifty_connections_between_two_samples_are_all_there(tell: Tell) -> None:
    history = tell(
        f"[{{name: load, request: {{from: client, url: {URL}, count: 50, concurrency: 5}}}}, {{wait: 200ms}}]",
        "[{that: all of them, over: start .. end,"
        " client: {connections: 50, first_fin: 50}, server: {connections: 50}}]",
    )
    assert len(history.connections) == 50
    assert all(states(connection.server)[:2] == ["SYN_RECV", "ESTABLISHED"] for connection in history.connections)
    assert history.unobserved == ()


def test_lost_events_make_the_trace_unbelieved_and_say_so(tell: Tell, tmp_path: Path) -> None:
    tell(f"[{{request: {{from: client, url: {URL}}}}}, {{wait: 200ms}}]", "[]")
    (run,) = (tmp_path / "runs").iterdir()
    events = run / "events.jsonl"
    whole = events.read_text()

    events.write_text(whole.replace('"lost":0', '"lost":7'))
    history = history_of(RunFolder.open(run))
    assert not history.exact
    assert "lost 7 events" in " ".join(history.notes)

    # One transition is missing: the kernel's counter tells.
    lines = whole.splitlines(keepends=True)
    events.write_text("".join(line for line in lines if '"new":"SYN_RECV"' not in line))
    history = history_of(RunFolder.open(run))
    assert not history.exact
    assert "server: the trace shows 0 connections accepted, the kernel counted 1" in history.notes


@pytest.fixture
def instances() -> Iterator[Callable[[], list[str]]]:
    """Names of all trace instances of the machine, as another process with tracefs sees them."""
    code = "import os; print(*os.listdir('/sys/kernel/tracing/instances'))"
    mounted = "[ -d /sys/kernel/tracing/instances ] || mount -t tracefs t /sys/kernel/tracing"
    argv = [
        "unshare",
        "-m",
        "sh",
        "-c",
        f'{mounted}; exec {sys.executable} -c "{code}"',
    ]
    yield lambda: subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("victim", ["simctl", "probe"])
def test_killed_in_the_middle_leaves_no_instance(
    simctl: Simctl, tmp_path: Path, instances: Callable[[], list[str]], victim: str
) -> None:
    argv = [sys.executable, "-m", "orchestrator", "run", "idle-close", "-r", "netns", "-o", str(tmp_path / "runs")]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "idle:" in line)
        probe = next(pid for pid in _children(process.pid) if b"observe.probe" in _command(pid))
        mine = [name for name in instances() if f"-{probe}-" in name]
        assert len(mine) == 1
        os.kill(process.pid if victim == "simctl" else probe, signal.SIGKILL)
        process.communicate(timeout=60)
    if victim == "probe":
        cleaned = simctl("clean")
        assert cleaned.returncode == 0, cleaned.stderr
        # Any other simctl of the machine that starts meanwhile removes it as well.
        assert f"removed trace instance {mine[0]}" in cleaned.stdout or mine[0] not in instances()
    deadline = time.monotonic() + 20
    while mine[0] in instances() or (RECORDS / mine[0]).exists():  # the record goes last
        assert time.monotonic() < deadline, "the instance or its record is still there"
        time.sleep(0.05)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text().split()]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_time_wait_lasts_what_the_kernel_says(tell: Tell) -> None:
    history = tell(
        f"[{{request: {{from: client, url: {URL}}}}}, {{name: wait, wait: 66s}}]",
        "[{that: TIME_WAIT takes its time, over: start .. end, client: {lasts: {TIME_WAIT: 60s..64.1s}}}]",
    )
    (connection,) = history.connections
    assert connection.client is not None
    assert connection.client.unknown[-1].before - connection.client.unknown[-1].after < 1e-6, "the timer's own event"


def test_json_report_has_every_state_of_both_ends(simctl: Simctl) -> None:
    done = simctl("run", "session-close", "-r", "netns", "--format", "json")
    document = json.loads(done.stdout)
    text = json.dumps(document["connections"])
    for state in ("SYN_SENT", "SYN_RECV", "FIN_WAIT1", "LAST_ACK"):
        assert state in text


def test_a_probe_that_is_told_twice_to_end_removes_its_instance() -> None:
    """A simctl that dies closes its input and has it sent SIGTERM: the signal comes while it is tidying up."""
    order = {"id": 1, "do": "trace", "addresses": {}, "unprivileged": False}
    for _ in range(5):
        argv = [sys.executable, "-P", "-m", "orchestrator.observe.probe"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as probe:
            assert probe.stdin is not None and probe.stdout is not None
            probe.stdin.write(json.dumps(order).encode() + b"\n")
            probe.stdin.flush()
            assert json.loads(probe.stdout.readline()) == {"re": 1, "untraced": None}
            assert list(RECORDS.glob(f"*-{probe.pid}-*"))
            probe.stdin.close()
            probe.send_signal(signal.SIGTERM)
            probe.wait(30)
        assert list(RECORDS.glob(f"*-{probe.pid}-*")) == []


LEFT = """
import sys
from pathlib import Path
from orchestrator.observe.trace.tracefs import _mounted
for number in range(20):
    name = f"simctl-{4_194_304 + number}-1"  # above every pid
    (Path(sys.argv[1]) / name).touch()
    instance = _mounted() / "instances" / name
    instance.mkdir()
    (instance / "buffer_size_kb").write_text("500")  # takes its time to go
"""
REMOVER = """
import sys
from pathlib import Path
from orchestrator.observe.trace.tracefs import remove_leftovers
print("ready", flush=True)
sys.stdin.readline()
remove_leftovers(Path(sys.argv[1]))
"""


def test_two_may_remove_at_once_what_a_killed_one_left(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LEFT, str(tmp_path)], check=True)
    argv = [sys.executable, "-c", REMOVER, str(tmp_path)]
    removers = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for remover in removers:
        assert remover.stdout is not None
        assert remover.stdout.readline() == "ready\n"
    for remover in removers:
        assert remover.stdin is not None
        remover.stdin.write("now\n")
        remover.stdin.flush()
    said = [remover.communicate()[1] for remover in removers]
    assert (said, [remover.returncode for remover in removers]) == ([""] * 3, [0] * 3)
    assert list(tmp_path.iterdir()) == []
