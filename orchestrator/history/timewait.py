"""When a minisocket turned from FIN_WAIT2 to TIME_WAIT, if it did: when the peer's FIN *arrived*.

The trace has no event for that. That the peer *sent* its FIN shows little: it may be lost, meet a NAT that answers with
a RST, or come too late. Witnesses, the surest first:
- Samples show the state itself, at each tick.
- The minisocket's timer is started again for its 60 s. The kernel reports that unless it stays in one slot of its
  wheel.
- The peer's LAST_ACK ends with the acknowledgment, so with a FIN that had arrived; unless a RST or the kernel's
  patience ended it.
- TIME_WAIT lasts 60 s at least. One that expired earlier never was one.
- A minisocket in FIN_WAIT2 answers data with a RST (TCP_TIMEWAIT_SOCKET), and is gone; one in TIME_WAIT sends none.

What none of them decides stays open: in FIN_WAIT2 or in TIME_WAIT.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.history.sampled import Life, NodeTicks
from orchestrator.history.tracedlife import TracedLife
from orchestrator.tcp.lifecycle import TIME_WAIT_SECONDS
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

_LATE = 0.001
"""Seconds. The peer's event of leaving CLOSING comes some microseconds before the birth of the minisocket that sent the
acknowledgment."""

_ANSWERED = 0.19
"""Seconds. An acknowledgment that comes sooner than the shortest retransmission timeout (TCP_RTO_MIN, 0.2 s) after what
it acknowledges was not the kernel's patience running out."""


@record
class Turn:
    """The peer's FIN arrived in the closed interval [after, before], s of the run, if `surely`; else then or never."""

    after: float
    before: float
    surely: bool = True


def turn_of(
    life: TracedLife, peer: TracedLife | None, seen: Sequence[Life], ticks: NodeTicks, slack: float
) -> Turn | None:
    """When the minisocket of a life turned; None when it never did.

    `peer`: the other end, where it is known. `seen`: what samples show of the life, dated up to `slack` seconds early.
    """
    assert life.mini is not None
    if life.answered is not None:
        return None
    turn = _by_peer(life, peer) if peer is not None else Turn(life.mini, math.inf, surely=False)
    if turn is not None and life.timed_out is not None:
        turn = _within(turn, turn.after, life.timed_out - TIME_WAIT_SECONDS)
    rearmed = next((t for t in life.rearmed if turn is not None and t >= turn.after - _LATE), None)
    if turn is not None and rearmed is not None and rearmed <= turn.before + _LATE:
        # A FIN that is sent again starts the timer again, whether it is the first that arrived or the acknowledgment of
        # that one was lost.
        again = peer is None or any(turn.after < t <= rearmed + _LATE for t in peer.sent_again)
        turn = Turn(min(turn.after, rearmed) if again else rearmed, rearmed)
    return _by_samples(life, turn, seen, ticks, slack)


def _by_peer(life: TracedLife, peer: TracedLife) -> Turn | None:
    """What the other end shows."""
    born, end = life.mini or 0.0, life.over
    fin = peer.entered(TcpState.LAST_ACK)
    if fin is None:
        closing, left = peer.entered(TcpState.CLOSING), peer.entered(TcpState.TIME_WAIT)
        if closing is None:
            return None  # it never closed after this end's FIN, so its own FIN was never sent
        if left is None:
            return Turn(max(born, closing), end, surely=False)
        return Turn(born, born) if left < born + _LATE else Turn(max(born, closing), left)
    if fin > end:
        return None
    after = max(born, fin)
    if peer.ended is None or peer.ended > end + _LATE:
        return Turn(after, end, surely=False)
    if peer.reset_received is not None and abs(peer.reset_received - peer.ended) <= _LATE:
        return None
    if peer.ended - max(fin, peer.sent_again[-1] if peer.sent_again else fin) > _ANSWERED:
        return Turn(after, peer.ended, surely=False)
    if fin <= born and peer.ended <= born + _LATE:
        return Turn(born, born)
    return Turn(after, max(after, peer.ended))


def _by_samples(
    life: TracedLife, turn: Turn | None, seen: Sequence[Life], ticks: NodeTicks, slack: float
) -> Turn | None:
    """The same, narrowed to what the samples show; they are right where the two do not agree."""
    born = life.mini or 0.0
    waiting, turned = _sightings(seen, ticks, born)
    if turned is not None:
        after = born if waiting is None else max(born, waiting)
        if turn is None or turn.after > turned + slack or turn.before < after:
            return Turn(after, turned + slack)
        return Turn(max(turn.after, after), min(turn.before, turned + slack))
    if waiting is None or turn is None:
        return turn
    return _within(turn, waiting, turn.before)


def _within(turn: Turn, after: float, before: float) -> Turn | None:
    """The turn in a narrower interval; None when it cannot lie there."""
    narrow = Turn(max(turn.after, after), min(turn.before, before), turn.surely)
    return narrow if narrow.after <= narrow.before else None


def _sightings(seen: Sequence[Life], ticks: NodeTicks, born: float) -> tuple[float | None, float | None]:
    """The last tick that shows the minisocket in FIN_WAIT2, and the first that shows it in TIME_WAIT."""
    waiting: float | None = None
    turned: float | None = None
    for one in seen:
        for position, (first, state) in enumerate(one.sightings):
            following = one.sightings[position + 1][0] if position + 1 < len(one.sightings) else one.gone
            last = ticks.times[-1] if following is None else ticks.before(following)
            if state is TcpState.TIME_WAIT:
                turned = first if turned is None else min(turned, first)
            elif state is TcpState.FIN_WAIT2 and last is not None and last > born:
                waiting = last if waiting is None else max(waiting, last)
    return waiting, turned
