"""Knobs that a topology or a step sets: whether the node's kind has them, and can have these values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from orchestrator.errors import Gathered, InputError
from orchestrator.kinds.registry import Kind, have_knob
from orchestrator.text.suggest import shown, suggestion
from orchestrator.topology.model import Node, Note, Topology

_NEAR = 0.8
"""How much alike two names are (difflib's ratio) when one is a slip of the pen for the other."""


def check_topology(topology: Topology, kinds: Mapping[str, Kind], varied: Collection[str] = ()) -> tuple[Note, ...]:
    """Raises InputError, with all problems, for knobs that somebody set on a node of a kind without them, and for
    values that they cannot have. Of the kinds in `varied`, which a matrix puts there one after the other, a knob that
    they do not have is a note.

    A variable that is a knob of no kind and looks like none of this one may be for the program itself (LANG).
    """
    problems, notes = Gathered(topology.path, "in this topology"), []
    for node in topology.nodes:
        if (kind := kinds.get(node.kind or "")) is None:
            continue
        for problem in _of_node(node, kind, kinds):
            if kind.kind in varied and problem.place is not None:
                notes.append(Note(problem.message + (f"; {problem.hint}" if problem.hint else ""), problem.place))
            else:
                problems.append(problem)
        for problem in _values(node, kind):
            problems.append(problem)
    problems.raise_all()
    return tuple(dict.fromkeys(notes))  # replicas of a service have the same


def _of_node(node: Node, kind: Kind, kinds: Mapping[str, Kind]) -> Iterator[InputError]:
    for name, place in node.chosen.items():
        if name in kind.knobs:
            continue
        near = get_close_matches(name, kind.knobs, n=1, cutoff=_NEAR)
        if near or have_knob(kinds, name):
            text = f"{name} has no effect on {node.service}: the kind {kind.kind} has no such knob"
            yield InputError(text, place=place, hint=f"did you mean {near[0]}?" if near else None)


def _values(node: Node, kind: Kind) -> Iterator[InputError]:
    for name, value in node.environment.items():
        if (problem := wrong_value(kind, name, value)) is not None:
            yield InputError(f"{node.service}: {problem}", place=node.chosen.get(name, node.place))


def wrong_value(kind: Kind, name: str, value: str) -> str | None:
    """What is wrong with the value of a knob; None: nothing, or only the program can tell."""
    takes = kind.knobs[name].takes if name in kind.knobs else None
    expected = takes.expected(value) if takes is not None else None
    return f"{name} of the kind {kind.kind}: expected {expected}, not {shown(value.strip())}" if expected else None


def unknown_knob(kind: Kind, name: str) -> tuple[str, str | None] | None:
    """What to say of a knob that the kind does not have: message and hint."""
    if name in kind.knobs:
        return None
    return f"the kind {kind.kind} has no knob {shown(name)}", suggestion(name, kind.knobs)
