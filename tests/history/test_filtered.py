"""What a rule answered in a node's name: on the wire, in no counter, and sent by no node."""

from __future__ import annotations

import pytest

from orchestrator.history.filtered import answers
from orchestrator.history.resets import complete_resets
from orchestrator.history.segments import FILTER
from orchestrator.history.slowness import slowest
from orchestrator.recording.events import Event
from tests.history.test_untold_resets import CLIENT, NODES, RECEIVED, SERVER


def taken(flags: str, verdict: str = "reset", seq: int = 100, ack: int = 7, size: int = 0) -> Event:
    return {
        "t": 2.599, "ev": "filtered", "node": "client", "step": "refuse", "verdict": verdict, "protocol": "tcp",
        "local": CLIENT, "peer": SERVER, "flags": flags, "seq": seq, "ack": ack, "len": size,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (taken("S", ack=0), ("R.", 0, 101)),
        (taken("P.", size=10), ("R", 7, 0)),
        (taken("F.", size=10), ("R", 7, 0)),
        (taken("S", seq=(1 << 32) - 1, ack=0), ("R.", 0, 0)),
        (taken("S", "host-unreachable", ack=0), ("ICMP", 0, 0)),
    ],
)
def test_the_answer_of_a_rule(packet: Event, answer: tuple[str, int, int]) -> None:
    (line,) = answers(packet)
    assert (line["flags"], line["seq"], line["ack"]) == answer
    assert (line["node"], line["local"], line["peer"]) == (FILTER, SERVER, CLIENT)


@pytest.mark.parametrize("packet", [taken("P.", "drop"), taken("R"), taken("R.")])
def test_what_is_not_answered(packet: Event) -> None:
    assert list(answers(packet)) == []


def test_a_reset_by_a_rule_is_not_the_server_s() -> None:
    """Nor is the next one, which came from nowhere else, the rule's."""
    (line,) = answers(taken("P."))
    found = complete_resets([RECEIVED, RECEIVED | {"t": 9.0}], NODES, segments=[line])
    sent = [(event["node"], event.get("rule", False)) for event in found if event["ev"] == "rst"]
    assert sent == [(FILTER, True), ("server", False)]


def impaired(**detail: object) -> Event:
    return {"t": 1.0, "ev": "node", "node": "server", "what": "impair", "detail": detail}


def test_how_late_a_packet_may_be() -> None:
    assert slowest([]) == 0
    assert slowest([impaired(slowed=False, slow=0.0)]) == 0
    assert slowest([impaired(slowed=True, slow=0.3), impaired(slowed=True, slow=0.1)]) == 0.3
    assert slowest([impaired(slowed=True), impaired(slowed=True, slow=0.1)]) == float("inf")
