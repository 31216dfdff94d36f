"""Plain JSON data from dataclasses, and dataclasses from it. Shapes are the dataclasses' own; pydantic checks them.

A dataclass that derives from `Data` is its own JSON Schema too: the docstrings of its fields become descriptions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

Json = dict[str, Any]
T = TypeVar("T")

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Data:
    """Base of dataclasses that go into JSON documents. Every key is always there, also where it has a default."""

    __slots__ = ()
    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True, json_schema_serialization_defaults_required=True)


def plain(value: Any, *, digits: int | None = None) -> Any:
    """The value as JSON has it. What JSON lacks becomes something that it has: an infinite number null, a lone
    surrogate, which a strict reader refuses even as an escape, its escaped form. `digits`: of fractions."""
    return _plain(value, digits)


_AS_THEY_ARE = frozenset((type(None), bool, int))


def _plain(value: Any, digits: int | None) -> Any:
    """The report of a large run has ten million values, nearly all of these types."""
    kind = value.__class__
    if kind in _AS_THEY_ARE:
        return value
    if kind is float:
        if not math.isfinite(value):
            return None
        return value if digits is None else round(value, digits)
    if kind is str:
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if kind is tuple or kind is list:
        return [_plain(item, digits) for item in value]
    if (names := _names(kind)) is not None:
        return {
            # None and whole numbers without a call: they are half of all.
            name: item if (item := getattr(value, name)).__class__ in _AS_THEY_ARE else _plain(item, digits)
            for name in names
        }
    if isinstance(value, Enum):
        return _of_member(value)
    if isinstance(value, Mapping):
        return {_plain(str(key), None): _plain(item, digits) for key, item in value.items()}
    return value


@cache
def _of_member(member: Enum) -> Any:
    return _plain(member.value, None)


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """Of the fields of a dataclass, which may have none; None for another type."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


def parse(kind: type[T], value: object) -> T:
    """The dataclass that `plain` wrote. Keys that it does not know are passed over. Raises ValueError with what was
    expected, and where."""
    try:
        made: T = _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None
    return made


def schema(kind: Any) -> Json:
    """The JSON Schema (draft 2020-12) of what `plain` makes of such a dataclass."""
    made: Json = without_titles(_adapter(kind).json_schema(mode="serialization"))
    return made


def without_titles(node: Any, *, names: bool = False) -> Any:
    """A schema without the titles that pydantic makes of field names. `names`: the keys of `node` are no keywords."""
    if isinstance(node, list):
        return [without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: without_titles(item, names=not names and key in ("properties", "$defs"))
        for key, item in node.items()
        if names or key != "title"
    }


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Made once for each type: it takes some milliseconds."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
