"""The small values of the scenario language: durations, ranges, moments and windows.

Each type parses from what YAML gives (a string, sometimes a number), prints back as a user would write it, and knows
its own JSON Schema through pydantic. Durations are seconds (float) in code and carry a unit in YAML.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import core_schema

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_MOMENT = re.compile(rf"(?:(?P<step>{_NAME})\.)?(?P<edge>start|end)(?:\s*(?P<sign>[+-])\s*(?P<offset>\S+))?")


def parse_duration(value: object) -> float:
    """Seconds from `8s`, `500ms`, `1.5s`, `2m`, `1m30s` or `1h`; the number 0 needs no unit.

    Raises ValueError with what was expected.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return 0.0
        raise ValueError(f"a duration needs a unit: write {value:g}s or {value:g}ms")
    if isinstance(value, str) and _DURATION.fullmatch(value.strip()):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    raise ValueError(f"expected a duration such as 8s, 500ms or 2m, not {value!r}")


def format_duration(seconds: float) -> str:
    """The shortest way to write it: 0.5 -> 500ms, 8 -> 8s, 90 -> 90s, 61.25 -> 61.25s."""
    if seconds and abs(seconds) < 1:
        return f"{round(seconds * 1000, 3):g}ms"
    return f"{round(seconds, 3):.10g}s"


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "description": "A duration with its unit: 8s, 500ms, 2m, 1m30s.",
            "anyOf": [{"type": "string", "pattern": f"^{_DURATION.pattern}$"}, {"const": 0}],
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


@dataclass(frozen=True, slots=True)
class Range(_Parsed):
    """A closed range of counts: `100`, `9..11`, `1..`, `..4`. `high` is math.inf when open."""

    low: float = 0
    high: float = math.inf

    @classmethod
    def parse(cls, value: object) -> Range:
        low, high = _parse_ends(value, _parse_count, "a count such as 100, 9..11, 1.. or ..4")
        return cls(low, high)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {
            "description": "A count: 100, 9..11, 1.. (at least) or ..4 (at most).",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d*\.\.\d*$|^\d+$"}],
        }

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return _format_ends(self.low, self.high, lambda n: f"{n:.0f}")


@dataclass(frozen=True, slots=True)
class DurationRange(_Parsed):
    """A closed range of durations in seconds: `60s..62.1s`, `1s..`, `..500ms`."""

    low: float = 0.0
    high: float = math.inf

    @classmethod
    def parse(cls, value: object) -> DurationRange:
        low, high = _parse_ends(value, parse_duration, "a range of durations such as 60s..62.1s, 5s.. or ..500ms")
        return cls(low, high)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {"description": "A range of durations: 60s..62.1s, 5s.. or ..500ms.", "type": "string"}

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return _format_ends(self.low, self.high, format_duration)


@dataclass(frozen=True, slots=True)
class Moment(_Parsed):
    """A point of the run named by steps: `load.end + 1s`, `start`. `step` is None for the run's own start and end."""

    step: str | None
    edge: str
    offset: float = 0.0

    @classmethod
    def parse(cls, value: object) -> Moment:
        match = _MOMENT.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError(f"expected a moment such as load.end, load.end + 1s, start or end, not {value!r}")
        offset = parse_duration(match["offset"]) if match["offset"] else 0.0
        return cls(match["step"], match["edge"], -offset if match["sign"] == "-" else offset)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {"description": "A moment: STEP.start, STEP.end, start or end, +/- a duration.", "type": "string"}

    @property
    def name(self) -> str:
        """The moment of the recording that this one starts from, without the offset."""
        return f"{self.step}.{self.edge}" if self.step else self.edge

    def __str__(self) -> str:
        if not self.offset:
            return self.name
        return f"{self.name} {'+' if self.offset > 0 else '-'} {format_duration(abs(self.offset))}"


@dataclass(frozen=True, slots=True)
class Window(_Parsed):
    """A stretch between two moments, both included: `load.start .. idle.end`."""

    start: Moment
    end: Moment

    @classmethod
    def parse(cls, value: object) -> Window:
        ends = re.split(r"\s+\.\.\s+|(?<=[a-z])\.\.(?=[a-zA-Z_])", value.strip()) if isinstance(value, str) else []
        if len(ends) != 2:
            raise ValueError(f"expected a window such as load.start .. load.end, not {value!r}")
        return cls(Moment.parse(ends[0]), Moment.parse(ends[1]))

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        return {"description": "A window between two moments: load.start .. idle.end + 1s.", "type": "string"}

    def __str__(self) -> str:
        return f"{self.start} .. {self.end}"


def _parse_count(value: object) -> float:
    if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value).strip()):
        raise ValueError(f"expected a whole number, not {value!r}")
    return int(str(value))


def _parse_ends(value: object, parse: Any, wanted: str) -> tuple[float, float]:
    try:
        if not isinstance(value, str) or ".." not in value:
            exact = parse(value)
            return exact, exact
        low_text, high_text = (part.strip() for part in value.split("..", 1))
        if not low_text and not high_text:
            raise ValueError("a range needs at least one end")
        low = parse(low_text) if low_text else 0
        high = parse(high_text) if high_text else math.inf
    except ValueError as error:
        raise ValueError(f"expected {wanted}, not {value!r} ({error})") from None
    if low > high:
        raise ValueError(f"the range {value!r} is empty: its low end is above its high end")
    return low, high


def _format_ends(low: float, high: float, text: Any) -> str:
    if low == high:
        return str(text(low))
    return f"{text(low) if low else ''}..{'' if high == math.inf else text(high)}"
