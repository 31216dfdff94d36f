"""Brings what happened into an order that the truth can have had, when some times are exact and others are intervals.

Items are known to follow each other for a reason (an answer follows its request, an ACK its FIN). Such pairs narrow
each other's intervals; then everything is sorted by the latest time at which it can have happened. So whatever comes
first in the result can have been first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from orchestrator.analysis.exchanges import Exchange
from orchestrator.analysis.ladder.ends import Change
from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.model import Queue, RowKind
from orchestrator.analysis.ladder.notes import Note
from orchestrator.history.model import Side
from orchestrator.scenario.steps.base import Effect

_PASSES = 20
"""More are only needed where the recording contradicts itself; then any order will do."""


@dataclass(slots=True, eq=False)
class Item:
    """Something that will be a row. It happened inside [after, before], seconds of the run.

    `floor` is the earliest time at all for what a program told late: an answer was on its way before the client's
    program had read it whole.
    """

    kind: RowKind
    after: float
    before: float
    says: Note | None = None
    sender: Side | None = None
    notes: list[Note] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    exchange: Exchange | None = None
    floor: float | None = None
    queue: tuple[Side, Queue] | None = None
    """What a queue tells, and at which end."""
    lost: bool = False
    """The other end surely did not notice it."""
    flags: Flags | None = None
    """Of a segment."""
    effect: Effect | None = None
    """What a step did to `node`."""
    node: str | None = None
    arrives: bool = False
    """A change of state that shows that a FIN came."""
    by: str | None = None
    """The node between the two ends that sent it, as if it were `sender`."""
    answers_known: bool = True
    """Of many requests: whether the answer to the last of them would have been reported."""
    unproven: bool = False
    """Nothing shows that it came to the other end, and nothing that it did not."""

    @property
    def earliest(self) -> float:
        return self.after if self.floor is None else min(self.floor, self.after)


class Ordering:
    """Pairs of items of which the first is the cause, or at least the forerunner, of the second."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Item, Item]] = []

    def then(self, *items: Item | None) -> None:
        """These happened one after the other. What the recording contradicts is passed over."""
        known = [item for item in items if item is not None]
        for one, two in pairwise(known):
            if one is not two and one.earliest <= two.before:
                self._pairs.append((one, two))

    def sort(self, items: Sequence[Item]) -> list[Item]:
        """The items in order; their intervals are narrowed in place."""
        self._narrow_ends()
        self._narrow_beginnings()
        depth = self._depths()
        for item in items:
            if item.after > item.before:
                # Told late, or the recording contradicts itself: by so much it may be wrong on the other side too.
                late = item.after - item.before
                item.after = min(item.before, max(item.earliest, item.before - late))
        position = {id(item): number for number, item in enumerate(items)}

        # What lies between two samples was over when the second was taken, and that is the moment of a step.
        def key(item: Item) -> tuple[float, bool, int, int]:
            return item.before, item.kind is RowKind.STEP, depth.get(id(item), 0), position[id(item)]

        return sorted(items, key=key)

    def _narrow_ends(self) -> None:
        for _ in range(_PASSES):
            moved = False
            for one, two in reversed(self._pairs):
                if two.before < one.before:
                    one.before = two.before
                    moved = True
            if not moved:
                return

    def _narrow_beginnings(self) -> None:
        for _ in range(_PASSES):
            moved = False
            for one, two in self._pairs:
                if two.after < one.earliest <= two.before:
                    two.after = one.earliest
                    moved = True
            if not moved:
                return

    def _depths(self) -> dict[int, int]:
        """How many forerunners an item has in a row: decides between items that may all have happened at one time."""
        depth: dict[int, int] = {}
        for _ in range(_PASSES):
            moved = False
            for one, two in self._pairs:
                least = depth.get(id(one), 0) + 1
                if depth.get(id(two), 0) < least:
                    depth[id(two)] = least
                    moved = True
            if not moved:
                break
        return depth
