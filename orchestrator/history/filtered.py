"""What a fault on the network did to packets, by the `filtered` lines: those that it took, and what it answered.

An answer is made by the rule, in the name of the end for which the packet was: it enters the network nowhere, and no
counter of a node has it. So it is added here to what is on the wire, as sent by nobody's node.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.history.segments import FILTER, ICMP
from orchestrator.recording.events import Event

_ROUND = 1 << 32


def answers(taken: Event) -> Iterator[Event]:
    """The `segment` line of the answer to a TCP packet that a rule took, if it gave one: a RST as net/ipv4/netfilter/
    nf_reject_ipv4.c makes it (none for a RST), or one that stands for an ICMP message."""
    flags = taken.get("flags")
    if flags is None or taken["verdict"] == "drop" or (taken["verdict"] == "reset" and "R" in flags):
        return
    line = {"t": taken["t"], "ev": "segment", "node": FILTER, "local": taken["peer"], "peer": taken["local"], "len": 0}
    if taken["verdict"] != "reset":
        yield line | {"flags": ICMP, "seq": taken.get("ack") or 0, "ack": 0}
    elif "." in flags:
        yield line | {"flags": "R", "seq": taken.get("ack") or 0, "ack": 0}
    else:
        after = (taken.get("seq") or 0) + taken["len"] + ("S" in flags) + ("F" in flags)
        yield line | {"flags": "R.", "seq": 0, "ack": after % _ROUND}
