"""Minisockets (TIME_WAIT, orphaned FIN_WAIT2, connection requests) of one table: they come by ten thousands.

They have only a state, so a table of them is kept as one block of bytes, a message each, and two dumps are compared as
blocks: what is equal costs a memory comparison, and Python is spent on what came and went.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.text.record import record

STATE, ID, EXPIRES = 17, 20, 68
"""Offsets in an inet_diag message, netlink header included: state (1 byte), socket id (48), timer (4)."""
ID_END = ID + 48

_NEAR, _SEARCHES = 16, 16
"""Records: how far a record is looked for when two dumps fall out of step, and how often it may be looked for farther.
Since Linux 6.15 sockets of neighbouring ports stand side by side, so many may come or go in one place."""
_FIRST_LEAP, _LEAP = 16, 1024
"""Records that are compared at once, at first and at most."""


@record
class MiniChanges:
    """Offsets of messages that are new or in a new state, into the dump just given; and ids that are gone."""

    came: list[int]
    gone: list[bytes]


class MiniTable:
    """The minisockets of the last dump."""

    def __init__(self) -> None:
        self._block = b""
        self._size = 0
        self._held: dict[bytes, int] = {}
        """Socket id -> in how many messages it stands: a dump is no snapshot, and may list a socket twice."""

    def __contains__(self, socket_id: bytes) -> bool:
        return socket_id in self._held

    def __len__(self) -> int:
        return len(self._held)

    def update(self, raw: bytes, size: int) -> MiniChanges:
        """Take the next dump: `raw` is messages of `size` bytes each, in the kernel's order."""
        block = _without_timers(raw, size)
        before, was = self._block, self._size
        self._block, self._size = block, size
        if block == before:
            return MiniChanges([], [])
        if size == was:
            came, went = differences(before, block, size)
        else:
            came, went = range(0, len(block), size or 1), range(0, len(before), was or 1)
        left = [before[offset + ID : offset + ID_END] for offset in went]
        state_of = dict(zip(left, (before[offset + STATE] for offset in went), strict=True))
        return MiniChanges(self._add(came, state_of), self._remove(left))

    def _add(self, came: Sequence[int], state_of: dict[bytes, int]) -> list[int]:
        """`state_of`: of the messages that went, so that a socket that merely moved in the dump is no news."""
        block, held = self._block, self._held
        news: list[int] = []
        for offset in came:
            socket_id = block[offset + ID : offset + ID_END]
            times = held.get(socket_id, 0)
            held[socket_id] = times + 1
            if not times or state_of.get(socket_id, state := block[offset + STATE]) != state:
                news.append(offset)
        return news

    def _remove(self, left: Sequence[bytes]) -> list[bytes]:
        gone: list[bytes] = []
        for socket_id in left:
            times = self._held.pop(socket_id) - 1
            if times:
                self._held[socket_id] = times
            else:
                gone.append(socket_id)
        return gone


def _without_timers(raw: bytes, size: int) -> bytes:
    """The timer runs: no event."""
    if not raw:
        return raw
    block = bytearray(raw)
    words = memoryview(block).cast("I")
    words[EXPIRES // 4 :: size // 4] = memoryview(bytes(len(raw) // size * 4)).cast("I")
    return bytes(block)


def differences(before: bytes, now: bytes, size: int) -> tuple[Sequence[int], Sequence[int]]:
    """Offsets of records to add (into `now`) and to take away (into `before`) that make the one of the other.

    The kernel keeps its order from dump to dump, so both are walked side by side. A record that lost its place may be
    among both: the answer is right as a whole, however they are aligned.
    """
    came: list[int] = []
    went: list[int] = []
    old = new = 0
    searches = _SEARCHES
    while True:
        same = _equal_bytes(before, old, now, new, size)
        old, new = old + same, new + same
        if old == len(before) or new == len(now):
            came += range(new, len(now), size)
            went += range(old, len(before), size)
            return came, went
        one, other = before[old : old + size], now[new : new + size]
        added = _distance(now, new, one, _NEAR)
        taken = _distance(before, old, other, _NEAR) if added != size else 0
        if not added and not taken and searches and one[ID:ID_END] != other[ID:ID_END]:
            searches -= 1
            added = _distance(now, new, one, len(now))
            taken = _distance(before, old, other, len(before))
        if added and (not taken or added <= taken):
            came += range(new, new + added, size)
            new += added
        elif taken:
            went += range(old, old + taken, size)
            old += taken
        else:
            came.append(new)
            went.append(old)
            old, new = old + size, new + size


def _distance(block: bytes, start: int, record: bytes, reach: int) -> int:
    """Bytes from `start` to where the record stands, 0 when it is not among the next `reach` records."""
    size = len(record)
    if block.startswith(record, start + size):  # nearly always
        return size
    at = block.find(record, start, start + reach * size)
    return at - start if at > start and (at - start) % size == 0 else 0


def _equal_bytes(one: bytes, start: int, other: bytes, other_start: int, size: int) -> int:
    """For how many bytes both are equal from there on, in whole records: by growing leaps, then halving."""
    most = min(len(one) - start, len(other) - other_start)
    done, leap, growing = 0, _FIRST_LEAP, True
    while done < most:
        length = min(leap * size, most - done)
        if one[start + done : start + done + length] == other[other_start + done : other_start + done + length]:
            done += length
            if growing:
                leap = min(leap * 2, _LEAP)
                continue
        elif leap == 1:
            return done
        growing = False
        leap = max(1, leap // 2)
    return done
