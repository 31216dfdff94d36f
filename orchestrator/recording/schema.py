"""What pydantic makes of the types of the lines (lines.py): a validator for each kind and one of all, and one JSON
Schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import SchemaValidator
from pydantic_core.core_schema import tagged_union_schema, union_schema

from orchestrator.recording.events import FORMAT
from orchestrator.recording.lines import LINES


@cache
def validator(kind: type) -> SchemaValidator:
    """Checks a decoded line by `validate_python(line, strict=True)`, which raises ValidationError."""
    made = TypeAdapter(kind).validator
    assert isinstance(made, SchemaValidator), "a type that is not whole"
    return made


def whole_validator(kinds: Mapping[str, type]) -> SchemaValidator:
    """Decodes and checks a line of any of these kinds by `validate_json(line, strict=True)`: in one step, which is a
    third of the work of decoding first. What it lets pass has the values that Python's json module finds, unless NaN or
    Infinity is among them, which are no JSON.

    Raises ValidationError, also for what Python's decoder is more generous with."""
    choices = {ev: _as_written(TypeAdapter(kind).core_schema) for ev, kind in kinds.items()}
    return SchemaValidator(tagged_union_schema(choices, discriminator="ev"))


def _as_written(node: Any) -> Any:
    """A core schema that changes nothing, as checking a decoded line does: what it does not know is kept, and a number
    that is written whole is no fraction."""
    if isinstance(node, list):
        return [_as_written(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _as_written(item) for key, item in node.items()}
    match node.get("type"):
        case "typed-dict":
            return kept | {"extra_behavior": "allow"}
        case "float":
            return union_schema([kept | {"type": "int"}, kept], mode="left_to_right")
    return kept


def words(kind: type, field: str) -> tuple[str, ...]:
    """The words that a field may be; empty for a field that may be any, or a TCP state."""
    hint = get_type_hints(kind)[field]
    return get_args(hint) if get_origin(hint) is Literal else ()


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line of `events.jsonl`, whatever its kind."""
    adapters: dict[str, TypeAdapter[Any]] = {ev: TypeAdapter(kind) for ev, kind in LINES.items()}
    by_key, shared = TypeAdapter.json_schemas([(ev, "validation", found) for ev, found in adapters.items()])
    defs = dict(shared["$defs"])
    for ev, found in LINES.items():
        defs[found.__name__]["properties"]["ev"] |= {"const": ev}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of events.jsonl, format {FORMAT}",
        "description": "One JSON object a line. Readers pass over kinds of lines and fields that they do not know.",
        "oneOf": [by_key[ev, "validation"] for ev in LINES],
        "$defs": defs,
    }
