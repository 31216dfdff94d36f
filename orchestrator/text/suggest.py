"""Words that error messages share: did you mean ...?, and what was found instead."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST, _MOST = 100, 500
"""Characters of a word, and number of candidates, beyond which nobody looks for a near one: each costs the product."""


_LONGEST_WORD = 200
_SHOWN = 60
"""Names that a hint lists."""


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was most likely meant to be, letter case aside; None when none is near."""
    if len(word) > _LONGEST:
        return None
    by_lower: dict[str, str] = {}
    for candidate in candidates:
        by_lower.setdefault(candidate.lower(), candidate)
    if len(by_lower) > _MOST:
        return None
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """A hint for an unknown word where the message lists what is known: what it was meant to be."""
    near = did_you_mean(word, candidates)
    return f"did you mean {near}?" if near is not None else None


def suggestion(word: str, candidates: Iterable[str]) -> str | None:
    """A hint for an unknown word: what it was meant to be, else the whole list; None when the list is empty."""
    names = list(dict.fromkeys(candidates))
    near = nearest(word, names)
    if near is not None:
        return near
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"known: {', '.join(names[:_SHOWN])}{more}" if names else None


def describe(value: object) -> str:
    """A value from YAML in plain words, short enough for a message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value!r}" if len(repr(value)) <= 20 else f"the number {repr(value)[:17]}..."
        case str():
            return f"the text {value!r}" if len(value) <= 60 else f"the text {value[:57] + '...'!r}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def shown(word: str) -> str:
    """A word from a file as a message may show it: as it is, or with escapes where a terminal would obey it; cut
    when it is very long."""
    if len(word) > _LONGEST_WORD:
        word = word[: _LONGEST_WORD - 3] + "..."
    return word if word and word.isprintable() else repr(word)
