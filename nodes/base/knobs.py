"""Knobs: the environment variables that every node kind reads by the same names. nodes/README.md lists them.

For kinds whose program is in Python, or is started by some. An empty variable counts as one that is not set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h))+|0")
_LONGEST = 366 * 86400
"""Seconds; as in scenarios. What is far above is a slip of the pen, and programs make of it what they like."""
_PORTS = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENDPOINT = re.compile(rf"({_HOST.pattern}):([0-9]{{1,5}})")


class KnobError(ValueError):
    """A knob has a value that it cannot have; the text is one line that names it."""


def refuse_arguments(kind: str, words: Sequence[str]) -> None:
    """Arguments come from Compose files, from anywhere, and a server's own flags can run commands: none are taken.

    Raises KnobError.
    """
    if words:
        raise KnobError(f"takes no arguments, only knobs, not {words[0]!r}; `simctl nodes {kind}` lists them")


class Knobs:
    """The environment's knobs. Every method raises KnobError for a value that is wrong."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._values = {name: value.strip() for name, value in environment.items() if value.strip()}

    def given(self, name: str) -> bool:
        return name in self._values

    def word(self, name: str, default: str, *allowed: str) -> str:
        """One of `allowed`."""
        value = self._values.get(name, default)
        if value not in allowed:
            raise KnobError(f"{name}: expected {' or '.join(allowed)}, not {value!r}")
        return value

    def ports(self, name: str, *, most: int) -> range:
        """A range of ports, written `40000-40063`; empty when the knob is not set."""
        text = self._values.get(name)
        if text is None:
            return range(0)
        match = _PORTS.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]) <= 65535:
            raise KnobError(f"{name}: expected a range of ports such as 40000-40063, not {text!r}")
        found = range(int(match[1]), int(match[2]) + 1)
        if len(found) > most:
            raise KnobError(f"{name}: {len(found)} ports are more than the {most} that are possible")
        return found

    def words(self, name: str, *allowed: str) -> list[str]:
        """Some of `allowed`, with commas between; none when the knob is not set."""
        found = [word.strip() for word in self._values.get(name, "").split(",") if word.strip()]
        for word in found:
            if word not in allowed:
                raise KnobError(f"{name}: expected {' or '.join(allowed)}, several with commas between, not {word!r}")
        return found

    def number(self, name: str, default: int, *, at_least: int = 0, at_most: int = 2**31 - 1) -> int:
        text = self._values.get(name, str(default))
        if not re.fullmatch(r"[0-9]{1,10}", text) or not at_least <= int(text) <= at_most:
            raise KnobError(f"{name}: expected a whole number from {at_least} to {at_most}, not {text!r}")
        return int(text)

    def port(self, name: str, default: int, *, at_least: int = 1) -> int:
        return self.number(name, default, at_least=at_least, at_most=65535)

    def one_request_each(self, name: str) -> bool:
        """For software that has no number between one request per connection (1) and no limit (0)."""
        return self.word(name, "0", "0", "1") == "1"

    def duration(self, name: str, default: float, *, more_than: float | None = None) -> float:
        """Seconds; written `5s`, `500ms`, `1m30s`."""
        text = self._values.get(name)
        if text is None:
            return default
        if not _DURATION.fullmatch(text):
            raise KnobError(f"{name}: expected a duration such as 5s, 500ms or 1m30s, not {text!r}")
        seconds = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|s|m|h)", text))
        if seconds > _LONGEST:
            raise KnobError(f"{name}: expected 366 days (8784h) at most, not {text[:60]!r}")
        if more_than is not None and seconds <= more_than:
            raise KnobError(f"{name}: expected more than {more_than:g}s, not {text!r}")
        return seconds

    def whole_seconds(self, name: str, default: int, *, at_least: int = 1, at_most: int | None = None) -> int:
        """For software that counts in seconds. A value that it does not support is refused, not rounded."""
        seconds = self.duration(name, default)
        if seconds != int(seconds) or seconds < at_least or (at_most is not None and seconds > at_most):
            bounds = f"{at_least} or more" if at_most is None else f"from {at_least} to {at_most}"
            raise KnobError(f"{name}: this software takes whole seconds, {bounds}, not {seconds:g}s")
        return int(seconds)

    def milliseconds(self, name: str, default: int, *, at_least: int = 1) -> int:
        """For software that counts in milliseconds. A value that it does not support is refused, not rounded."""
        count = round(self.duration(name, default / 1000) * 1000, 6)
        if count != int(count) or not at_least <= count < 2**31:
            raise KnobError(
                f"{name}: this software takes whole milliseconds from {at_least} to {2**31 - 1}, not {count:.10g}ms"
            )
        return int(count)

    def truth(self, name: str, default: bool) -> bool:
        text = self._values.get(name, str(default))
        if text.lower() not in _WORDS:
            raise KnobError(f"{name}: expected true or false, not {text!r}")
        return _WORDS[text.lower()]

    def host(self, name: str) -> str:
        """An IPv4 address, or the name of a node; empty when the knob is not set."""
        text = self._values.get(name, "")
        if text and not _HOST.fullmatch(text):
            raise KnobError(f"{name}: expected an address or the name of a node, not {text!r}")
        return text

    def endpoints(self, name: str) -> list[tuple[str, int]]:
        """`host:port,host:port`; empty when the knob is not set. Names are of nodes, services or aliases."""
        found = []
        for text in self._values.get(name, "").split(","):
            if not text.strip():
                continue
            match = _ENDPOINT.fullmatch(text.strip())
            if match is None or not 1 <= int(match[2]) <= 65535:
                raise KnobError(f"{name}: expected host:port, or several with commas between, not {text.strip()!r}")
            found.append((match[1], int(match[2])))
        return found
