"""Why requests through a proxy failed, in sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from orchestrator.analysis.failures import Failure
from orchestrator.analysis.nexthop import Cause, CauseKind
from orchestrator.text.durations import duration, write_duration
from orchestrator.text.safe import visible

_NAMED = 3
"""Connections that a sentence names."""

_TOLD = 12
"""Sentences; more are counted."""

_LOG = 200
"""Characters of a log's line that are shown."""


def sentences(found: Sequence[Failure]) -> list[str]:
    """`502: nginx -> app c8 was reset by app after 2.0 s idle; nginx says: upstream prematurely closed ...`; alike ones
    together."""
    alike: dict[tuple[object, ...], list[Failure]] = defaultdict(list)
    for failure in found:
        alike[_likeness(failure)].append(failure)
    told = [_together(group) for group in alike.values()]
    more = len(told) - _TOLD
    return told if more <= 0 else [*told[:_TOLD], f"... and {more} more reasons why requests failed"]


def _likeness(failure: Failure) -> tuple[object, ...]:
    causes = dict.fromkeys(map(_kind_of, failure.causes))
    return failure.client, failure.proxy, failure.result, tuple(causes), failure.sure, failure.says


def _kind_of(cause: Cause) -> tuple[object, ...]:
    return cause.kind, cause.client, cause.server, cause.by, cause.unanswered, cause.timer, cause.reason


def _together(group: Sequence[Failure]) -> str:
    first = group[0]
    many = f"{len(group)} x " if len(group) > 1 else ""
    parts = []
    causes: dict[tuple[object, ...], list[Cause]] = defaultdict(list)
    for failure in group:
        for cause in failure.causes:
            causes[_kind_of(cause)].append(cause)
    if causes:
        perhaps = "" if first.sure else "perhaps "
        parts.append(perhaps + " and ".join(map(_cause, list(causes.values())[:_NAMED])))
    if first.says:
        parts.append(f"{first.proxy} says: {visible(first.says, longest=_LOG)}")
    return f"{many}{visible(first.result)}: {'; '.join(parts)}"


def _cause(alike: Sequence[Cause]) -> str:
    numbers = list(dict.fromkeys(cause.connection for cause in alike))
    names = ", ".join(f"c{number}" for number in numbers[:_NAMED])
    if len(numbers) > _NAMED:
        names += f" and {len(numbers) - _NAMED} more"
    first = alike[0]
    verb = "was" if len(numbers) == 1 else "were"
    return f"{first.client} -> {first.server} {names} {_became(first, alike, verb)}"


def _became(cause: Cause, alike: Sequence[Cause], verb: str) -> str:
    match cause.kind:
        case CauseKind.REFUSED:
            return f"{verb} refused with a RST by {_who(cause)}"
        case CauseKind.UNANSWERED_SYN:
            return f"{verb} never established: no answer came"
        case CauseKind.RESET:
            return f"{verb} reset by {_who(cause)}{_after(cause, alike)}"
        case CauseKind.CLOSED:
            return f"{verb} closed by {_who(cause)}{_after(cause, alike)}"
        case CauseKind.ABANDONED:
            return f"{verb} closed by {_who(cause)}{_after(cause, alike)}"
        case CauseKind.GAVE_UP:
            return f"{verb} given up by the kernel of {_who(cause)}: nothing was acknowledged any more"


def _who(cause: Cause) -> str:
    return cause.by or "somebody whom the recording does not show"


def _after(cause: Cause, alike: Sequence[Cause]) -> str:
    """` after 2.0 s idle; KEEPALIVE_TIMEOUT is 2s`."""
    told = ""
    least = [one.least for one in alike if one.least is not None]
    most = [one.most for one in alike if one.most is not None]
    if least and most:
        told = f" after {duration(min(least), max(most))} {'without an answer' if cause.unanswered else 'idle'}"
    if cause.reason:
        told += f" ({visible(cause.reason)})"
    if cause.timer is not None:
        told += f"; {visible(cause.timer.knob)} is {write_duration(cause.timer.seconds)}"
    return told
