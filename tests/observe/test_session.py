"""Observing without a lab: a session watches network namespaces that simctl did not make."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from orchestrator.history.build import build_history
from orchestrator.history.model import History
from orchestrator.observe.localprobe import LocalProbe
from orchestrator.observe.session import Session, SessionFiles, declare
from orchestrator.recording.reader import read_events
from orchestrator.recording.verdict import Outcome
from orchestrator.tcp.states import TcpState as S
from tests.support import talker
from tests.support.builders import verdict

pytestmark = pytest.mark.netns

ONE, OTHER = "198.18.255.17", "198.18.255.18"
"""Of the two talkers that a pair of interfaces joins."""


class Talker:
    """The program, in a network namespace that `unshare` made."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdin is not None and process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self.pid = process.pid
        self.port = 0

    def started(self) -> Talker:
        """Once it listens."""
        self.port = int(self._output.readline())
        return self

    def do(self, line: str) -> None:
        print(line, file=self._input, flush=True)
        assert self._output.readline() == "done\n", "it does not do what it is told"


@contextmanager
def namespace(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A process in a network namespace of its own: of root's, or of a user namespace where we are not root."""
    how = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    with subprocess.Popen(
        [*how, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


@contextmanager
def talking(*argv: str) -> Iterator[Talker]:
    """A talker in a namespace of its own."""
    with namespace(sys.executable, talker.__file__, *argv) as process:
        yield Talker(process).started()


@contextmanager
def talking_inside(pid: int, *argv: str) -> Iterator[Talker]:
    """A talker in the network namespace of another process."""
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    command = ["nsenter", f"--target={pid}", *user, "--net", sys.executable, talker.__file__, *argv]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            yield Talker(process).started()
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    files = SessionFiles(tmp_path / "events.jsonl", tmp_path / "probe.log", tmp_path / "ss")
    with Session(lambda: LocalProbe(files.log), files) as one:
        yield one


def history(tmp_path: Path) -> History:
    return build_history(read_events(tmp_path / "events.jsonl"))


def user_namespace(pid: int) -> int | None:
    return None if os.geteuid() == 0 else pid


def test_a_plain_process_with_a_server_in_it_is_watched_recorded_and_judged(session: Session, tmp_path: Path) -> None:
    with talking() as one:
        session.start(user_namespace(one.pid))
        assert session.addresses(one.pid) == []
        session.begin([declare("web", [])])
        session.watch({"web": one.pid})
        session.sample(on=True)
        session.mark("start")
        one.do(f"connect 127.0.0.1 {one.port}")
        one.do("accept")
        session.mark("open.end")
        one.do("close")
        session.mark("half.end")
        one.do("leave")
        session.mark("end")
        session.finish("done")
        session.check_written()
    told = history(tmp_path)
    for expectation in (
        "{at: start, web: {LISTEN: 1, ESTABLISHED: 0}}",
        "{at: open.end, web: {ESTABLISHED: 2}}",
        "{at: half.end, web: {CLOSE_WAIT: 1, ESTABLISHED: 0}}",  # its peer is in FIN_WAIT1 until the delayed ACK
        "{at: end, web: {TIME_WAIT: 1, CLOSE_WAIT: 0}}",
        "{over: start .. end, web: {connections: 2}}",  # each end is one of web's
    ):
        found = verdict(told, expectation)
        assert found.outcome is Outcome.PASS, (expectation, found)
    assert verdict(told, "{at: end, web: {CLOSE_WAIT: 1}}").outcome is Outcome.FAIL
    (connection,) = told.connections
    assert connection.server is not None
    assert connection.server.comm is not None and connection.server.comm.startswith("python")
    assert f"127.0.0.1:{one.port}" in (tmp_path / "ss" / "open.end" / "web.ss.txt").read_text()


def test_what_shares_its_namespace_with_others_is_never_exact(session: Session, tmp_path: Path) -> None:
    """A stranger in the same namespace: the counters count what it does, and nobody can take that out of them."""
    with talking() as one, talking_inside(one.pid) as stranger:
        session.start(user_namespace(one.pid))
        session.begin([declare("web", [])])
        session.watch({"web": one.pid})
        session.sample(on=True)
        session.mark("start", texts=False)
        stranger.do(f"connect 127.0.0.1 {stranger.port}")
        session.mark("end", texts=False)
        session.finish("done")
        session.check_written()
    told = history(tmp_path)
    assert told.shared == {"web"}
    assert not told.exact
    assert any("others may use the network namespace of web" in note for note in told.notes)
    assert told.begin["nodes"][0]["shared"] is True


@pytest.fixture
def joined() -> Iterator[tuple[Talker, Talker]]:
    """Two talkers, each in a namespace of its own, with a pair of interfaces between them."""
    with ExitStack() as held:
        first, second = (held.enter_context(namespace("sleep", "infinity")) for _ in range(2))
        held.callback(first.kill)
        held.callback(second.kill)
        _await_namespaces([first, second])
        _ip("link", "add", "one", "netns", str(first.pid), "type", "veth", "peer", "other", "netns", str(second.pid))
        for side, name, address in ((first, "one", ONE), (second, "other", OTHER)):
            _ip("addr", "add", f"{address}/30", "dev", name, inside=side.pid)
            _ip("link", "set", name, "up", inside=side.pid)
        one = held.enter_context(talking_inside(first.pid, ONE))
        yield one, held.enter_context(talking_inside(second.pid, OTHER))


def _await_namespaces(sides: list[subprocess.Popen[str]]) -> None:
    own = Path("/proc/self/ns/net").readlink()
    for side in sides:
        while Path(f"/proc/{side.pid}/ns/net").readlink() == own:
            assert side.poll() is None, "unshare is refused"


def _ip(*words: str, inside: int | None = None) -> None:
    enter = [] if inside is None else ["nsenter", f"--target={inside}", "--net"]
    subprocess.run([*enter, "ip", *words], check=True)


@pytest.mark.usefixtures("as_root")
def test_two_namespaces_that_nobody_else_uses_are_known_exactly(
    session: Session, tmp_path: Path, joined: tuple[Talker, Talker]
) -> None:
    """As root the kernel reports every change of state there, too."""
    one, other = joined
    session.start()
    nodes = {"one": session.addresses(one.pid), "other": session.addresses(other.pid)}
    assert nodes == {"one": [ONE], "other": [OTHER]}
    session.begin([declare(name, addresses, shared=False) for name, addresses in nodes.items()])
    session.trace([ONE, OTHER])
    session.watch({"one": one.pid, "other": other.pid})
    session.sample(on=True)
    session.mark("start", texts=False)
    one.do(f"connect {OTHER} {other.port}")
    other.do("accept")
    one.do("close")
    other.do("leave")
    session.mark("end", texts=False)
    session.finish("done")
    session.check_written()

    told = history(tmp_path)
    assert told.exact, told.notes
    (connection,) = told.connections
    assert (connection.client_node, connection.server_node) == ("one", "other")
    assert connection.client is not None
    assert [interval.state for interval in connection.client.intervals] == [
        S.SYN_SENT, S.ESTABLISHED, S.FIN_WAIT1, S.FIN_WAIT2, S.TIME_WAIT,
    ]  # fmt: skip
    assert verdict(told, "{over: start .. end, one: {first_fin: 1}, other: {first_fin: 0}}").outcome is Outcome.PASS

    # The same recording, of namespaces that others may have been in: not a word more than the samples tell.
    path = tmp_path / "events.jsonl"
    first, *rest = path.read_text().splitlines(keepends=True)
    begin = json.loads(first)
    begin["nodes"][1]["shared"] = True
    path.write_text(json.dumps(begin) + "\n" + "".join(rest))
    told = history(tmp_path)
    assert told.shared == {"other"}
    assert not told.exact
