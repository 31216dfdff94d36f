"""Decodes the kernel's trace ring buffer: pages of `trace_pipe_raw` into (time, payload) records.

Source: the format that `events/header_page` and `events/header_event` describe, and kernel/trace/ring_buffer.c. A page
is a header (time stamp, 8 bytes; commit, 8 bytes) and packed events, each with a delta to the time before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEADER = struct.Struct("=QQ")
_WORD = struct.Struct("=I")
_COMMIT_MASK = (1 << 20) - 1
_PADDING, _TIME_EXTEND, _TIME_STAMP = 29, 30, 31
_DELTA_BITS = 27


def records(page: bytes) -> Iterator[tuple[int, memoryview]]:
    """(nanoseconds of the trace clock, payload) of every event of one page, oldest first."""
    time, commit = _HEADER.unpack_from(page)
    view = memoryview(page)
    offset = _HEADER.size
    end = min(len(page), offset + (commit & _COMMIT_MASK))
    while offset + 4 <= end:
        (word,) = _WORD.unpack_from(page, offset)
        kind, delta = word & 31, word >> 5
        offset += 4
        if kind in (_TIME_EXTEND, _TIME_STAMP):
            (high,) = _WORD.unpack_from(page, offset)
            offset += 4
            if kind == _TIME_EXTEND:
                time += (high << _DELTA_BITS) + delta
            else:  # absolute; the top five bits do not fit and stay as they were
                time = (time >> 59 << 59) + (high << _DELTA_BITS) + delta
            continue
        if kind == _PADDING:
            if delta == 0:  # the rest of the page is empty
                return
            (length,) = _WORD.unpack_from(page, offset)
            time += delta
            offset += length
            continue
        time += delta
        if kind:
            length = kind * 4
        else:
            (with_itself,) = _WORD.unpack_from(page, offset)
            offset += 4
            length = with_itself - 4
        yield time, view[offset : offset + length]
        offset += (length + 3) & ~3
