"""What a node's program may say, and what is made of everything else."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from orchestrator.bounds import NODE_LINE, NODE_LOG
from orchestrator.errors import NodeFailure
from orchestrator.lab.channel import Channel
from orchestrator.lab.nodelines import NodeLines, Refused
from orchestrator.recording.events import Event
from orchestrator.runtimes.base import StartedNode
from tests.torture.hostile import ADDRESSES, event

SERVED = event("served", **ADDRESSES)


def heard(tmp_path: Path, *lines: bytes | Event, role: str | None = "server") -> tuple[Channel, list[Event], bytes]:
    """A channel whose node has said all that, what it reported, and its log."""
    import json

    said = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    events: list[Event] = []
    node = StartedNode("evil", 1, io.BytesIO(), io.BytesIO(said))
    channel = Channel(node, tmp_path / "evil.log", lambda name, found: events.append(found), role)
    assert channel.wait_exited(30)
    channel.join()
    return channel, events, (tmp_path / "evil.log").read_bytes()


def refusal(tmp_path: Path, *lines: bytes | Event, role: str | None = "server") -> str:
    channel, _, _ = heard(tmp_path, *lines, role=role)
    with pytest.raises(NodeFailure) as caught:
        channel.check()
    return caught.value.message


def test_what_it_may_say(tmp_path: Path) -> None:
    channel, events, log = heard(
        tmp_path, b"starting\n", event("ready"), SERVED, b'{"level": "info"}\n', b"{ no JSON\n"
    )
    channel.check()
    assert channel.reported_ready
    assert [one["ev"] for one in events] == ["served"]
    assert log == b'starting\n{"level": "info"}\n{ no JSON\n'


@pytest.mark.parametrize("ev", ["traced", "note", "state", "end", "begin", "tick", "moment", "socket", "request", "x"])
def test_what_only_others_may_say(tmp_path: Path, ev: str) -> None:
    said = refusal(tmp_path, event(ev))
    assert said == f"node evil wrote a line `{ev}`, which it may not: its kind may write answered, closed, served"


def test_what_a_client_may_say(tmp_path: Path) -> None:
    load = {"ev": "load", "t": 1.0, "rate": 5.0, "asked": 10, "sent": 10, "late": 0, "lateness": 0.001}
    _, events, _ = heard(tmp_path, event("request", status=200), load, role="client")
    assert events[0]["status"] == 200
    assert (events[1]["asked"], events[1]["step"]) == (10, ""), "of no command that it was given"
    assert "the field `asked` is missing" in refusal(tmp_path, {"ev": "load", "t": 1.0, "rate": 5}, role="client")
    assert "which it may not: its kind may write load, raw, request" in refusal(tmp_path, SERVED, role="client")


def test_after_a_refusal_nothing_is_believed(tmp_path: Path) -> None:
    channel, events, log = heard(tmp_path, event("note"), event("ready"), SERVED, b"more\n")
    assert (channel.reported_ready, events, log) == (False, [], b"")


def test_a_program_that_does_not_report_may_print_what_it_likes(tmp_path: Path) -> None:
    """A server in an image of the user's may log JSON lines with a key `ev`."""
    channel, events, log = heard(tmp_path, event("note"), b'{"ev": cut\n', event("served"), role=None)
    channel.check()
    assert (events, log.count(b"\n")) == ([], 3)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"ev": "done"}\n', "without the number of its command"),
        (b'{"ev": "done", "id": {}}\n', "without the number of its command"),
        (b'{"ev": "done", "id": 7}\n', "says that command 7 is done, which it was not given"),
        (b'{"ev": "exited", "status": "x"}\n', "no whole number"),
        (b'{"ev": "request", "t": ' + b"9" * 4000 + b"}\n", "`t` must be a number"),
        (b'{"ev": "request", "t": NaN}\n\nmore\n', "no JSON"),
        (b'{"ev": "request", "t": 1, "x": ' + b"[" * 100_000 + b"\nmore\n", "no JSON"),
        (b'{"ev": "request", "t": 1, "local": "nowhere"}\n', "`local` must be an address with a port"),
        (b'{"ev": "request", "t": 1, "error": {"name": 5}}\n', "must be a text"),
        (b'{"ev": "request", ' + b"x" * (NODE_LINE.limit + 5) + b"\nmore\n", "no JSON"),
    ],
    ids=range(10),
)
def test_what_is_said_wrong(tmp_path: Path, line: bytes, says: str) -> None:
    said = refusal(tmp_path, line, role="client")
    assert says in said
    assert said.startswith("node evil ")
    assert len(said) < 500


def test_a_program_that_was_killed_in_the_middle_of_a_line_did_no_wrong(tmp_path: Path) -> None:
    exited = b'\n{"ev": "exited", "signal": 9}\n'
    for lines in ([b'{"ev": "serv', exited], [b'{"ev": "serv']):
        channel, _, _ = heard(tmp_path, *lines)
        channel.check()
    assert channel.exited is None
    assert "no JSON" in refusal(tmp_path, b'{"ev": "serv\n', SERVED)


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    channel, _, log = heard(tmp_path, b"x" * (3 * NODE_LINE.limit) + b"\n", b"next\n")
    channel.check()
    assert len(log) < 2 * NODE_LINE.limit
    assert log.endswith(b"cut off by simctl\nnext\n")


def test_a_log_without_end_is_the_node_s_failure(tmp_path: Path) -> None:
    line = b"x" * (NODE_LINE.limit - 1) + b"\n"
    channel, _, log = heard(tmp_path, *([line] * (NODE_LOG.limit // len(line) + 3)))
    assert len(log) == NODE_LOG.limit, "cut off when the node is gone"
    with (tmp_path / "evil.log").open("ab") as more:
        more.write(b"x")
    with pytest.raises(NodeFailure, match="filled its log"):
        channel.check()


def test_a_thread_that_reads_never_ends_without_saying_so(tmp_path: Path) -> None:
    """Whoever waits for a node must not wait for ever because of what it said."""

    class Broken(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            raise OSError("gone")

    node = StartedNode("evil", 1, io.BytesIO(), Broken())
    channel = Channel(node, tmp_path / "evil.log", lambda name, found: None)
    assert channel.wait_exited(30)
    assert not [thread for thread in threading.enumerate() if thread.name == "read-evil" and thread.is_alive()]


def _fuzz() -> Iterable[bytes]:
    from tests.torture import hostile

    return [b'{"ev": "served"', hostile.deep(50_000).encode(), b'{"ev": 1}', b'{"ev": "\\ud800"}', b"[]", b"{}"]


@pytest.mark.parametrize("line", _fuzz(), ids=range(6))
def test_nothing_but_a_refusal_comes_of_it(line: bytes) -> None:
    for role in ("server", "client", None):
        try:
            NodeLines("evil", role).read(line)
        except Refused as refused:
            assert len(str(refused)) < 500
