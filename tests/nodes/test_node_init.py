"""nodes/base/init.py as a real process: the gate, the streams, signals, the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.system.resources import NODES
from tests.support.node_process import PATIENCE, node

INIT = [sys.executable, str(NODES / "base" / "init.py")]
TO_PROGRAM = 34
"""As in init.py, which simctl cannot import, and in orchestrator/runtimes/processes.py."""
LINGER = {"SIMCTL_LINGER": "1"}


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that has no event of its own."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def say(event: str) -> str:
    return f'echo \'{{"ev": "{event}"}}\''


def test_nothing_runs_before_go(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with node([*INIT, "touch", str(mark)]) as init:
        assert init.end() == 0
        assert not mark.exists()


def test_a_line_that_only_begins_like_go_opens_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with node([*INIT, "touch", str(mark)]) as init:
        init.write(b"gone\n go\ngo")
        assert init.end() == 0
        assert not mark.exists()


def test_what_follows_go_belongs_to_the_program() -> None:
    with node([*INIT, "sh", "-c", 'read line; echo "{\\"ev\\": \\"$line\\"}"']) as init:
        init.write(b"go\nfirst\nsecond\n")
        assert init.next("first") == {"ev": "first"}
        assert init.process.wait(PATIENCE) == 0


def test_without_an_input_nobody_is_waited_for() -> None:
    """As in a plain `docker compose up`."""
    program = [*INIT, "sh", "-c", "echo started; exit 7"]
    done = subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (7, b"started\n")


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill $$", 143)])
def test_it_ends_as_the_program_ends(script: str, status: int) -> None:
    with node([*INIT, "sh", "-c", script]) as init:
        init.write(b"go\n")
        assert init.process.wait(PATIENCE) == status


@pytest.mark.parametrize(
    ("script", "how", "number", "status"),
    [("exit 7", "status", 7, 7), ("exit 0", "status", 0, 0), ("kill -9 $$", "signal", 9, 137)],
)
def test_lingering_it_reports_the_end_and_stays(script: str, how: str, number: int, status: int) -> None:
    with node([*INIT, "sh", "-c", script], **LINGER) as init:
        init.write(b"go\n")
        event = init.next("exited")
        assert event[how] == number
        assert event["t"] <= time.monotonic()
        assert init.process.poll() is None
        assert init.end() == status


def test_a_line_that_the_program_did_not_finish_does_not_hide_its_end() -> None:
    process = subprocess.Popen(
        [*INIT, "sh", "-c", 'printf \'{"ev": "cut\''],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **LINGER},
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()
    assert process.stdout.readline() == b'{"ev": "cut\n'
    assert process.stdout.readline().startswith(b'{"ev": "exited"')
    process.communicate()


def test_the_program_does_not_see_the_switch_for_lingering() -> None:
    with node([*INIT, "sh", "-c", 'exit "${SIMCTL_LINGER:-5}"'], **LINGER) as init:
        init.write(b"go\n")
        assert init.next("exited")["status"] == 5


@pytest.mark.parametrize(("name", "status"), [("no-such-program", 127), ("/etc/passwd", 126)])
@pytest.mark.parametrize("linger", ["", "1"])
def test_a_program_that_cannot_start(name: str, status: int, linger: str) -> None:
    with node([*INIT, name], SIMCTL_LINGER=linger) as init:
        init.write(b"go\n")
        if linger:
            assert init.next("exited")["status"] == status
        else:
            assert init.process.wait(PATIENCE) == status
        init.end()
        log = init.log()
        assert name in log
        assert len(log.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_program(number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"sleep 60 & trap 'kill $!; exit 3' {name}; {say('up')}; wait"  # no sleep that nobody ends
    with node([*INIT, "sh", "-c", script]) as init:
        init.write(b"go\n")
        init.next("up")
        init.process.send_signal(number)
        assert init.process.wait(PATIENCE) == 3


def test_a_signal_before_go_ends_it() -> None:
    with node([*INIT, "true"]) as init:
        until(lambda: handles(init.process.pid, signal.SIGTERM))
        init.process.terminate()
        assert init.process.wait(PATIENCE) == 128 + signal.SIGTERM


def test_a_signal_after_the_end_of_the_program_does_not_cost_a_lingering_init_its_namespaces() -> None:
    with node([*INIT, "sh", "-c", say("up")], **LINGER) as init:
        init.write(b"go\n")
        init.next("exited")
        init.process.terminate()
        init.write(b"go\n")
        assert init.next("up")
        init.next("exited")
        assert init.end() == 0


def test_lingering_it_starts_the_program_again_with_other_variables() -> None:
    script = 'read word; echo "{\\"ev\\": \\"said\\", \\"words\\": [\\"$COLOUR\\", \\"$word\\"]}"; exit 3'
    with node([*INIT, "sh", "-c", script], **LINGER, COLOUR="red") as init:
        init.write(b"go\none\nnobody read this\n")
        assert init.next("said")["words"] == ["red", "one"]
        assert init.next("exited")["status"] == 3
        init.write(b'go {"COLOUR": "gr\xc3\xbcn"}\ntwo\n')
        assert init.next("said")["words"] == ["grün", "two"]
        init.next("exited")
        init.write(b"go\nthree\n")
        assert init.next("said")["words"] == ["grün", "three"]
        init.next("exited")
        assert init.end() == 3


def test_a_program_that_cannot_start_can_be_asked_for_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    with node([*INIT, str(program)], **LINGER) as init:
        init.write(b"go\n")
        assert init.next("exited")["status"] == 127
        program.write_text("#!/bin/sh\nexit 0\n")
        program.chmod(0o755)
        init.write(b"go\n")
        assert init.next("exited")["status"] == 0


def test_a_signal_can_be_for_the_program_without_its_children() -> None:
    code = """
import os, signal, sys, time
told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append(1))
child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(len(told)))
    os.write(1, b'{"ev": "up"}\\n')
    while True:
        signal.pause()
while not told:
    time.sleep(0.01)
os.kill(child, signal.SIGTERM)
sys.exit(10 + os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    with node([*INIT, sys.executable, "-c", code]) as init:
        init.write(b"go\n")
        init.next("up")
        init.process.send_signal(TO_PROGRAM + signal.SIGUSR1)
        assert init.process.wait(PATIENCE) == 10


def test_the_program_gets_its_signals_at_their_defaults() -> None:
    argv = ["env", "--ignore-signal=USR1", *INIT, "sh", "-c", "grep -E 'Sig(Ign|Blk)' /proc/self/status >&2"]
    with node(argv) as init:
        init.write(b"go\n")
        assert init.process.wait(PATIENCE) == 0
        masks = {name: int(mask, 16) for name, mask in (line.split(":") for line in init.log().splitlines())}
    glibc_internal = 0b11 << 31  # signals 32 and 33, which glibc's posix_spawn leaves ignored
    assert masks["SigBlk"] == 0
    assert masks["SigIgn"] & ~glibc_internal == 0


def test_hang_up_kills_the_program_and_its_children() -> None:
    script = 'sleep 60 & echo "{\\"ev\\": \\"pids\\", \\"pids\\": [$$, $!]}"; trap \'\' TERM HUP; wait'
    with node([*INIT, "sh", "-c", script]) as init:
        init.write(b"go\n")
        pids = init.next("pids")["pids"]
        assert all(alive(pid) for pid in pids)
        init.end()
        until(lambda: not any(alive(pid) for pid in pids))


def test_half_closing_a_unix_socket_is_a_hang_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen([*INIT, "sleep", "60"], stdin=theirs.fileno(), stdout=subprocess.DEVNULL)
        ours.sendall(b"go\n")
        until(lambda: len(children(process.pid)) == 1)
        ours.shutdown(socket.SHUT_WR)
        process.wait(PATIENCE)


def test_it_can_be_called_in_a_forked_process() -> None:
    """As the spawner of the netns runtime does."""
    code = f"""
import importlib.util, os
spec = importlib.util.spec_from_file_location("init", {INIT[1]!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
pid = os.fork()
if pid == 0:
    os._exit(module.main(["sh", "-c", "exit 9"]))
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    with node([sys.executable, "-c", code]) as process:
        process.write(b"go\n")
        assert process.process.wait(PATIENCE) == 9


needs_root = pytest.mark.usefixtures("as_root")
PID_1 = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *INIT]


@needs_root
def test_as_pid_1_it_reaps_orphans() -> None:
    """A double fork leaves an orphan to pid 1; a zombie would stay in /proc for ever."""
    orphans = "for i in 1 2 3 4 5; do (sh -c 'exit 0' & ) ; done"
    script = f"{orphans}; while grep -qs zombie /proc/[0-9]*/status; do sleep 0.01; done; {say('clean')}; read line"
    with node([*PID_1, "sh", "-c", script]) as init:
        init.write(b"go\n")
        init.next("clean")
        init.write(b"\n")
        assert init.process.wait(PATIENCE) == 0


@needs_root
def test_as_pid_1_its_hang_up_leaves_nothing_even_in_other_sessions() -> None:
    name = f"simctl-test-{os.getpid()}"
    script = f"setsid sh -c 'sleep 60; : {name}' & {say('up')}; wait"
    with node([*PID_1, "sh", "-c", script]) as init:
        init.write(b"go\n")
        init.next("up")
        until(lambda: running(name) >= 2)
        init.end()
        until(lambda: running(name) == 0)


@needs_root
def test_as_pid_1_it_outlives_the_killed_program() -> None:
    with node([*PID_1, "sleep", "60"], **LINGER) as init:
        init.write(b"go\n")
        until(lambda: len(family(init.process.pid)) == 3)
        os.kill(family(init.process.pid)[-1], signal.SIGKILL)
        assert init.next("exited")["signal"] == signal.SIGKILL
        assert init.process.poll() is None
        init.end()


def children(pid: int) -> list[int]:
    """Grandchildren not included."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def family(pid: int) -> list[int]:
    """The process and its line of first children."""
    line = [pid]
    while below := children(line[-1]):
        line.append(below[0])
    return line


def running(text: str) -> int:
    """How many processes have this text in their command line."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += text.encode() in path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def handles(pid: int, number: int) -> bool:
    """Whether the process has a handler for this signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)
