"""Findings in words: the table's rows, one sentence of advice, and the document of `--json`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from orchestrator.measure.findings import Findings, Limit, Reaction, Silence, Truth, Way, compare, pool_expiry
from orchestrator.measure.wire import REACTION
from orchestrator.text.durations import measured
from orchestrator.text.numbers import plural

_BESIDE = {Truth.TRUE: "true", Truth.LESS: "not true", Truth.MORE: "not true", Truth.UNKNOWN: "not put to the test"}


def rows(findings: Findings) -> list[tuple[str, str]]:
    """The table: what, and what was found."""
    found = [
        ("idle timeout after a response", _idle(findings)),
        ("before the first request", _silence(findings.before, findings.waited)),
        ("requests per connection", _limit(findings.limit)),
        ("Keep-Alive header", _advertised(findings)),
        ("Connection: close from the client", _farewell(findings)),
        ("way of closing", _way(findings)),
        ("a request after the FIN", _reaction(findings)),
    ]
    return found + [("not measured", problem) for problem in findings.problems]


def _idle(findings: Findings) -> str:
    if not findings.kept:
        return "none: no connection is kept"
    return _silence(findings.idle, findings.waited)


def _silence(silence: Silence, waited: float) -> str:
    parts = []
    if silence.closed:
        least, most = silence.closed[0], silence.closed[-1]
        parts.append(measured(least) if len(silence.closed) == 1 else f"{measured(least)} .. {measured(most)}")
    if silence.open:
        which = str(silence.open) if silence.closed else ""
        parts.append(f"{which} not closed within {waited:g} s".lstrip())
    if not parts:
        return "nothing was seen"
    number = len(silence.closed) + silence.open
    said = f"; it says {' and '.join(map(str, sorted(set(silence.said))))} before" if silence.said else ""
    return f"{', '.join(parts)} ({plural(number, 'connection')}){said}"


def _limit(limit: Limit | None) -> str:
    if limit is None:
        return "nothing was seen"
    if limit.closed:
        return f"{limit.answered}; the last response {'tells' if limit.announced else 'does not tell'} of it"
    return f"none seen in {limit.answered}{', time was up' if limit.time_was_up else ''}"


def _advertised(findings: Findings) -> str:
    told = findings.advertised
    if told is None:
        return "none"
    parts = []
    if told.timeout is not None:
        parts.append(f"timeout is {_BESIDE[told.timeout_truth]}")
    if told.max is not None:
        parts.append(f"max is {_BESIDE[told.max_truth]}")
    return f"{told.text}{': ' if parts else ''}{', '.join(parts)}"


def _farewell(findings: Findings) -> str:
    farewell = findings.farewell
    says = "answered with Connection: close" if farewell.says_close else "not answered with Connection: close"
    if farewell.way is Way.NONE:
        return f"{says}; the server leaves the closing to the client"
    return f"{says}; the server closes first, by {farewell.way.upper()} after {measured(farewell.after)}"


def _way(findings: Findings) -> str:
    ways = findings.idle.ways
    if not ways:
        return "nothing was seen"
    if len(ways) > 1:
        return ", ".join(f"{way.upper()} {number} times" for way, number in sorted(ways.items()))
    (way,) = ways
    if way is Way.RST:
        return "RST: nothing stays on either side"
    met = {*findings.reactions}
    if met == {Reaction.RST}:
        return "FIN, closed: what comes after it meets a RST"
    if met == {Reaction.NOTHING}:
        return f"FIN, half closed: what comes after it meets no RST within {REACTION:g} s"
    return "FIN"


def _reaction(findings: Findings) -> str:
    words = {
        Reaction.RST: "end of file, and a RST",
        Reaction.NOTHING: "end of file, no RST: it is taken, and not answered",
    }
    met = sorted(findings.reactions.items())
    if len(met) > 1:
        return ", ".join(f"{words[reaction]} ({number} times)" for reaction, number in met)
    return words[met[0][0]] if met else "nothing was seen"


def advice(findings: Findings, configured: float | None = None) -> str:
    """One sentence that follows from the numbers."""
    limit = findings.limit
    if findings.at_once:
        return "the server closes after every response without saying so: a client must not keep its connections"
    if not findings.kept:
        return "the server keeps no connections and says so: a pool gains nothing, and TIME_WAIT stays with the server"
    if limit is not None and limit.closed and not limit.announced:
        return (
            f"the server closes after {limit.answered} requests without saying so: "
            f"a client should give a connection up after {limit.answered}{_and_expire(findings)}"
        )
    if not findings.decided:
        return "no advice: no connection could be seen being idle"
    expiry = pool_expiry(findings)
    if expiry is None:
        return f"no idle connection was closed within {findings.waited:g} s: a client pool may keep them for so long"
    return f"{_claims(findings, configured)}a client pool should let idle connections expire below {expiry:g} s"


def _and_expire(findings: Findings) -> str:
    expiry = pool_expiry(findings)
    return "" if expiry is None else f", and when it was idle for {expiry:g} s"


def _claims(findings: Findings, configured: float | None) -> str:
    """What was said and is not true, beside the truth: `Keep-Alive says 5 s, truth is 6.0 s: `."""
    least = findings.idle.least
    wrong = (Truth.LESS, Truth.MORE)
    if least is None:
        return ""
    if configured is not None and verdict(findings, configured) in wrong:
        return f"configured are {configured:g} s, truth is {least:.3g} s: "
    told = findings.advertised
    if told is not None and told.timeout is not None and told.timeout_truth in wrong:
        return f"Keep-Alive says {told.timeout:g} s, truth is {least:.3g} s: "
    return ""


def verdict(findings: Findings, configured: float) -> Truth:
    """The configured idle timeout beside the measured one."""
    return compare(configured, findings.idle, accuracy=findings.accuracy, waited=findings.waited)


def document(findings: Findings, *, target: str, measured_from: str, configured: float | None) -> dict[str, Any]:
    """For `--json`: the findings by their names, times in seconds; keys are only added, never changed."""
    return {
        "target": target,
        "from": measured_from,
        **{name: _plain(getattr(findings, name)) for name in _fields(findings)},
        "accuracy": findings.accuracy,
        "pool_expiry": pool_expiry(findings),
        "configured": configured,
        "configured_truth": None if configured is None else verdict(findings, configured).value,
        "advice": advice(findings, configured),
    }


def _fields(value: Any) -> list[str]:
    return [field.name for field in fields(value)]


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in _fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inside) for key, inside in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inside) for inside in value]
    return value.value if isinstance(value, StrEnum) else value
