"""Reads `.env` and `env_file` files as Compose does.

Source: Compose's documentation, "Syntax for environment files in Docker Compose". Lines `NAME=value`; `export` before
the name is allowed; `#` after a space begins a comment; single quotes are literal; double quotes know the escapes
\\n \\r \\t \\\\ \\" \\$ and, like unquoted values, `${VAR}`. A quoted value may go on over several lines. `NAME` alone
takes the value from outside.
"""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.bounds import FILE
from orchestrator.errors import InputError, Place
from orchestrator.text.files import read_regular
from orchestrator.topology.compose.interpolate import Lookup, bounded, interpolate

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(?:([=:])[ \t]*|(?=#|\n|$))")
_SINGLE = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_AFTER_QUOTE = re.compile(r"[ \t]*(?:#[^\n]*)?(?=\n|$)")
_LINE = re.compile(r"[^\n]*")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$$"}
"""`\\$` becomes what interpolation reads as a plain dollar sign."""


def read_dotenv(path: Path, lookup: Lookup) -> dict[str, str]:
    """Name -> value. Variables in values come from `lookup`, then from earlier lines. Raises InputError."""
    try:
        raw = read_regular(path, FILE.limit + 1)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the file is not UTF-8", place=Place(path), hint="save it with the encoding UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"the file cannot be read: {reason}", place=Place(path)) from None
    if len(raw) > FILE.limit:
        raise InputError(f"the file is longer than {FILE.limit} bytes", place=Place(path))
    return parse_dotenv(text, path, lookup)


def parse_dotenv(text: str, path: Path | str, lookup: Lookup) -> dict[str, str]:
    """As `read_dotenv`, from text; `path` is what the places show."""
    text = text.replace("\r\n", "\n")
    values: dict[str, str] = {}

    def of_all(name: str) -> str | None:
        outside = lookup(name)
        return values.get(name) if outside is None else outside

    known = bounded(of_all)

    position = _skip_blank(text, 0)
    while position < len(text):
        try:
            name, value, end = _statement(text, position, known)
        except ValueError as error:
            raise InputError(str(error), place=Place(path, text.count("\n", 0, position) + 1)) from None
        if value is not None:
            values[name] = value
        position = _skip_blank(text, end)
    return values


def _statement(text: str, start: int, lookup: Lookup) -> tuple[str, str | None, int]:
    """The name and value that stand at `start`, and the position after them. Raises ValueError."""
    name = _NAME.match(text, start)
    if name is None:
        raise ValueError("expected NAME=value, or a comment that begins with #")
    if name[2] is None:
        return name[1], lookup(name[1]), name.end()
    value, end = _value(text, name.end(), lookup)
    if "\0" in value:
        raise ValueError(f"the value of {name[1]} contains a NUL")
    return name[1], value, end


def _value(text: str, start: int, lookup: Lookup) -> tuple[str, int]:
    quote = text[start : start + 1]
    if quote not in ("'", '"'):
        line = _LINE.match(text, start)
        assert line is not None
        return interpolate(_COMMENT.sub("", line[0]).strip(), lookup), line.end()
    quoted = (_SINGLE if quote == "'" else _DOUBLE).match(text, start)
    if quoted is None:
        raise ValueError("the closing quote is missing")
    if _AFTER_QUOTE.match(text, quoted.end()) is None:
        raise ValueError("expected the end of the line after the closing quote")
    if quote == "'":
        return quoted[1].replace("\\'", "'"), quoted.end()
    unescaped = _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[0]), quoted[1])
    return interpolate(unescaped, lookup), quoted.end()


def _skip_blank(text: str, start: int) -> int:
    match = _BLANK.match(text, start)
    return match.end() if match else start
