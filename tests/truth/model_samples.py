"""The samples of a run as the model reads them: the texts of ss at each moment, and the lines of each tick."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[str, str, str]
"""Node, its address, the peer's address."""

_SS = {
    "ESTAB": "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECV", "FIN-WAIT-1": "FIN_WAIT1",
    "FIN-WAIT-2": "FIN_WAIT2", "TIME-WAIT": "TIME_WAIT", "CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK",
    "LISTEN": "LISTEN", "CLOSING": "CLOSING",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A line of ss."""

    state: str
    recv_q: int
    send_q: int
    local: str
    peer: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """One socket in one state at every tick from the first to the last of these; times of ticks."""

    key: Key
    cookie: str
    state: str
    first: float
    last: float


@dataclass(slots=True)
class Samples:
    """`moments` name -> t; `texts` (moment, node) -> rows."""

    begun: dict[str, Any] = field(default_factory=dict)
    end: float = 0.0
    moments: dict[str, float] = field(default_factory=dict)
    texts: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    looked: dict[str, float] = field(default_factory=dict)
    """Moment -> by when ss had surely looked."""
    stretches: list[Stretch] = field(default_factory=list)
    ticks: list[tuple[float, float]] = field(default_factory=list)
    """Time, and how long it took."""
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_samples(folder: Path, zero: float) -> Samples:
    """Of a run's folder. `zero`: when t was 0, in seconds since the epoch."""
    with (folder / "events.jsonl").open(encoding="utf-8") as lines:
        found = _from_events(json.loads(line) for line in lines)
    for path in folder.glob("ss/*/*.ss.txt"):
        rows = parse_ss(path.read_text(encoding="utf-8"))
        moment = path.parent.name
        found.texts[moment, path.name.removesuffix(".ss.txt")] = rows
        written, t = path.stat().st_mtime - zero, found.moments.get(moment, 0.0)
        # Texts of a virtual machine are written after the run, by another clock.
        until = written if t <= written < t + _TEXTS_TAKE else t + TEXT_TAKES
        found.looked[moment] = max(until, found.looked.get(moment, 0.0))
    return found


TEXT_TAKES = 0.3
"""Seconds within which ss has surely looked, where no time of a file says it."""
_TEXTS_TAKE = 20.0


def _from_events(events: Iterable[dict[str, Any]]) -> Samples:
    found = Samples()
    rows: list[dict[str, Any]] = []
    for event in events:
        kind = event["ev"]
        if kind == "begin":
            found.begun = event
        elif kind == "moment":
            found.moments[event["name"]] = event["t"]
        elif kind == "socket":
            rows.append(event)
        elif kind == "note":
            found.notes.append(event["text"])
        elif kind == "tick":
            found.ticks.append((event["t"], event["took"]))
            for node, values in event.get("counters", {}).items():
                found.counters.setdefault(node, {}).update(values)
    found.ticks.sort()
    found.end = found.moments.get("end", found.ticks[-1][0] if found.ticks else 0.0)
    found.stretches = _stretches(rows, [t for t, _ in found.ticks])
    return found


def _stretches(rows: Iterable[dict[str, Any]], ticks: list[float]) -> list[Stretch]:
    before = dict(zip(ticks[1:], ticks, strict=False))
    by_socket: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: float(row["t"])):
        by_socket[row["node"], row["sk"]].append(row)
    found: list[Stretch] = []
    for (node, cookie), lines in by_socket.items():
        for number, line in enumerate(lines):
            if line["state"] in ("CLOSED", "LISTEN"):
                continue
            following = lines[number + 1]["t"] if number + 1 < len(lines) else None
            last = ticks[-1] if following is None else before.get(following, line["t"])
            found.append(
                Stretch((node, line["local"], line["peer"]), cookie, line["state"], line["t"], max(last, line["t"]))
            )
    return sorted(found, key=lambda stretch: stretch.first)


def parse_ss(text: str) -> list[Row]:
    """The lines of `ss -tanope`. Empty for a text that was cut off: what is not there is then not known."""
    rows = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 5 or words[0] not in _SS:
            continue
        cookie = next((word[3:] for word in words if word.startswith("sk:")), "")
        state = _SS[words[0]]
        rows.append(Row(state, int(words[1]), int(words[2]), _plain(words[3]), _plain(words[4]), cookie))
    return rows


def _plain(address: str) -> str:
    """198.18.0.2:80 of [::ffff:198.18.0.2]:80."""
    host, _, port = address.rpartition(":")
    return f"{host.strip('[]').removeprefix('::ffff:').partition('%')[0]}:{port}"
