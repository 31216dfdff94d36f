"""Writes docs/scenario-reference.md: the scenario language on one page, its tables made from the models.

`python -m orchestrator.scenario.reference > docs/scenario-reference.md`
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from orchestrator.scenario import referencetext as text
from orchestrator.scenario.facts import FACT_ROLES, FACTS, LEGAL_WHENS, FactKind
from orchestrator.scenario.model import VERBS, WHENS, Close, Exec, Expectation, Link, Request, Scenario, Step, Where
from orchestrator.scenario.values import Moment, Range, Window
from orchestrator.text.durations import write_duration


def reference() -> str:
    """The whole page, in Markdown."""
    parts = [
        text.INTRO,
        "## The file",
        _keys_table(Scenario),
        text.FILE,
        "## Steps",
        text.STEPS,
        _verbs_table(),
        *(
            part
            for verb, model in _VERB_MODELS
            for part in (f"### {verb}", _doc(model), _keys_table(model), text.VERBS[verb])
        ),
        f"### {', '.join(verb for verb in VERBS if verb not in dict(_VERB_MODELS))}",
        text.OTHER_VERBS,
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
    return "\n\n".join(part.strip() for part in parts) + "\n"


_VERB_MODELS: list[tuple[str, type[BaseModel]]] = [
    ("request", Request),
    ("close", Close),
    ("link", Link),
    ("exec", Exec),
]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def _doc(model: type[BaseModel]) -> str:
    return inspect.getdoc(model) or ""


def _keys_table(model: type[BaseModel]) -> str:
    rows = [
        (f"`{field.alias or name}`", _kind(field), _default(field), field.description or "")
        for name, field in model.model_fields.items()
    ]
    return _table(("key", "value", "default", "meaning"), rows)


def _verbs_table() -> str:
    fields = Step.model_fields
    return _table(
        ("verb", "value", "meaning"),
        [(f"`{verb}`", _kind(fields[verb]), fields[verb].description or "") for verb in VERBS],
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
            (f"`{fact}`", kind.value, meaning, ", ".join(FACT_ROLES.get(fact, ("all",))))
            for fact, (kind, meaning) in FACTS.items()
        ],
    )


def _flat(annotation: Any) -> Iterator[Any]:
    """An annotation and all that it is made of, outermost first."""
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _flat(part)


_KINDS: list[tuple[type, str]] = [
    (BaseModel, "mapping"),
    (Moment, "moment"),
    (Window, "window"),
    (Range, "count"),
    (float, "duration"),
    (bool, "true or false"),
    (int, "whole number"),
    (str, "text"),
]


def _kind(field: FieldInfo) -> str:
    """Of what the value is, outermost: a mapping of lists is a mapping."""
    parts = [part for part in _flat(field.annotation) if isinstance(part, type)]
    if (outer := next((part for part in parts if part in (list, dict)), None)) is not None:
        return "list" if outer is list else "mapping"
    return next(name for kind, name in _KINDS if any(issubclass(part, kind) for part in parts))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    match field.default:
        case float(seconds):
            return write_duration(seconds)
        case None | "" | [] | {}:
            return ""
        case default:
            return str(default)


if __name__ == "__main__":
    print(reference(), end="")
