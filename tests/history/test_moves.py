"""An address that moves: of which node the kernel's events are. And what a step closed from outside."""

from __future__ import annotations

from orchestrator.history.destroyed import REASON, with_reasons
from orchestrator.history.moves import TAKEN, Moves, moves_of
from orchestrator.recording.events import Event
from orchestrator.scenario.steps import EFFECTS

NODES: list[Event] = [
    {"name": "one", "addresses": ["198.18.0.2", "198.18.0.9"]},
    {"name": "two", "addresses": ["198.18.0.3"]},
]
STEP: Event = {"t": 5.0, "ev": "node", "node": "two", "what": TAKEN, "detail": {"address": "198.18.0.9"}}
LOOK: Event = {"t": 5.2, "ev": "address", "node": "two", "address": "198.18.0.9"}


def state(t: float, number: int, old: str, new: str, local: str = "198.18.0.9:80") -> Event:
    return {"t": t, "ev": "state", "a": number, "local": local, "peer": "198.18.0.4:4", "old": old, "new": new}


def test_the_step_says_when_and_a_look_at_the_nodes_agrees() -> None:
    first, moves = moves_of(NODES, [LOOK], [STEP])
    assert (first["198.18.0.9"], moves.holders("198.18.0.9")) == ("one", {"one", "two"})
    assert [moves.holder("198.18.0.9", t) for t in (0.0, 4.9, 5.0, 9.0)] == ["one", "one", "two", "two"]
    assert moves.holder("198.18.0.2", 9.0) is None, "it never moved"
    assert moves_of(NODES, [LOOK], [])[1].holder("198.18.0.9", 5.3) == "two", "a command in a node moved it"
    assert moves_of(NODES, [], [])[1] == Moves()


def test_a_socket_stays_that_of_the_node_where_it_was_born() -> None:
    _, moves = moves_of(NODES, [], [STEP])
    lines = [
        state(1.0, 7, "LISTEN", "SYN_RECV"),
        state(1.1, 7, "SYN_RECV", "ESTABLISHED"),
        {"t": 6.0, "ev": "rst", "a": 0, "local": "198.18.0.9:80", "peer": "198.18.0.4:4"},
        state(7.0, 7, "ESTABLISHED", "FIN_WAIT1"),
        state(8.0, 7, "CLOSED", "SYN_SENT"),
        state(8.1, 9, "CLOSED", "SYN_SENT", "198.18.0.2:5"),
        {"t": 8.2, "ev": "timer", "timer": 1, "what": "start"},
    ]
    found = list(moves.named(lines, {"198.18.0.2:5": "one"}))
    assert [line.get("node") for line in found] == ["one", "one", "two", "one", "two", "one", None]


def test_a_rst_of_a_step_that_closes_from_outside_is_no_program_s() -> None:
    happened: list[Event] = [
        {"t": 1.0, "node": "one", "what": "destroying"},
        {"t": 1.1, "node": "one", "what": "destroyed"},
    ]
    resets: list[Event] = [
        {"t": 1.05, "node": "one", "reason": "TCP_STATE"},
        {"t": 1.05, "node": "two", "reason": "TCP_STATE"},
        {"t": 1.05, "node": "one", "reason": "NO_SOCKET"},
        {"t": 1.2, "node": "one", "reason": "TCP_STATE"},
    ]
    assert [one["reason"] for one in with_reasons(resets, happened)] == [REASON, "TCP_STATE", "NO_SOCKET", "TCP_STATE"]


def test_history_and_steps_use_the_same_words() -> None:
    assert {TAKEN, "destroying", "destroyed"} <= EFFECTS.keys()
