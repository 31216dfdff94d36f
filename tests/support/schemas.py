"""JSON Schemas as tests use them: a key that the schema does not know is an error."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]


def strictly(schema: dict[str, Any]) -> Any:
    """A validator for the schema in which no object has other keys than those that it names."""
    closed = _closed(schema)
    Draft202012Validator.check_schema(closed)
    return Draft202012Validator(closed)


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _closed(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made
