"""What pydantic makes of the types of the lines (lines.py): a validator for each kind, and one JSON Schema of all."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import SchemaValidator

from orchestrator.recording.events import FORMAT
from orchestrator.recording.lines import LINES


@cache
def validator(kind: type) -> SchemaValidator:
    """Checks a decoded line by `validate_python(line, strict=True)`, which raises ValidationError."""
    made = TypeAdapter(kind).validator
    assert isinstance(made, SchemaValidator), "a type that is not whole"
    return made


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
