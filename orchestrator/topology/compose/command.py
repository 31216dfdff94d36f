"""Commands of a service: `command`, `entrypoint` and `healthcheck`."""

from __future__ import annotations

import re
import shlex

from orchestrator.topology.compose import keys
from orchestrator.topology.compose.cursor import Cursor
from orchestrator.topology.model import Healthcheck

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|ns))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def read_command(cursor: Cursor | None) -> tuple[str, ...] | None:
    """Its words; a text is split as a shell would. None when there is none."""
    if cursor is None or cursor.value is None:
        return None
    if not isinstance(cursor.value, list):
        text = cursor.text("a command: a text or a list")
        try:
            return tuple(shlex.split(text)) if text is not None else None
        except ValueError as error:
            cursor.problem(f"the command cannot be split into words: {str(error).lower()}", hint="write a list")
            return None
    words = [item.text("a text") for item in cursor.sequence("a list of texts")]
    return tuple(word for word in words if word is not None)


def read_healthcheck(cursor: Cursor | None) -> Healthcheck | None:
    """None when there is none, or when it is disabled."""
    if cursor is None:
        return None
    fields = cursor.fields(keys.HEALTHCHECK)
    test = _health_test(fields.get("test"))
    disabled = "disable" in fields and fields["disable"].flag()
    times = {
        name: duration
        for name in ("interval", "timeout", "start_period")
        if name in fields and (duration := _duration(fields[name])) is not None
    }
    retries = fields["retries"].whole(0, 1_000_000, "retries") if "retries" in fields else None
    if not test or disabled or test[0] == "NONE":
        return None
    return Healthcheck(test, retries=3 if retries is None else retries, **times)


def _health_test(cursor: Cursor | None) -> tuple[str, ...]:
    if cursor is None:
        return ()
    if not isinstance(cursor.value, list):
        text = cursor.word("a command")
        return ("CMD-SHELL", text) if text is not None else ()
    words = read_command(cursor) or ()
    wrong_length = bool(words) and words[0] != "NONE" and len(words) < 2
    if not words or words[0] not in ("NONE", "CMD", "CMD-SHELL") or wrong_length:
        cursor.problem("expected a list of CMD and the words of a command, CMD-SHELL and a command, or NONE")
        return ()
    return words


def _duration(cursor: Cursor) -> float | None:
    text = cursor.word("a duration such as 1m30s")
    if text is None or text == "0":
        return None if text is None else 0.0
    if len(text) > 40 or not _DURATION.fullmatch(text):
        cursor.problem(f"expected a duration such as 10s or 1m30s, not {text[:60]!r}")
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
