"""How many entries the conntrack table of a NAT has: known where it was read, at named moments, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.history.index import Index
from orchestrator.judge.evidence import Shown
from orchestrator.judge.filter import Filter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import margin
from orchestrator.judge.timeline import FAIL, PASS, UNKNOWN, Grid, Track
from orchestrator.recording.causes import ConntrackUnread, NotFilterable, OutOfRange, Reason
from orchestrator.recording.evidence import ConntrackRead
from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.recording.verdict import Margin


class Entries:
    """The entries of a node, or of all nodes of a service; of one state where the question asks for one."""

    by_samples = False
    """No sample tells more of it, however close."""

    def __init__(self, index: Index, question: Question, matching: Filter) -> None:
        self.question = question
        self.nodes = index.resolve(question.node)
        self._filtered = not matching.everything
        by_time: dict[float, dict[str, dict[str, int]]] = {}
        for line in index.history.conntrack:
            if line["node"] in self.nodes:
                by_time.setdefault(float(line["t"]), {})[line["node"]] = line["entries"]
        self._read = {} if self._filtered else {t: of for t, of in by_time.items() if len(of) == len(self.nodes)}
        self._at: dict[int, float] = {}

    def times(self) -> Iterable[float]:
        """Where the value is known."""
        return self._read

    def lay(self, grid: Grid) -> Track:
        """The truth of the fact at each piece of the grid: unknown between two readings."""
        self._at = {grid.at(t): t for t in self._read}
        track = Track([UNKNOWN]) * grid.size
        for piece in self._at:
            track[piece] = PASS if self._count(piece) in self.question.expected else FAIL
        return track

    def _count(self, piece: int) -> int:
        part = self.question.part
        tables = self._read[self._at[piece]].values()
        return sum(sum(table.values()) if part is None else table.get(part, 0) for table in tables)

    def actual(self, pieces: Sequence[int]) -> Bounds | None:
        """The values over the pieces; None where one of them is not known."""
        if any(piece not in self._at for piece in pieces):
            return None
        counts = [self._count(piece) for piece in pieces]
        return Bounds(min(counts), max(counts), self.question.unit)

    def why(self, piece: int, at: Instant) -> Reason:
        """Why the fact does not hold at the piece."""
        if piece in self._at:
            return OutOfRange(at=at)
        if self._filtered:
            return NotFilterable(node=self.question.node, source="conntrack")
        return ConntrackUnread(node=self.question.node, at=at)

    def margin(self, pieces: Sequence[int]) -> Margin | None:
        """How many entries more or fewer would make the fact false."""
        known = self.actual(pieces)
        return None if known is None else margin(self.question, known.least, known.top)

    def evidence(self, piece: int) -> Shown:
        """What was read at the piece."""
        if piece not in self._at:
            return Shown()
        t = self._at[piece]
        return Shown(tuple(ConntrackRead(node=node, t=t, entries=table) for node, table in self._read[t].items()))
