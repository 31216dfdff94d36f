"""Text that came from nodes, made harmless: a header or a log line must not steer the reader's terminal."""

from __future__ import annotations

LONGEST = 600
"""Characters of one piece of text that a report shows; a header may be 64 KiB long."""


def visible(text: object, *, longest: int | None = LONGEST) -> str:
    """The text on one line, each character that does not print in its escaped form: `\\x1b`, `\\n`, `\\u202e`.

    What does not print are control and format characters (ANSI escapes, bidirectional overrides), line and paragraph
    separators, lone surrogates and unassigned code points. Text longer than `longest` is cut, and says so.
    """
    whole = str(text)
    kept = whole if longest is None else whole[:longest]
    escaped = "".join(char if char.isprintable() else _escape(char) for char in kept)
    return escaped if len(kept) == len(whole) else f"{escaped}... ({len(whole) - len(kept)} more characters)"


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
