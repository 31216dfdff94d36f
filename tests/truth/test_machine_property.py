"""What an end really was is always among what the model holds possible: two ends by the rules of TCP, and any loss."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tests.truth.handmade import CLIENT_KEY, SERVER_KEY, Recording, Talk
from tests.truth.model_wire import ACK, FIN, RST, SYN


@dataclass
class _End:
    """A toy of an end, as RFC 9293 has it; `full` until its program closed, then data is answered with a RST."""

    state: str = "CLOSED"
    acked: bool = False
    """Whether the other end has acknowledged its FIN."""
    peer_fin: bool = False
    closed: bool = False


_FIN = {"ESTABLISHED": "FIN_WAIT1", "CLOSE_WAIT": "LAST_ACK"}
_GOT_FIN = {"ESTABLISHED": "CLOSE_WAIT", "FIN_WAIT1": "CLOSING", "FIN_WAIT2": "TIME_WAIT"}
_GOT_ACK = {"FIN_WAIT1": "FIN_WAIT2", "CLOSING": "TIME_WAIT", "LAST_ACK": "CLOSED"}
_SENDS = ("ESTABLISHED", "CLOSE_WAIT")


class _Simulation:
    def __init__(self) -> None:
        self.talk = Talk().open(1.0)
        self.ends = [_End("ESTABLISHED"), _End("ESTABLISHED")]
        self.t = 2.0
        self.history: list[tuple[float, str, str]] = []

    def do(self, who: int, action: str, arrives: bool, answer_arrives: bool) -> None:
        end = self.ends[who]
        if action == "fin" and end.state in _FIN:
            end.state = _FIN[end.state]
            end.closed = True
            self._segment(who, FIN | ACK, 0, arrives, answer_arrives)
        elif action == "fin" and end.closed and not end.acked and end.state != "CLOSED":
            self._segment(who, FIN | ACK, 0, arrives, answer_arrives, again=True)
        elif action == "data" and end.state in _SENDS:
            self._segment(who, ACK, 20, arrives, answer_arrives)
        elif action == "reset" and end.state in _SENDS:
            self.talk.say(who, self.t, RST | ACK, arrives=False)
            end.state = "CLOSED"
            if arrives and self.ends[1 - who].state != "CLOSED":
                self.ends[1 - who].state = "CLOSED"
        self.t += 0.3
        self.history.append((self.t - 0.1, self.ends[0].state, self.ends[1].state))

    def _segment(
        self, who: int, flags: int, size: int, arrives: bool, answer_arrives: bool, *, again: bool = False
    ) -> None:
        other = self.ends[1 - who]
        hole = self.talk.got[1 - who] != (self.talk.next[who] - 1 if again else self.talk.next[who])
        self.talk.say(who, self.t, flags, size, again=again, arrives=arrives and not hole and other.state != "CLOSED")
        if arrives:
            self._arrived(who, flags, size, hole, answer_arrives)

    def _arrived(self, who: int, flags: int, size: int, hole: bool, answer_arrives: bool) -> None:
        end, other = self.ends[who], self.ends[1 - who]
        if other.state == "CLOSED":
            self.talk.say(1 - who, self.t + 0.0001, RST, arrives=False)
            if answer_arrives:
                end.state = "CLOSED"
            return
        # Its ACK number tells the other end that its own FIN arrived.
        if end.peer_fin and not other.acked and other.closed:
            other.acked = True
            other.state = _GOT_ACK.get(other.state, other.state)
            if other.state == "CLOSED":
                return
        if size and other.closed and other.state == "FIN_WAIT2":
            self.talk.say(1 - who, self.t + 0.0001, RST, arrives=False)
            other.state = "CLOSED"
            if answer_arrives:
                end.state = "CLOSED"
            return
        if flags & FIN and not hole and not other.peer_fin:
            other.peer_fin = True
            other.state = _GOT_FIN[other.state]
        self.talk.ack(1 - who, self.t + 0.0001)
        if answer_arrives and end.closed and other.peer_fin and not end.acked:
            end.acked = True
            end.state = _GOT_ACK.get(end.state, end.state)


_STEP = st.tuples(st.integers(0, 1), st.sampled_from(["fin", "fin", "data", "reset"]), st.booleans(), st.booleans())


@given(st.lists(_STEP, max_size=7))
def test_the_true_state_is_always_possible(steps: list[tuple[int, str, bool, bool]]) -> None:
    simulation = _Simulation()
    for step in steps:
        simulation.do(*step)
    (connection,) = Recording([simulation.talk], until=20.0).truth().connections
    client, server = connection.known[CLIENT_KEY], connection.known[SERVER_KEY]
    assert not client.lost, client.lost
    assert not server.lost, server.lost
    for t, *true in simulation.history:
        for known, state in zip((client, server), true, strict=True):
            assert state in known.at(t), f"at {t}"


def test_the_simulation_reaches_what_matters() -> None:
    """A property that never sees TIME_WAIT would hold for the wrong reason."""
    simulation = _Simulation()
    for step in ((1, "fin", True, True), (0, "fin", False, False), (0, "fin", True, False)):
        simulation.do(*step)
    assert [states for _, *states in simulation.history] == [
        ["CLOSE_WAIT", "FIN_WAIT2"],
        ["LAST_ACK", "FIN_WAIT2"],
        ["LAST_ACK", "TIME_WAIT"],
    ]
    assert any(segment.has(SYN) for segment in simulation.talk.segments)
