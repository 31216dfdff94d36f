"""Plain JSON data from dataclasses, and dataclasses from it. Shapes are the dataclasses' own; pydantic checks them.

A dataclass that derives from `Data` is its own JSON Schema too: the docstrings of its fields become descriptions.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
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
    if value is None or value is True or value is False or type(value) is int:
        return value
    if isinstance(value, Enum):
        return plain(value.value, digits=digits)
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if digits is None else round(value, digits)
    if isinstance(value, list | tuple):
        return [plain(item, digits=digits) for item in value]
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item, digits=digits) for key, item in value.items()}
    if is_dataclass(value):
        return {name: plain(getattr(value, name), digits=digits) for name in _names(value.__class__)}
    return value


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    assert is_dataclass(kind)
    return tuple(field.name for field in fields(kind))


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
