"""Knobs that a topology sets and the node's kind does not have: they would be passed over without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from orchestrator.kinds.registry import Kind
from orchestrator.topology.model import Node, Note, Topology

_NEAR = 0.8
"""How much alike two names are (difflib's ratio) when one is a slip of the pen for the other."""


def knob_notes(topology: Topology, kinds: Mapping[str, Kind]) -> tuple[Note, ...]:
    """A note for each knob that somebody set on a node of a kind without it, in the file's order.

    A variable that is a knob of no kind and looks like none of this one may be for the program itself (LANG): no note.
    """
    known = {knob for kind in kinds.values() for knob in kind.knobs}
    found = (note for node in topology.nodes for note in _of_node(node, kinds, known))
    return tuple(dict.fromkeys(found))  # replicas of a service have the same


def _of_node(node: Node, kinds: Mapping[str, Kind], known: set[str]) -> Iterator[Note]:
    kind = kinds.get(node.kind or "")
    if kind is None:
        return
    for name, place in node.chosen.items():
        near = get_close_matches(name, kind.knobs, n=1, cutoff=_NEAR)
        if name not in kind.knobs and (name in known or near):
            text = f"{name} has no effect on {node.service}: the kind {kind.kind} has no such knob"
            yield Note(text + (f"; did you mean {near[0]}?" if near else ""), place)
