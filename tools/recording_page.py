"""Prints docs/recording.md: `python tools/recording_page.py > docs/recording.md`. The tables are made from the types of
the lines (orchestrator/recording/lines.py); what relates the lines to each other is said here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from orchestrator.recording.events import FORMAT, TCPEXT_EVERY
from orchestrator.recording.linefields import Doc, Line, OneOf
from orchestrator.recording.lines import LINES, BeginNode, ErrorField
from orchestrator.tcp.counters import NAMES

_COUNTERS = ", ".join(f"`{name}`" for name in NAMES)

HEAD = f"""# The recording

Each run has a folder with a file `events.jsonl`: one JSON object a line, in no strict order of time. `simctl verify`
and `simctl report` read nothing else of a run, besides its scenario. This is format {FORMAT}. `simctl schema events`
prints the same as a JSON Schema.

- The first line is `begin`, the last is `end`, unless the run was killed.
- Times are seconds since the start of the run on `CLOCK_MONOTONIC`, which all processes of one machine share.
- Fields that are not required may be missing or null. Readers pass over fields and kinds of lines that they do not
  know; lines of unknown kinds are counted in a note of the report.
- A tick's `period` is what is meant. With large tables more time may lie between two ticks, and on a virtual clock up
  to `quiet` while the trace shows nothing; each tick says when it was.
- The counters of a tick are {_COUNTERS}.
  The group `TcpExt` (from `TW` on) is read once in {TCPEXT_EVERY:g} s and at every named moment, so the tick that
  shows a new value of it need not be the one in which it changed.
- The lines of the kernel's trace (those with a `cpu`) say what the kernel reported, undecided: which node a socket
  belongs to, who sent a RST, which timer is whose is inferred by `simctl verify` (orchestrator/history). In recordings
  of format 1 the recorder had done that; `simctl verify` reads them too.
- A connection has a `socket`, `state`, ... line for each of its ends. What belongs together is found by `simctl
  verify`, by address pair and overlapping life, through `nat` lines where a node translates addresses.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD, _section("Every line", Line), *(_section(f"`{ev}`", kind) for ev, kind in LINES.items())]
    parts += [_section("An entry of `nodes` of `begin`", BeginNode), _section("An `error`", ErrorField)]
    return "\n".join(parts)


def _section(title: str, kind: type) -> str:
    return "\n".join([f"## {title}", "", inspect.cleandoc(kind.__doc__ or ""), "", *_table(kind), ""])


def _table(kind: type) -> Iterator[str]:
    common = set() if kind is Line else set(Line.__annotations__)
    required = kind.__required_keys__  # type: ignore[attr-defined]
    yield "| field | what it is | meaning |"
    yield "|---|---|---|"
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if name not in common:
            doc, words = _described(hint)
            yield f"| `{name}`{'' if name in required else ' (optional)'} | {words} | {doc} |"


def _described(hint: Any) -> tuple[str, str]:
    """What a field means, and what it is, in words."""
    docs: list[str] = []
    kinds: list[str] = []
    _walk(hint, docs, kinds)
    return (docs[0] if docs else ""), " of ".join(kinds)


_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}


def _walk(hint: Any, docs: list[str], kinds: list[str]) -> None:
    if get_origin(hint) is Annotated:
        inner, *more = get_args(hint)
        docs += [each.text for each in more if isinstance(each, Doc)]
        if any(isinstance(each, OneOf) for each in more):
            kinds.append("TCP state")
        else:
            _walk(inner, docs, kinds)
    elif get_origin(hint) is Literal:
        kinds.append(", ".join(f"`{word}`" for word in get_args(hint)))
    elif get_origin(hint) is list:
        kinds.append("list")
        _walk(get_args(hint)[0], docs, kinds)
    elif get_origin(hint) is dict:
        kinds.append("mapping")
        _walk(get_args(hint)[1], docs, kinds)
    elif hasattr(hint, "__required_keys__"):
        kinds.append("mapping, see below")
    elif hint in _NAMES:
        kinds.append(_NAMES[hint])
    else:  # NotRequired[...], or a type or None
        for each in get_args(hint):
            if each is not type(None):
                _walk(each, docs, kinds)


if __name__ == "__main__":
    print(page(), end="")
