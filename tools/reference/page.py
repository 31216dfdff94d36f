"""The scenario language on one page, docs/scenario-reference.md; its tables and verbs are made from the models."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, RootModel, WithJsonSchema
from pydantic.fields import FieldInfo

from orchestrator.scenario.facts import FACTS, LEGAL_WHENS, FactKind
from orchestrator.scenario.fields import PerSecond
from orchestrator.scenario.model import WHENS, Expectation, Scenario, Where
from orchestrator.scenario.step import Step
from orchestrator.scenario.steps import STEPS
from orchestrator.scenario.steps.base import Verb
from orchestrator.scenario.values import Moment, Pause, Range, Window
from orchestrator.text.durations import write_duration
from tools.reference import text


def reference() -> str:
    """The whole page, in Markdown."""
    parts = [
        text.INTRO,
        "## The file",
        _keys_table(Scenario),
        text.FILE,
        "## Steps",
        text.STEPS,
        _step_keys(),
        _verbs_table(),
        text.BACKGROUND,
        *(part for kind in STEPS for part in _verb(kind)),
        "## Moments and windows",
        text.MOMENTS,
        "## Expectations",
        text.EXPECTATIONS,
        _keys_table(Expectation),
        "### where",
        _doc(Where),
        _keys_table(Where),
        text.WHERE,
        "### When",
        _whens_table(),
        text.WHENS,
        "## Facts",
        text.FACTS,
        _facts_table(),
        text.FACT_EXAMPLES,
        "## Values",
        text.VALUES,
        "## Three verdicts",
        text.VERDICTS,
        "## YAML traps",
        text.TRAPS,
        "## Checking a file",
        text.CHECKING,
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _verb(kind: type[Verb]) -> Iterator[str]:
    """The section of one verb."""
    yield f"### {kind.verb}"
    yield _doc(kind)
    if not issubclass(kind, RootModel):
        yield _keys_table(kind)
        for inner in _items(kind):
            yield f"{_doc(inner)} Its keys:"
            yield _keys_table(inner)
    yield text.VERBS.get(kind.verb, "")
    yield f"```yaml\n{kind.example}```"


def _items(kind: type[Verb]) -> Iterator[type[BaseModel]]:
    """The mappings that a verb's keys may have as value, or in their lists."""
    for field in kind.model_fields.values():
        yield from (part for part in _flat(field.annotation) if _is_model(part))


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel) and not issubclass(part, RootModel)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def _doc(model: type[BaseModel]) -> str:
    return inspect.getdoc(model) or ""


def _keys_table(model: type[BaseModel]) -> str:
    rows = [_key_row(name, field) for name, field in model.model_fields.items()]
    return _table(("key", "value", "default", "meaning"), rows)


def _key_row(name: str, field: FieldInfo) -> tuple[str, ...]:
    return f"`{field.alias or name}`", _kind(field), _default(field), field.description or ""


def _step_keys() -> str:
    """The keys of a step beside its verb."""
    verbs = {kind.verb for kind in STEPS}
    return _table(
        ("key", "value", "default", "meaning"),
        [_key_row(name, field) for name, field in Step.model_fields.items() if name not in verbs],
    )


def _verbs_table() -> str:
    fields = Step.model_fields
    return _table(
        ("verb", "value", "meaning"),
        [(f"`{kind.verb}`", _kind(fields[kind.verb]), kind.meaning) for kind in STEPS],
    )


def _whens_table() -> str:
    rows = []
    for when in WHENS:
        field = Expectation.model_fields[when]
        kinds = [kind.value for kind in FactKind if when in LEGAL_WHENS[kind]]
        rows.append((f"`{when}`", _kind(field), field.description or "", ", ".join(kinds)))
    return _table(("when", "value", "what must hold", "fits"), rows)


def _facts_table() -> str:
    return _table(
        ("fact", "kind", "meaning", "nodes"),
        [
            (f"`{fact.name}`", fact.kind.value, fact.meaning, ", ".join(fact.roles or ("all",)))
            for fact in FACTS.values()
        ],
    )


def _flat(annotation: Any) -> Iterator[Any]:
    """An annotation and all that it is made of, outermost first."""
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _flat(part)


_KINDS: list[tuple[type, str]] = [
    (Moment, "moment"),
    (Window, "window"),
    (Range, "count"),
    (Pause, "duration, or a range of them"),
    (PerSecond, "number"),
    (float, "duration"),
    (bool, "true or false"),
    (int, "whole number"),
    (str, "text"),
]


def _kind(field: FieldInfo) -> str:
    """Of what the value is, outermost: a mapping of lists is a mapping."""
    whole = list(_flat(field.annotation)) + list(field.metadata)
    schemas = (part.json_schema or {} for part in whole if isinstance(part, WithJsonSchema))
    if (title := next((schema["title"] for schema in schemas if "title" in schema), None)) is not None:
        return str(title)
    parts = [part for part in whole if isinstance(part, type)]
    if (root := next((part for part in parts if issubclass(part, RootModel)), None)) is not None:
        return _kind(root.model_fields["root"])
    if (outer := next((part for part in parts if part in (list, dict)), None)) is not None:
        return "list" if outer is list else "mapping"
    if Literal in whole:
        return "one of " + ", ".join(f"`{part}`" for part in whole if isinstance(part, str))
    plain = [part for part in parts if not _is_model(part)]
    found = next((name for kind, name in _KINDS if any(issubclass(part, kind) for part in plain)), None)
    mapping = len(plain) < len(parts)
    return f"{found}, or mapping" if found and mapping else found or "mapping"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case float(seconds):
            return write_duration(seconds)
        case None | "" | [] | {} | False:
            return ""
        case default:
            return str(default)
