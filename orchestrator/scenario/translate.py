"""Turns what pydantic objects to into errors in plain words, each with its file, line and column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.bounds import PROBLEMS
from orchestrator.errors import InputError
from orchestrator.scenario.facts import FACTS
from orchestrator.scenario.model import Expectation, NodeFacts, Scenario
from orchestrator.scenario.problems import Problems
from orchestrator.text.suggest import describe, did_you_mean, suggestion
from orchestrator.text.yamlsource import Source

Keys = tuple[str | int, ...]

_LOOKED_AT = 50
"""Keys of a mapping of which it is asked whether they look like facts."""


def keys_of(model: type[BaseModel]) -> dict[str, str]:
    """The keys that a file may use for the model's fields (`from`, not `from_`), with their descriptions."""
    return {field.alias or name: field.description or "" for name, field in model.model_fields.items()}


OWN_KEYS = tuple(keys_of(Expectation))
"""The keys of an expectation that are not nodes."""


def without_value(source: Source) -> list[InputError]:
    """Keys and items with nothing behind them. Left alone, `CLOSE_WAIT:` would assert nothing and pass."""
    return [_without_value(source, keys) for keys in _nulls(source.data, ())]


def _without_value(source: Source, keys: Keys) -> InputError:
    what = f"`{keys[-1]}` has no value" if isinstance(keys[-1], str) else "an empty item"
    return InputError(what, place=source.place(keys, of_key=True), hint="write one, or remove it")


def _nulls(value: object, keys: Keys) -> Iterator[Keys]:
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    elif value is None:
        yield keys
    for key, child in children:
        yield from _nulls(child, (*keys, key))


def _with_all_above(found: Iterable[Keys]) -> set[Keys]:
    """These keys, and those of all that they are in."""
    above: set[Keys] = set()
    for keys in found:
        while keys not in above:
            above.add(keys)
            keys = keys[:-1]
    return above


def translate(error: ValidationError, source: Source) -> list[InputError]:
    """One InputError per thing that is wrong, except for what `without_value` reports."""
    problems: list[InputError] = []
    strangers: set[Keys] = set()
    above_null = _with_all_above(_nulls(source.data, ()))
    for detail in error.errors(include_url=False):
        if len(problems) >= PROBLEMS.limit:
            break
        keys, _ = _locate(detail["loc"], source.data)
        if detail["type"] != "extra_forbidden" and keys in above_null:
            continue  # the empty value is the cause, or it may be
        node = _stranger(detail, source)
        if node is None:
            problems += _translate(detail, source)
        elif node not in strangers:
            strangers.add(node)
            problems.append(_not_a_node(source, node))
    return problems


def _stranger(detail: ErrorDetails, source: Source) -> Keys | None:
    """The keys of an expectation's key that is neither one of its own nor, by its looks, a node with facts."""
    loc = detail["loc"]
    if len(loc) < 3 or loc[0] != "expect" or loc[2] in OWN_KEYS or not isinstance(loc[2], str):
        return None
    value = source.data["expect"][loc[1]][loc[2]]
    looks_like_facts = isinstance(value, dict) and any(did_you_mean(key, FACTS) for key in islice(value, _LOOKED_AT))
    misspelled = did_you_mean(loc[2], OWN_KEYS) is not None
    if isinstance(value, dict) and (looks_like_facts or not misspelled):
        return None
    return loc[:3]


def _not_a_node(source: Source, keys: Keys) -> InputError:
    word, value = str(keys[-1]), source.data["expect"][keys[1]][keys[2]]
    near = did_you_mean(word, OWN_KEYS)
    hint = (
        f"did you mean {near}?" if near else f"its own keys are {', '.join(OWN_KEYS)}; any other is a node with facts"
    )
    if isinstance(value, dict) or near:
        return InputError(f"unknown key {word} in an expectation", place=source.place(keys, of_key=True), hint=hint)
    return InputError(
        f"expected facts of the node {word}, a mapping, not {describe(value)}",
        place=source.place(keys),
        hint=f"for one: `{word}: {{ESTABLISHED: 1}}`; {hint}",
    )


def _translate(detail: ErrorDetails, source: Source) -> list[InputError]:
    keys, model = _locate(detail["loc"], source.data)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Problems):
        return [
            InputError(
                problem.message,
                place=source.place((*keys, *problem.keys), of_key=problem.of_key),
                hint=problem.hint,
            )
            for problem in cause.problems
        ]
    last = detail["loc"][-1] if detail["loc"] else ""
    if detail["type"] == "missing":
        meaning = keys_of(model).get(str(last))
        place = source.place(keys, of_key=True)
        return [InputError(f"`{last}` is missing{_inside(keys)}", place=place, hint=f"{last}: {meaning}")]
    if detail["type"] == "extra_forbidden":
        return [_unknown_key(source, keys, model)]
    if last == "[key]" and detail["type"] == "literal_error" and (known := FACTS[str(keys[-2])].keys):
        hint = suggestion(str(keys[-1]), known.names)
        return [InputError(f"unknown {known.word} {keys[-1]}", place=source.place(keys, of_key=True), hint=hint)]
    message, hint = _wording(detail, _value(source.data, keys), _meaning(keys, model))
    name = next((key for key in reversed(keys) if isinstance(key, str)), None)
    return [InputError(f"`{name}`: {message}" if name else message, place=source.place(keys), hint=hint)]


def _unknown_key(source: Source, keys: Keys, model: type[BaseModel]) -> InputError:
    word, place = str(keys[-1]), source.place(keys, of_key=True)
    if model is NodeFacts:
        hint = suggestion(word, FACTS)
        return InputError(f"unknown fact {word} of the node {keys[-2]}", place=place, hint=hint)
    return InputError(f"unknown key {word}{_inside(keys[:-1])}", place=place, hint=suggestion(word, keys_of(model)))


def _inside(keys: Keys) -> str:
    """Where a key is missing or unknown, in words."""
    names = {"steps": " in a step", "expect": " in an expectation", "do": " in an action"}
    if not keys:
        return " in the scenario"
    last = keys[-1]
    return f" in {last}" if isinstance(last, str) else names.get(str(keys[-2]), "")


def _locate(loc: Keys, data: Any) -> tuple[Keys, type[BaseModel]]:
    """The part of pydantic's location that is in the file, and the innermost model on the way.

    What is left out: names of branches of a union, `[key]`, keys that are missing.
    """
    keys: list[str | int] = []
    model: type[BaseModel] = Scenario
    inner: type[BaseModel] | None = Scenario
    for part in loc:
        if isinstance(data, dict) and part in data:
            model = inner or model
            inner = _model_under(model, str(part)) if inner else None
        elif not (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            continue
        data = data[part]
        keys.append(part)
    missing = inner is not None and len(loc) > len(keys) and str(loc[-1]) in keys_of(inner)
    return tuple(keys), inner if missing and inner else model


def _model_under(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    for name, field in model.model_fields.items():
        if (field.alias or name) == key:
            return _model_in(field.annotation)
    return NodeFacts if model is Expectation else None


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


def _meaning(keys: Keys, model: type[BaseModel]) -> str:
    return keys_of(model).get(str(keys[-1]), "") if keys else ""


def _value(data: Any, keys: Keys) -> Any:
    for key in keys:
        data = data[key]
    return data


def _wording(detail: ErrorDetails, value: object, meaning: str) -> tuple[str, str | None]:
    """What was expected and what was found, and what to do."""
    found, limits = describe(value), detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(limits["error"]), None
        case "string_type":
            scalar = isinstance(value, bool | int | float)
            return f"expected text, not {found}", f'quote it: "{value}"' if scalar else None
        case "int_type":
            quoted = isinstance(value, str) and re.fullmatch(r"\s*\d+\s*", value)
            return f"expected a whole number, not {found}", "remove the quotes" if quoted else None
        case "greater_than_equal":
            return f"must be at least {limits['ge']}, not {value}", None
        case "less_than_equal":
            return f"must be at most {limits['le']}, not {value}", None
        case "greater_than":
            return f"must be above {limits['gt']:g}, not {value}", None
        case "literal_error":
            return f"expected {limits['expected']}, not {found}", None
        case "too_long":
            return f"must have at most {limits['max_length']}, not {limits['actual_length'] or 'more'}", None
        case "too_short" | "string_too_short":
            return "must not be empty", None
        case "string_too_long":
            return f"must have at most {limits['max_length']} characters", None
        case "string_pattern_mismatch":
            return f"{found} does not fit", meaning or None
        case "list_type":
            return f"expected a list, not {found}", "write `[a, b]`, or one `- item` a line"
        case "dict_type" | "model_type":
            return f"expected a mapping, not {found}", "write `{key: value}`, or one `key: value` a line"
        case _:
            return detail["msg"], None
