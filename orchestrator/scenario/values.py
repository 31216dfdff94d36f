"""The small values of the scenario language: durations, ranges, moments and windows.

Each type parses from what YAML gives (a string, sometimes a number), prints back as a user would write it, and knows
its own JSON Schema through pydantic. Durations are seconds (float) in code and carry a unit in YAML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import core_schema

from orchestrator.text.durations import DURATION, parse_duration, write_duration
from orchestrator.text.record import record
from orchestrator.text.suggest import describe

_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_MOMENT = re.compile(rf"(?:(?P<step>{_NAME})\.)?(?P<edge>start|end)(?:\s*(?P<sign>[+-])\s*(?P<offset>\S+))?")
_COUNT = re.compile(r"[0-9]{1,12}")

# The same for JSON Schema (ECMA 262): no named groups, and anchored.
_COUNT_PATTERN = r"^\s*([0-9]{1,12}|[0-9]{1,12}\s*\.\.\s*([0-9]{1,12})?|\.\.\s*[0-9]{1,12})\s*$"
_DURATIONS_PATTERN = (
    rf"^\s*({DURATION.pattern}|{DURATION.pattern}\s*\.\.\s*({DURATION.pattern})?|\.\.\s*{DURATION.pattern})\s*$"
)
_PAUSES_PATTERN = rf"^\s*((({DURATION.pattern})?\s*\.\.\s*)?{DURATION.pattern})\s*$"
_MOMENT_PATTERN = rf"({_NAME}\.)?(start|end)(\s*[+-]\s*({DURATION.pattern}))?"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "description": "A duration with its unit: 8s, 500ms, 2m, 1m30s.",
            "anyOf": [{"type": "string", "pattern": f"^{DURATION.pattern}$"}, {"const": 0}],
        }
    ),
]


class _Parsed:
    """Mixin: a value that pydantic builds through its `parse` classmethod."""

    @classmethod
    def parse(cls, value: object) -> Any:
        raise NotImplementedError

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls.parse(value),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        return cls.json_schema()


@record
class _Ends(_Parsed):
    """A closed range of numbers. `high` is math.inf when it is open. Its subclasses say how an end is written."""

    low: float = 0
    high: float = math.inf

    wanted: ClassVar[str]
    """What errors say was expected."""

    @classmethod
    def parse(cls, value: object) -> Self:
        return cls(*_parse_ends(value, cls.read, cls.wanted))

    @classmethod
    def read(cls, end: object) -> float:
        """One end. Raises ValueError."""
        raise NotImplementedError

    @classmethod
    def write(cls, end: float) -> str:
        raise NotImplementedError

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if self.low == self.high:
            return self.write(self.low)
        at_least = self.write(self.low) if self.low or self.high == math.inf else ""
        return f"{at_least}..{'' if self.high == math.inf else self.write(self.high)}"


class Range(_Ends):
    """A closed range of counts: `100`, `9..11`, `1..`, `..4`."""

    __slots__ = ()
    wanted = "a count such as 100, 9..11, 1.. or ..4"

    @classmethod
    def read(cls, end: object) -> float:
        return _parse_count(end)

    @classmethod
    def write(cls, end: float) -> str:
        return f"{end:.0f}"

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {
            "description": "A count: 100, 9..11, 1.. (at least) or ..4 (at most).",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _COUNT_PATTERN}],
        }


class DurationRange(_Ends):
    """A closed range of durations in seconds: `60s..62.1s`, `1s..`, `..500ms`."""

    __slots__ = ()
    wanted = "a range of durations such as 60s..62.1s, 5s.. or ..500ms"

    @classmethod
    def read(cls, end: object) -> float:
        return parse_duration(end)

    @classmethod
    def write(cls, end: float) -> str:
        return write_duration(end)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {
            "description": "A duration or a range of them: 60s..62.1s, 5s.. (at least) or ..500ms (at most).",
            "anyOf": [{"type": "string", "pattern": _DURATIONS_PATTERN}, {"const": 0}],
        }


class Pause(DurationRange):
    """A pause in seconds, or a range that it is drawn from: `50ms`, `10ms..50ms`."""

    __slots__ = ()
    wanted = "a duration such as 50ms, or a range of them such as 10ms..50ms"

    @classmethod
    def parse(cls, value: object) -> Self:
        pause = super().parse(value)
        if pause.high == math.inf:
            raise ValueError(f"a pause has a longest time: expected {cls.wanted}, not {describe(value)}")
        return pause

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {
            "description": "A duration, or a range of them that each is drawn from: 50ms, 10ms..50ms.",
            "anyOf": [{"type": "string", "pattern": _PAUSES_PATTERN}, {"const": 0}],
        }


@record
class Moment(_Parsed):
    """A point of the run named by steps: `load.end + 1s`, `start`. `step` is None for the run's own start and end."""

    step: str | None
    edge: str
    offset: float = 0.0

    @classmethod
    def parse(cls, value: object) -> Moment:
        match = _MOMENT.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"expected a moment such as load.end, load.end + 1s, start or end, not {describe(value)}")
        offset = parse_duration(match["offset"]) if match["offset"] else 0.0
        return cls(match["step"], match["edge"], -offset if match["sign"] == "-" else offset)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {
            "description": "A moment: STEP.start, STEP.end, start or end, plus or minus a duration.",
            "type": "string",
            "pattern": rf"^\s*{_MOMENT_PATTERN}\s*$",
        }

    @property
    def name(self) -> str:
        """The moment of the recording that this one starts from, without the offset."""
        return f"{self.step}.{self.edge}" if self.step else self.edge

    def __str__(self) -> str:
        if not self.offset:
            return self.name
        return f"{self.name} {'+' if self.offset > 0 else '-'} {write_duration(abs(self.offset))}"


@record
class Window(_Parsed):
    """A stretch between two moments, both included: `load.start .. idle.end`."""

    start: Moment
    end: Moment

    @classmethod
    def parse(cls, value: object) -> Window:
        # No moment contains two dots in a row, so they always separate.
        ends = value.split("..") if isinstance(value, str) else []
        if len(ends) != 2:
            raise ValueError(f"expected a window such as load.start .. load.end, not {describe(value)}")
        return cls(Moment.parse(ends[0]), Moment.parse(ends[1]))

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {
            "description": "A window between two moments, both included: load.start .. idle.end + 1s.",
            "type": "string",
            "pattern": rf"^\s*{_MOMENT_PATTERN}\s*\.\.\s*{_MOMENT_PATTERN}\s*$",
        }

    def __str__(self) -> str:
        return f"{self.start} .. {self.end}"


def _parse_count(value: object) -> float:
    if isinstance(value, bool) or not _COUNT.fullmatch(str(value).strip()):
        raise ValueError(f"expected a whole number, not {describe(value)}")
    return int(str(value))


def _parse_ends(value: object, parse: Callable[[object], float], wanted: str) -> tuple[float, float]:
    if not isinstance(value, str) or ".." not in value:
        exact = _parse_end(value, value, parse, wanted)
        return exact, exact
    low_text, high_text = (part.strip() for part in value.split("..", 1))
    if not low_text and not high_text:
        raise ValueError(f"a range needs at least one end: expected {wanted}")
    low = _parse_end(low_text, value, parse, wanted) if low_text else 0
    high = _parse_end(high_text, value, parse, wanted) if high_text else math.inf
    if low > high:
        raise ValueError(f"expected {wanted}, not {describe(value)}: its low end is above its high end")
    return low, high


def _parse_end(end: object, whole: object, parse: Callable[[object], float], wanted: str) -> float:
    try:
        return parse(end)
    except ValueError as error:
        reason = str(error)
        if not reason.startswith("expected"):
            raise  # it says more than what was expected: a unit is missing, it is too long
        raise ValueError(f"expected {wanted}, not {describe(whole)}") from None
