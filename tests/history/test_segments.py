"""Which SYN on the wire is of which call, on a pair of addresses that is used again and again."""

from __future__ import annotations

import pytest

from orchestrator.history.segments import Wire, segment_of
from orchestrator.recording.events import Event

PAIR = ("198.18.0.2:41000", "198.18.0.3:8080")


def syn(t: float, number: int) -> Event:
    local, peer = PAIR
    return {"t": t, "node": "client", "local": local, "peer": peer, "flags": "S", "seq": number, "ack": 0, "len": 0}


@pytest.mark.parametrize(
    ("called", "syns", "expected"),
    [
        (1.0, [1.00006], 0),
        (1.0, [1.00006, 1.0007], 0),
        (1.0006, [1.00006, 1.0007], 1),  # again within a millisecond
        (1.0, [0.99999], 0),  # two clocks
        (1.0, [0.9995, 2.5], 0),
        (1.0, [0.998, 2.5], 1),  # it waited for a neighbour
        (1.0, [0.998], None),
    ],
)
def test_a_call_and_its_syn(called: float, syns: list[float], expected: int | None) -> None:
    life = Wire(segment_of(syn(t, 1000 * number)) for number, t in enumerate(syns)).of_call(PAIR, called, called)
    assert (life.syn.seq // 1000 if life else None) == expected
