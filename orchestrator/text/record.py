"""Frozen dataclasses of which a large run makes millions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def record(kind: type[_T]) -> type[_T]:
    """What `dataclass(frozen=True, slots=True)` makes, frozen for the type checker and not for the interpreter, which
    makes one in a fraction of the time: a frozen one sets each field by a call. Equal ones are one key, as ever."""
    return dataclass(slots=True, unsafe_hash=True)(kind)
