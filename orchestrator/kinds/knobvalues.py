"""What values the knobs of a node kind take, as `takes` in node.yaml says it, so that a file is checked before anything
starts. The program itself checks again, and more: what a value means beside another one, only it can tell.

`port`, `number 0..`, `number 1..64`, `duration`, `duration above 0`, `seconds 1..` and `milliseconds 0..` (durations
that software counts in whole ones), `true or false`, `endpoints` (host:port, several with commas between), `host` (an
address or a node's name), `ports ..64` (a range such as 40000-40063, of so many at most), `one of http tcp`, `some of
502 503` (with commas between). The same words as in nodes/base/knobs.py; a test holds them against what programs ask
for.
"""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from orchestrator.text.durations import MAX_DURATION
from orchestrator.text.record import record

_FORM = re.compile(
    r"(?P<what>number|seconds|milliseconds) (?P<least>\d+)\.\.(?P<most>\d*)"
    r"|(?P<port>port)(?: (?P<lowest>0)\.\.)?|duration(?P<above> above 0)?|(?P<truth>true or false)"
    r"|(?P<endpoints>endpoints)|(?P<host>host)|ports \.\.(?P<range>\d+)|(?P<how>one|some) of (?P<words>\S+(?: \S+)*)"
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+|0")
_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENDPOINT = re.compile(rf"{_HOST.pattern}:([0-9]{{1,5}})")
_RANGE = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_A_DURATION = "a duration such as 5s, 500ms or 1m30s"
_AT_MOST = "366 days (8784h) at most"
_TRUTH = ("true", "1", "yes", "on", "false", "0", "no", "off")
_MOST = 2**31 - 1
_HIGHEST_PORT = 65535


@record
class Takes:
    """`text` is what node.yaml says. Raises ValueError for what it may not say."""

    text: str

    def __post_init__(self) -> None:
        if not _FORM.fullmatch(self.text):
            raise ValueError(f"{self.text!r} is none of what a knob takes; orchestrator/kinds/knobvalues.py lists it")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: cls(str(value)))

    def expected(self, value: str) -> str | None:
        """What it should have been, to end the sentence "expected ..."; None: it is right. An empty value is one that
        is not set."""
        value = value.strip()
        if not value:
            return None
        found = _FORM.fullmatch(self.text)
        assert found is not None
        if found["what"] is not None:
            return _counted(value, found["what"], int(found["least"]), int(found["most"] or _MOST))
        if found["port"]:
            return _counted(value, "number", int(found["lowest"] or 1), _HIGHEST_PORT)
        if found["truth"]:
            return None if value.lower() in _TRUTH else "true or false"
        if found["endpoints"]:
            return _endpoints(value)
        if found["host"]:
            return None if _HOST.fullmatch(value) else "an address or the name of a node"
        if found["range"]:
            return _port_range(value, int(found["range"]))
        if found["words"]:
            words, several = found["words"].split(), found["how"] == "some"
            given = [word.strip() for word in value.split(",") if word.strip()] if several else [value]
            right = all(word in words for word in given)
            return None if right else " or ".join(words) + (", several with commas between" if several else "")
        seconds = _seconds(value)
        if seconds is None or seconds > MAX_DURATION:
            return _AT_MOST if seconds else _A_DURATION
        return "more than 0s" if found["above"] and seconds <= 0 else None

    def seconds(self, value: str) -> float | None:
        """A value as seconds; None where the knob is no duration, and for a value that is none."""
        found = _FORM.fullmatch(self.text)
        assert found is not None
        is_duration = self.text.startswith("duration") or found["what"] in ("seconds", "milliseconds")
        return _seconds(value.strip()) if is_duration else None


def _counted(value: str, what: str, least: int, most: int) -> str | None:
    if what == "number":
        right = re.fullmatch("[0-9]{1,10}", value) is not None and least <= int(value) <= most
        return None if right else f"a whole number from {least} to {most}"
    seconds = _seconds(value)
    if seconds is None or seconds > MAX_DURATION:
        return _AT_MOST if seconds else _A_DURATION
    count = seconds if what == "seconds" else round(seconds * 1000, 6)
    if count == math.floor(count) and least <= count <= (math.inf if what == "seconds" and most == _MOST else most):
        return None
    bounds = f"{least} or more" if most == _MOST else f"from {least} to {most}"
    return f"whole {what}, {bounds}, which is what this software counts in"


def _seconds(value: str) -> float | None:
    if not _DURATION.fullmatch(value):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))


def _endpoints(value: str) -> str | None:
    for part in filter(None, (part.strip() for part in value.split(","))):
        match = _ENDPOINT.fullmatch(part)
        if match is None or not 1 <= int(match[1]) <= _HIGHEST_PORT:
            return "host:port, or several with commas between"
    return None


def _port_range(value: str, most: int) -> str | None:
    match = _RANGE.fullmatch(value)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= _HIGHEST_PORT:
        return "a range of ports such as 40000-40063"
    return None if int(match[2]) - int(match[1]) < most else f"{most} ports at most"
