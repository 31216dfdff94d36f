"""What `simctl show --format json` draws of a connection, held against the wire: arrows, their ends, silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.truth.findings import Comparison
from tests.truth.model import Connection, Truth
from tests.truth.model_wire import ACK, FIN, RST, SYN, Segment, after

_FLAGS = {"SYN": SYN, "SYN+ACK": SYN | ACK, "ACK": ACK, "FIN": FIN, "FIN+ACK": FIN, "RST": RST}


def compare_ladder(drawn: Mapping[str, Any], truth: Truth, found: Comparison) -> None:
    """One document of `simctl show RUN --conn ID --format json`."""
    listed = next(entry for entry in drawn["connections"] if entry["id"] == drawn["connection"])
    connection = _connection(listed, truth)
    if connection is None:
        return
    name = f"{drawn['connection']} {listed['client']['address']} - {listed['server']['address']}"
    found.figures["ladders"] += 1
    segments = sorted((s for life in connection.lives for s in life.segments), key=lambda s: s.t)
    for row in drawn["rows"]:
        if row["kind"] == "segment" and row["text"] in _FLAGS:
            found.figures["arrows compared"] += 1
            _arrow(row, name, connection, segments, truth, found)
        elif row["kind"] == "silence" and row["text"].endswith("idle") and None not in row["t"]:
            known = next(said["idle"] for said in row["says"] if said["is"] == "silence")
            until = row["t"][1] if known is None else row["t"][0] + known
            begin, end = row["t"][0] + truth.slack, until - truth.slack
            found.figures["silences compared"] += 1
            data = next((s for s in segments if s.size > 1 and begin <= s.t <= end), None)
            if data is not None:
                found.add("idle", name, f"{row['text']} from {row['t'][0]:.3f}", f"there is {data}", data.t)


def _connection(listed: Mapping[str, Any], truth: Truth) -> Connection | None:
    ends = [(listed[side]["node"], listed[side]["address"]) for side in ("client", "server")]
    opened = listed["opened"][1]
    fitting = [
        c
        for c in truth.connections
        if c.client is not None and c.client[:2] == ends[0] and (c.server is None or c.server[:2] == ends[1])
    ]
    return min(fitting, key=lambda c: abs(c.began - opened)) if fitting else None


def _arrow(
    row: Mapping[str, Any],
    name: str,
    connection: Connection,
    segments: Sequence[Segment],
    truth: Truth,
    found: Comparison,
) -> None:
    low, high = row["t"]
    begin = float("-inf") if low is None else low - truth.slack
    end = float("inf") if high is None else high + truth.slack
    sender = row["by"] or row["node"]
    wanted = _FLAGS[row["text"]]
    like = [s for s in segments if s.sender == sender and _is(s, wanted) and begin <= s.t <= end]
    t = high if high is not None else low if low is not None else 0.0
    if not like:
        found.add(f"drawn {row['text']}", name, f"{row['text']} by {sender}", "there is none on the wire then", t)
    elif row["unproven"]:
        found.figures["arrivals simctl does not know"] += 1
    elif wanted == FIN and row["by"] is None:
        if not row["lost"] and truth.never_arrived(connection, like[0]):
            found.add("drawn-arriving", name, f"FIN by {sender} arrives", "its receiver never noticed it", t)
        elif row["lost"] and _acknowledged(like[0], segments, truth.slack):
            found.add("drawn-lost", name, f"FIN by {sender} is lost", "it was acknowledged at once", t)


def _is(segment: Segment, flags: int) -> bool:
    if flags == ACK:
        return segment.has(ACK) and not segment.has(RST) and not segment.has(SYN)
    if flags & SYN:
        return segment.flags & (SYN | ACK) == flags
    return segment.has(flags)


def _acknowledged(fin: Segment, segments: Sequence[Segment], slack: float) -> bool:
    """Before it was sent a second time: then it was this one that arrived."""
    for segment in segments:
        if segment.t <= fin.t or segment.network != fin.network:
            continue
        if segment.source == fin.source and segment.end == fin.end and segment.closing:
            return False
        if segment.source == fin.target and not segment.has(RST) and after(segment.ack, fin.end) >= 0:
            return segment.t - fin.t < 10 * slack
    return False
