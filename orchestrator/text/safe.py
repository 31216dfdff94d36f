"""Text that came from files, nodes or servers, made harmless: it must not steer the reader's terminal.

All that prints such text uses these two functions and no others.
"""

from __future__ import annotations

import re

LONGEST = 600
"""Characters of one piece of text that a report shows; a header may be 64 KiB long."""


def visible(text: object, *, longest: int = LONGEST) -> str:
    """The text as printable() has it, cut when it is longer than `longest`; it says so then."""
    whole = str(text)
    shown = printable(whole[:longest])
    return shown if len(whole) <= longest else f"{shown}... ({len(whole) - longest} more characters)"


def printable(text: str, *, keep: str = "") -> str:
    """The text on one line, each character that does not print in its escaped form: `\\x1b`, `\\n`, `\\u202e`.

    What does not print are control and format characters (ANSI escapes, bidirectional overrides), line and paragraph
    separators, lone surrogates and unassigned code points. Those in `keep` stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escape(char) for char in text)


def harmless(text: str) -> str:
    """Whole output for a terminal: lines stay lines, colours stay colours, and nothing else steers it. What leaves
    simctl goes through this, at the two doors in cli/streams.py, whatever was done to it before."""
    return _STEERING.sub(lambda found: _escape(found[0]), text)


_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]|\x1b(?!\[[0-9;]{0,30}m)"
)
"""What a terminal obeys, but for line breaks, tabs, and the sequences that set colours (SGR)."""


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
