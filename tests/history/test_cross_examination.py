"""A recording of two connections in which one witness of one socket is made to lie: it is found, that socket's facts
become unknown around that time, and those of the others stay known."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.history.build import build_history, history_of
from orchestrator.history.crossexamination import doubted
from orchestrator.history.model import Contradiction, History, Socket, StateInterval
from orchestrator.history.sampled import NodeTicks
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.reader import read_events
from orchestrator.recording.verdict import Outcome
from orchestrator.tcp.states import TcpState
from tests.support.builders import verdict

RECORDED = Path(__file__).parents[1] / "data" / "format2" / "two-connections"

Line = dict[str, Any]

OTHER, LIED_OF = "57932", "57948"
"""Ports of the two clients' sockets."""


@dataclass(frozen=True)
class Lie:
    """What is changed, and what then is to be seen."""

    node: str
    witness: str
    at: str
    """The moment at which two sockets were in `state`; the lie says that one was not."""
    state: str
    near: float
    """Around when, s of the run."""
    events: Callable[[Line], Line] = lambda line: line
    text: tuple[str, str] | None = None


def _if(changed: Line, **which: Any) -> Callable[[Line], Line]:
    def change(line: Line) -> Line:
        same = all(line.get(key) == value for key, value in which.items())
        return line | changed if same and LIED_OF in line["local"] + line["peer"] else line

    return change


def _sample(node: str, t: float, state: str) -> Callable[[Line], Line]:
    return _if({"state": state}, ev="socket", node=node, t=t)


LIES = {
    "a sample of the server": Lie(
        "server", "sample", "settle.start + 1600ms", "FIN_WAIT2", 5.35, _sample("server", 5.349349, "CLOSE_WAIT")
    ),
    "a sample of the client": Lie(
        "client", "sample", "settle.start + 1600ms", "CLOSE_WAIT", 5.35, _sample("client", 5.349349, "FIN_WAIT2")
    ),
    "a line of the trace": Lie(
        "client", "sample", "settle.start + 1600ms", "CLOSE_WAIT", 5.35,
        _if({"new": "FIN_WAIT1"}, ev="state", new="CLOSE_WAIT"),
    ),
    "ss": Lie("client", "ss", "settle.start", "ESTABLISHED", 3.83, text=("client.ss.txt", "CLOSE-WAIT")),
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    shutil.copytree(RECORDED, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def _told(folder: Path, lie: Lie | None = None) -> History:
    path = folder / "events.jsonl"
    if lie is not None:
        before = [json.loads(line) for line in path.read_text().splitlines()]
        after = [lie.events(line) for line in before]
        path.write_text("".join(json.dumps(line) + "\n" for line in after))
        changed = sum(one != other for one, other in zip(before, after, strict=True))
        if lie.text is not None:
            text = folder / "ss" / "settle.start" / lie.text[0]
            lines = text.read_text().splitlines(keepends=True)
            lied = [line.replace("ESTAB ", lie.text[1] + " ") if LIED_OF in line else line for line in lines]
            changed += sum(one != other for one, other in zip(lines, lied, strict=True))
            text.write_text("".join(lied))
        assert changed == 1
    history = history_of(RunFolder(folder))
    assert history.exact, "one socket does not cost the run its trace"
    return history


def _outcome(history: History, lie: Lie, count: int) -> Outcome:
    return verdict(history, f"{{at: {lie.at}, {lie.node}: {{{lie.state}: {count}}}}}").outcome


def test_the_recording_itself_contradicts_nothing(run: Path) -> None:
    history = _told(run)
    assert history.contradictions == ()
    for lie in LIES.values():
        assert [_outcome(history, lie, count) for count in range(4)] == [
            *[Outcome.FAIL] * 2,
            Outcome.PASS,
            Outcome.FAIL,
        ]
    assert build_history(read_events(run / "events.jsonl")).exact


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found_and_costs_its_socket_alone(run: Path, name: str) -> None:
    lie, true = LIES[name], _told(run)
    told = _told(run, lie)
    assert told.contradictions
    for one in told.contradictions:
        assert (one.node, one.witness) == (lie.node, lie.witness)
        assert LIED_OF in one.local + one.peer
        assert one.shown not in one.held
    assert min(abs(one.t - lie.near) for one in told.contradictions) < 0.1
    # One of the two is still known to be in the state, so no count but 1 and 2 can be right.
    expected = [Outcome.FAIL, Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.FAIL]
    assert [_outcome(told, lie, count) for count in range(4)] == expected

    def others(history: History) -> list[Any]:
        return [
            (one.node, one.local, one.intervals, one.unknown)
            for one in history.sockets
            if not (one.node == lie.node and LIED_OF in one.local + one.peer)
        ]

    assert len(others(told)) == 4
    assert others(told) == others(true)


def test_of_a_life_that_is_all_in_doubt_nobody_says_that_it_ends_as_it_was_born() -> None:
    """A client that came, asked and closed between two samples, and a last sample that is ahead of the trace."""
    stays = tuple(
        StateInterval(state, first, last)
        for state, first, last in (
            (TcpState.SYN_SENT, 1.12, 1.13), (TcpState.ESTABLISHED, 1.13, 1.15), (TcpState.FIN_WAIT1, 1.15, 1.2)
        )
    )  # fmt: skip
    socket = Socket("client", "1", "198.18.0.2:41000", "198.18.0.3:8080", stays, (), ())
    told = Contradiction(
        "client",
        "1",
        socket.local,
        socket.peer,
        1.2,
        "sample",
        TcpState.TIME_WAIT,
        frozenset({TcpState.FIN_WAIT1}),
        1.2,
    )
    (left,) = doubted(socket, [told], NodeTicks((1.0, 1.1, 1.2), ())).intervals
    assert left == (TcpState.FIN_WAIT1, 1.2, 1.2)
