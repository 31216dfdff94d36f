"""What a measurement means: the prober's messages in, findings out. Pure.

All times are seconds as the measuring side saw them; `accuracy` says how far they may be from the server's own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any

from orchestrator.text.record import record

Message = Mapping[str, Any]

_FLOOR = 0.001
"""No clock of a program that waits for a socket is better than this."""
_SOON = 0.05
"""A server that closes within this time after an answer has no timer; it closes on purpose."""


class Way(StrEnum):
    """How a connection ended."""

    FIN = "fin"
    RST = "rst"
    NONE = "none"
    """Not as long as it was waited for."""


class Reaction(StrEnum):
    """What a request met that came behind the server's FIN."""

    RST = "rst"
    """The server's socket was closed."""
    NOTHING = "nothing"
    """The server's socket was half closed, and took it."""


class Truth(StrEnum):
    """What was measured, beside what was said."""

    TRUE = "true"
    LESS = "less"
    """It closes earlier than it says. Who believes it loses requests."""
    MORE = "more"
    UNKNOWN = "unknown"
    """It was not waited, or asked, long enough to tell."""


@record
class Silence:
    """Connections that were silent until the server closed them, or the wait was over."""

    closed: tuple[float, ...] = ()
    """After how many seconds each was closed, shortest first."""
    open: int = 0
    """How many were still open when the wait was over."""
    ways: Mapping[Way, int] = field(default_factory=dict)
    said: tuple[int, ...] = ()
    """Statuses of responses that came unasked before the end: 408, as a rule."""

    @property
    def least(self) -> float | None:
        return self.closed[0] if self.closed else None


@record
class Limit:
    """One request after the other on one connection. `closed`: by the server, after `answered` of them."""

    answered: int
    asked: int
    closed: bool
    announced: bool
    """The last response said `Connection: close`, or had no other end than the connection's."""
    time_was_up: bool


@record
class Farewell:
    """What follows a request with `Connection: close`."""

    says_close: bool
    way: Way
    after: float


@record
class Advertised:
    """A `Keep-Alive` field, and what is true of it."""

    text: str
    timeout: float | None
    timeout_truth: Truth
    max: int | None
    max_truth: Truth


@record
class Findings:
    version: str
    status: int
    idle: Silence
    """After a response, of connections that were kept."""
    before: Silence
    """Before the first request."""
    limit: Limit | None
    farewell: Farewell
    advertised: Advertised | None
    reactions: Mapping[Reaction, int]
    latency: tuple[float, float]
    """Time to open a connection: least, most."""
    late: float
    """How late the measuring process was woken, at most."""
    waited: float
    connections: int
    requests: int
    problems: tuple[str, ...]
    """What showed nothing, and why."""

    @property
    def accuracy(self) -> float:
        return max(_FLOOR, self.late) + self.latency[1]

    @property
    def kept(self) -> bool:
        """Whether the server keeps connections at all."""
        return self.limit is None or not self.limit.closed or self.limit.answered > 1

    @property
    def decided(self) -> bool:
        """Whether anything is known of what happens to an idle connection."""
        return not self.kept or bool(self.idle.closed or self.idle.open)

    @property
    def at_once(self) -> bool:
        """The server closes after one response, and does not say so."""
        return self.limit is not None and not self.kept and not self.limit.announced


def evaluate(messages: Iterable[Message], *, asked: int, waited: float) -> Findings:
    """`messages` of a prober that was not `failed`; `asked` requests per connection at most, `waited` s of silence."""
    by: dict[str, list[Message]] = {}
    for message in messages:
        by.setdefault(message["say"], []).append(message)
    farewell, done = by["farewell"][0], by["done"][0]
    idle = by.get("idle", [])
    limit = next((_limit(message, asked) for message in by.get("requests", ())), None)
    opened = [message["connect"] for message in (farewell, *idle, *by.get("silent", ()))]
    accuracy = max(_FLOOR, done["late"]) + max(opened)
    kept = [message for message in idle if message["answer"]["persistent"] and _is_timer(message, limit)]
    silence = _silence(message["end"] for message in kept)
    first = by["requests"][0]["first"] if by.get("requests") else None
    text = next((answer["keep_alive"] for answer in (first, *(m["answer"] for m in idle)) if answer), None)
    return Findings(
        version=farewell["answer"]["version"],
        status=farewell["answer"]["status"],
        idle=silence,
        before=_silence(message["end"] for message in by.get("silent", ())),
        limit=limit,
        farewell=Farewell(
            farewell["answer"]["says_close"], Way(farewell["end"]["how"]), float(farewell["end"]["after"])
        ),
        advertised=advertised(text, silence, limit, accuracy=accuracy, waited=waited) if text else None,
        reactions=Counter(Reaction(message["reaction"]["how"]) for message in kept if message["reaction"]),
        latency=(min(opened), max(opened)),
        late=float(done["late"]),
        waited=waited,
        connections=done["connections"],
        requests=done["requests"],
        problems=tuple(f"{message['of']}: {message['text']}" for message in by.get("broken", ())),
    )


def _is_timer(message: Message, limit: Limit | None) -> bool:
    """Not the end of a connection that the server gives one request only."""
    only_one = limit is not None and limit.closed and limit.answered <= 1
    return not (only_one and message["end"]["after"] < _SOON)


def _limit(message: Message, asked: int) -> Limit:
    stopped = message["stopped"]
    return Limit(message["answered"], asked, stopped == "closed", message["announced"], stopped == "time")


def _silence(ends: Iterable[Message]) -> Silence:
    known = list(ends)
    return Silence(
        closed=tuple(sorted(float(end["after"]) for end in known if end["how"] != Way.NONE)),
        open=sum(end["how"] == Way.NONE for end in known),
        ways=Counter(Way(end["how"]) for end in known if end["how"] != Way.NONE),
        said=tuple(end["said"] for end in known if end["said"] is not None),
    )


def advertised(text: str, idle: Silence, limit: Limit | None, *, accuracy: float, waited: float) -> Advertised:
    """Read `timeout=5, max=100`, and hold it beside what was measured."""
    values: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        values[name.strip().lower()] = value.strip().strip('"')
    timeout = _number(values.get("timeout"))
    most = _number(values.get("max"))
    return Advertised(
        text=text,
        timeout=timeout,
        timeout_truth=Truth.UNKNOWN if timeout is None else compare(timeout, idle, accuracy=accuracy, waited=waited),
        max=None if most is None else int(most),
        max_truth=Truth.UNKNOWN if most is None or limit is None else _compare_limit(int(most), limit),
    )


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() and len(text) < 10 else None


def compare(said: float, idle: Silence, *, accuracy: float, waited: float) -> Truth:
    """An idle timeout that somebody claims, beside the measured one.

    The shortest time decides. The server starts its timer before its response is here, so what is seen may be too
    short by `accuracy`. Late by less than a tenth of a second, or 2 %, still counts as true: no timer is better.
    """
    if idle.least is not None and idle.least < said - accuracy:
        return Truth.LESS
    at_least = idle.least if idle.least is not None else waited if idle.open else 0.0
    if at_least > said + accuracy + max(0.1, 0.02 * said):
        return Truth.MORE
    return Truth.TRUE if idle.least is not None else Truth.UNKNOWN


def _compare_limit(said: int, limit: Limit) -> Truth:
    """`max` may count the response that says it or not: servers differ."""
    if limit.closed:
        known = {said: Truth.TRUE, said + 1: Truth.TRUE}
        return known.get(limit.answered, Truth.LESS if limit.answered < said else Truth.MORE)
    return Truth.MORE if limit.answered > said + 1 else Truth.UNKNOWN


def pool_expiry(findings: Findings) -> float | None:
    """Seconds below which a client's pool should let idle connections expire; None when no close was seen.

    The request has to arrive before the server closes: less than the shortest time seen by the accuracy, and by 5 %
    or 50 ms for servers that are a little early. Rounded down.
    """
    least = findings.idle.least
    if least is None:
        return None
    safe = least - findings.accuracy - min(0.05, 0.05 * least)
    if safe <= 0:
        return 0.0
    scale = 10.0 ** (1 if safe >= 1 else 1 - math.floor(math.log10(safe)))
    return math.floor(safe * scale) / scale
