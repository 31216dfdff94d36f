"""The JSON Schema of a scenario file, for editors and other tools; made from the models.

It knows shapes, not meanings: that a fact's kind fits its *when*, or that a step of that name exists, only
`simctl validate` can tell.
"""

from __future__ import annotations

from typing import Any

from orchestrator.scenario.model import WHENS, Scenario
from orchestrator.scenario.steps import VERBS
from orchestrator.text.durations import write_duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:simctl:scenario:1"


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. In VS Code with the YAML extension: `# yaml-language-server: $schema=scenario.schema.json`."""
    schema: dict[str, Any] = _plain(Scenario.model_json_schema(by_alias=True))
    models = schema["$defs"]
    models["Step"]["oneOf"] = [{"required": [verb]} for verb in VERBS]
    # None of `at`, `always`, ..., or one of them.
    models["Expectation"]["oneOf"] = [
        *({"required": [when]} for when in WHENS),
        {"not": {"anyOf": [{"required": [when]} for when in WHENS]}},
    ]
    models["Expectation"]["additionalProperties"] = {"$ref": "#/$defs/NodeFacts"}
    models["Expectation"]["dependentRequired"] = {"for": ["eventually"]}
    models["NodeFacts"]["minProperties"] = 1
    return {"$schema": DIALECT, "$id": ID, **schema, "title": "simctl scenario"}


def _plain(node: Any, *, names: bool = False) -> Any:
    """Without pydantic's noise: titles made of field names, and null, which no key of a scenario may have.

    `names`: the keys of `node` are names of properties or models, not keywords.
    """
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: _plain(value) for key, value in node.items()}
    plain = {
        key: _plain(value, names=key in ("properties", "$defs"))
        for key, value in node.items()
        if key != "title" and not (key == "default" and value in (None, ""))
    }
    if isinstance(plain.get("default"), float):  # the only fractions are seconds
        plain["default"] = write_duration(plain["default"])
    branches = [branch for branch in plain.get("anyOf", []) if branch != {"type": "null"}]
    if len(branches) == 1:
        del plain["anyOf"]
        meanings = [part["description"] for part in (plain, branches[0]) if "description" in part]
        return {**branches[0], **plain, **({"description": ". ".join(meanings)} if meanings else {})}
    if branches:
        plain["anyOf"] = branches
    return plain
