"""Three-valued truth over time.

Between the few instants at which something changes nothing changes, so time is cut into pieces: the instants
themselves and the open intervals between them. A fact has one truth value per piece, and `always` and `eventually`
are questions about runs of pieces. Times are seconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import NamedTuple

from orchestrator.recording.verdict import Outcome

PASS, UNKNOWN, FAIL = 0, 1, 2
"""Truth values in the order of `Outcome.worst`, small enough for a bytearray: one byte per piece."""

OUTCOMES = (Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL)

Track = bytearray
"""One truth value per piece."""


class Span(NamedTuple):
    """Between `least` and `most` things count over [start, end] if `closed`, else over the open (start, end)."""

    start: float
    end: float
    closed: bool
    least: int
    most: int


class Grid:
    """Time cut at `times`: piece 2i is the instant times[i], piece 2i + 1 the open interval after it."""

    def __init__(self, times: Iterable[float]) -> None:
        self.times = sorted(times if isinstance(times, set) else set(times))
        self._index = {t: 2 * position for position, t in enumerate(self.times)}
        self.size = max(0, 2 * len(self.times) - 1)

    def at(self, t: float) -> int:
        """The piece of an instant that the grid was cut at."""
        return self._index[t]

    def pieces(self, start: float, end: float) -> range:
        """The pieces of the closed window [start, end], whose ends the grid was cut at."""
        return range(self._index[start], self._index[end] + 1)

    def bounds(self, piece: int) -> tuple[float, float]:
        """Where a piece starts and ends; equal for an instant."""
        first = self.times[piece // 2]
        return (first, self.times[piece // 2 + 1]) if piece % 2 else (first, first)

    def instant(self, piece: int) -> float:
        """An instant of the piece: the middle of an interval."""
        start, end = self.bounds(piece)
        return (start + end) / 2

    def distance(self, piece: int, t: float) -> float:
        """Seconds from `t` to the piece, 0 inside."""
        start, end = self.bounds(piece)
        return max(0.0, start - t, t - end)

    def count(self, spans: Iterable[Span]) -> tuple[Sequence[int], Sequence[int]]:
        """Per piece, how many count at least and at most: the sums of all spans that cover it."""
        least, most = self.changes(), self.changes()
        for start, end, closed, low, high in spans:
            self.cover(least, [(start, end)], closed=closed, by=low)
            self.cover(most, [(start, end)], closed=closed, by=high)
        return self.sums(least), self.sums(most)

    def changes(self) -> list[int]:
        """By how much a number changes with each piece, none yet; for `cover` and `sums`."""
        return [0] * (self.size + 1)

    def cover(self, changes: list[int], spans: Iterable[tuple[float, float]], *, closed: bool, by: int = 1) -> None:
        """Add intervals over which the number is higher: closed ones, or open ones."""
        index = self._index
        first, after = (0, 1) if closed else (1, 0)
        for start, end in spans:
            changes[index[start] + first] += by
            changes[index[end] + after] -= by

    def sums(self, changes: Sequence[int]) -> Sequence[int]:
        """The number at each piece."""
        return _sums(changes, self.size)


def _sums(changes: Sequence[int], size: int) -> Sequence[int]:
    """An array, since a large run has a million pieces, and a number in a list takes nine times as much; a list where a
    number does not fit: a recording may claim what it likes."""
    try:
        return array("i", islice(accumulate(changes), size))
    except OverflowError:
        return list(islice(accumulate(changes), size))


def worst(tracks: Sequence[Track], size: int) -> Track:
    """The conjunction of facts at each piece."""
    return Track(map(max, zip(*tracks, strict=True))) if len(tracks) > 1 else Track(tracks[0] if tracks else size)


class Stretch(NamedTuple):
    """Pieces first..last (both included) over which something holds without a break."""

    first: int
    last: int


def stretches(track: Track, at_worst: int) -> Iterator[Stretch]:
    """The longest runs of pieces whose truth is `at_worst` or better."""
    first: int | None = None
    for piece, value in enumerate(track):
        if value <= at_worst:
            first = piece if first is None else first
        elif first is not None:
            yield Stretch(first, piece - 1)
            first = None
    if first is not None:
        yield Stretch(first, len(track) - 1)


def holds_for(grid: Grid, stretch: Stretch, start: float, end: float, length: float, *, endless: bool) -> bool:
    """Whether some s of [start, end] has all of [s, s + length] inside the stretch.

    `endless`: the stretch, when it reaches the end of the grid, is taken to go on for ever.
    """
    left, right = grid.bounds(stretch.first)[0], grid.bounds(stretch.last)[1]
    left_open = stretch.first % 2 == 1 and left >= start
    begin = max(left, start)
    if begin > end or (left_open and begin == end):
        return False
    if right < begin:
        return False
    if endless and stretch.last == grid.size - 1:
        return True
    spare = right - (begin + length)
    return spare > 0 or (spare == 0 and not left_open and stretch.last % 2 == 0)
