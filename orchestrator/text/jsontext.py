"""JSON text straight from dataclasses: what `json.dumps` writes of what `jsondata.plain` makes of them.

The report of a large run has ten million values. Copying them into plain data first, and asking of each what it is,
takes twice as long as this, which asks a table for the type of each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from typing import Any

from orchestrator.text.jsondata import plain

_MOST = 20_000
"""Numbers whose text is kept: each of the times of a connection stands in it twice or three times."""


_SURE = 15
"""Decimal digits that every float keeps (sys.float_info.dig)."""


class JsonText:
    """Writes values as JSON, ASCII only. What is not JSON becomes what `plain` makes of it."""

    def __init__(self, digits: int) -> None:
        """`digits`: of fractions, one or more."""
        self._digits = digits
        self._encoder = json.JSONEncoder(allow_nan=False)
        self._writers = _Writers(self._writer)
        self._writers |= {
            type(None): {None: "null"}.__getitem__,
            bool: {True: "true", False: "false"}.__getitem__,
            int: int.__repr__,
            float: _Fractions(digits).__getitem__,
            str: _text,
            tuple: self._list,
            list: self._list,
        }

    def __call__(self, value: Any) -> str:
        return self._writers[value.__class__](value)

    def _list(self, items: Any) -> str:
        writers = self._writers
        return f"[{', '.join([writers[item.__class__](item) for item in items])}]"

    def _writer(self, kind: type) -> Callable[[Any], str]:
        """For a type that the table does not know, in the order in which `plain` asks what a value is."""
        if is_dataclass(kind):
            return self._fields([field.name for field in fields(kind)])
        if issubclass(kind, Enum):
            return _Members(self._as_ever).__getitem__
        if issubclass(kind, Mapping):
            return self._mapping
        return self._as_ever

    def _as_ever(self, value: Any) -> str:
        return self._encoder.encode(plain(value, digits=self._digits))

    def _mapping(self, value: Mapping[Any, Any]) -> str:
        made = {_text(str(key)): self(item) for key, item in value.items()}
        return f"{{{', '.join([f'{key}: {item}' for key, item in made.items()])}}}"

    def _fields(self, names: list[str]) -> Callable[[Any], str]:
        if len(names) < 2:  # attrgetter would give no tuple
            return self._as_ever
        writers, values_of = self._writers, attrgetter(*names)
        form = "{" + ", ".join(f"{_text(name)}: %s" for name in names) + "}"
        return lambda value: form % tuple([writers[item.__class__](item) for item in values_of(value)])


class _Writers(dict[type, Callable[[Any], str]]):
    """Type -> what writes its values; made when the first comes."""

    def __init__(self, make: Callable[[type], Callable[[Any], str]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        self[kind] = self._make(kind)
        return self[kind]


class _Members(dict[Enum, str]):
    """Member of an enum -> its text."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, member: Enum) -> str:
        self[member] = self._write(member)
        return self[member]


class _Fractions(dict[float, str]):
    """Fraction -> its text: the shortest that stands for the rounded number, which is what Python's `repr` writes."""

    def __init__(self, digits: int) -> None:
        super().__init__()
        self._digits = digits
        self._form = f"%.{digits}f"
        self._below = 10.0 ** (_SURE - digits)

    def __missing__(self, number: float) -> str:
        if not math.isfinite(number):
            return "null"
        if 1e-3 <= abs(number) < self._below:
            # So few digits stand for themselves, and no number has a shorter text.
            text = (self._form % number).rstrip("0")
            text = text + "0" if text[-1] == "." else text
        else:
            text = float.__repr__(round(number, self._digits))
        if number:  # 0.0 and -0.0 are one key
            if len(self) >= _MOST:
                self.clear()
            self[number] = text
        return text


def _text(value: str) -> str:
    return encode_basestring_ascii(
        value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    )
