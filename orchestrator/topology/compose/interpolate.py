"""Compose's interpolation of `$VAR` and `${VAR...}` in text.

Source: the Compose Specification, "Interpolation". The text is parsed whole before a value is asked for, so a mistake
in a default that is not taken is found too, while only the branch that is taken is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from orchestrator.bounds import VALUE, VALUES
from orchestrator.text.record import record
from orchestrator.text.safe import printable

Lookup = Callable[[str], str | None]
"""Name of a variable -> its value; None when it is not set."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MENTION = re.compile(r"\$(?:\$|\{?([A-Za-z_][A-Za-z0-9_]*))")
_OPERATOR = re.compile(r":?[-?+]")
_MAX_DEPTH = 20
"""Defaults inside of defaults; parsing is recursive."""


class InterpolationError(ValueError):
    """The text is no template, or a variable that it requires is not set. One line."""


@record
class Variable:
    """One `$NAME` or `${NAME OPERATOR word}`. `operator` is empty for the plain forms."""

    name: str
    operator: str = ""
    word: Template = ()


Template = tuple["str | Variable", ...]


def parse(text: str) -> Template:
    """The parts of a template: literal text and variables. Raises InterpolationError."""
    parts, end = _parse(text, 0, 0)
    assert end == len(text)
    return parts


def names(template: Template) -> Iterator[str]:
    """Every variable that the template mentions, in order, those in words included."""
    for part in template:
        if isinstance(part, Variable):
            yield part.name
            yield from names(part.word)


def mentioned(text: str) -> set[str]:
    """Every variable that a whole file mentions, comments included; what is no template is passed over."""
    return {match[1] for match in _MENTION.finditer(text) if match[1]}


def evaluate(template: Template, lookup: Lookup) -> str:
    """The text with values in place; a variable that is not set is empty, as in Compose. Raises InterpolationError."""
    text = "".join(part if isinstance(part, str) else _value(part, lookup) for part in template)
    if len(text) > VALUE.limit:
        raise InterpolationError(f"with its variables the value has {len(text)} characters: {VALUE.limit} at most")
    return text


def bounded(lookup: Lookup) -> Lookup:
    """A lookup for one file, of which all values together are bounded: each may be used again and again. Raises
    InterpolationError."""
    used = 0

    def look(name: str) -> str | None:
        nonlocal used
        value = lookup(name)
        used += len(value or "")
        if used > VALUES.limit:
            raise InterpolationError(
                f"the values of variables in this file come to more than {VALUES.limit} characters"
            )
        return value

    return look


def interpolate(text: str, lookup: Lookup) -> str:
    """Parse and evaluate in one."""
    return evaluate(parse(text), lookup)


def _parse(text: str, start: int, depth: int) -> tuple[Template, int]:
    """Parts from `start` to the end, or to the `}` that closes the variable in whose word they stand (depth > 0)."""
    if depth > _MAX_DEPTH:
        raise InterpolationError(f"defaults are nested deeper than {_MAX_DEPTH} levels")
    parts: list[str | Variable] = []
    position = literal = start
    while position < len(text) and not (depth and text[position] == "}"):
        if text[position] != "$":
            position += 1
            continue
        if position > literal:
            parts.append(text[literal:position])
        part, position = _dollar(text, position, depth)
        parts.append(part)
        literal = position
    if position > literal:
        parts.append(text[literal:position])
    return tuple(parts), position


def _dollar(text: str, start: int, depth: int) -> tuple[str | Variable, int]:
    """What the `$` at `start` begins, and the position after it."""
    if text.startswith("$$", start):
        return "$", start + 2
    if text.startswith("${", start):
        return _braced(text, start, depth)
    match = _NAME.match(text, start + 1)
    if match is None:
        raise InterpolationError(
            f"`$` must begin a variable: $NAME or ${{NAME}}; write $$ for a dollar sign (at {_excerpt(text, start)})"
        )
    return Variable(match[0]), match.end()


def _braced(text: str, start: int, depth: int) -> tuple[Variable, int]:
    name = _NAME.match(text, start + 2)
    if name is None:
        raise InterpolationError(f"expected the name of a variable after ${{ (at {_excerpt(text, start)})")
    operator = _OPERATOR.match(text, name.end())
    word, end = _parse(text, operator.end(), depth + 1) if operator else ((), name.end())
    if end >= len(text):
        raise InterpolationError(f"the closing brace is missing (at {_excerpt(text, start)})")
    if text[end] != "}":
        raise InterpolationError(
            f"expected }} or one of :- - :? ? :+ + after the name {name[0]} (at {_excerpt(text, start)})"
        )
    return Variable(name[0], operator[0] if operator else "", word), end + 1


def _value(variable: Variable, lookup: Lookup) -> str:
    value = lookup(variable.name)
    counts = bool(value) if variable.operator.startswith(":") else value is not None
    match variable.operator[-1:]:
        case "-":
            return value or "" if counts else evaluate(variable.word, lookup)
        case "+":
            return evaluate(variable.word, lookup) if counts else ""
        case "?" if not counts:
            reason = printable(evaluate(variable.word, lookup))
            state = "is empty" if value is not None else "is not set"
            raise InterpolationError(f"the variable {variable.name} {state}{': ' + reason if reason else ''}")
    return value or ""


def _excerpt(text: str, start: int) -> str:
    piece = printable(text[start : start + 30])
    return piece if len(text) <= start + 30 else piece + "..."
