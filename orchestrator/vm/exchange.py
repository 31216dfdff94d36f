"""The piece of memory that host and guest share: the order goes in, progress and the result come out.

On the host it is a file in memory, in the guest a persistent memory device. Both sides see each write at once.

    0          length of the progress text so far (8 bytes, little endian)
    4096       the progress text, one line each
    AREA       the order; later, in the same place, the result (bundles, see bundle.py)

Reading and writing costs the guest no waiting: a device that had to be waited for would let virtual time jump.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable

from orchestrator.vm import bundle

SIZE = 512 << 20
"""Bytes. The file is sparse; the guest's kernel keeps 1.6 % of it in tables."""

BLOCK = 4096
TEXT = BLOCK
AREA = 1 << 20
_BUFFER = 1 << 20


class Full(Exception):
    """The result is larger than the exchange."""


class Exchange:
    """One end. `descriptor` is the host's file, or the guest's device opened with O_DIRECT (no cache may answer)."""

    def __init__(self, descriptor: int, size: int = SIZE) -> None:
        self._descriptor = descriptor
        self._size = size
        self._buffer = mmap.mmap(-1, _BUFFER)  # O_DIRECT wants aligned memory
        self._text = b""

    @classmethod
    def create(cls) -> Exchange:
        """The host's end: a file that has no name, and is gone with its last user."""
        descriptor = os.memfd_create("simctl-exchange", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, SIZE)
        return cls(descriptor)

    @property
    def descriptor(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)
        self._buffer.close()

    # -- bundles -------------------------------------------------------------------------------------------------

    def put(self, pieces: Iterable[bytes]) -> None:
        """Write a bundle into the area. Raises Full."""
        offset, filled = AREA, 0
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                count = min(len(rest), _BUFFER - filled)
                self._buffer[filled : filled + count] = rest[:count]
                filled, rest = filled + count, rest[count:]
                if filled == _BUFFER:
                    self._write(offset, filled)
                    offset, filled = offset + filled, 0
        self._write(offset, -(-filled // BLOCK) * BLOCK)

    def _write(self, offset: int, count: int) -> None:
        if offset + count > self._size:
            raise Full
        with memoryview(self._buffer) as view, view[:count] as part:
            while count and (done := os.pwrite(self._descriptor, part, offset)) < count:
                raise OSError(f"only {done} of {count} bytes were written")

    def reader(self) -> BundleReader:
        """Reads the area from its beginning."""
        return BundleReader(self._descriptor)

    # -- progress ------------------------------------------------------------------------------------------------

    def say(self, line: str) -> None:
        """Guest: add a line of progress. What does not fit is dropped."""
        raw = line.replace("\n", " ").encode(errors="replace") + b"\n"
        if TEXT + len(self._text) + len(raw) > AREA:
            return
        begin = len(self._text) // BLOCK * BLOCK
        self._text += raw
        tail = self._text[begin:]
        self._buffer[: len(tail)] = tail
        self._write(TEXT + begin, -(-len(tail) // BLOCK) * BLOCK)
        self._buffer[:8] = len(self._text).to_bytes(8, "little")
        self._write(0, BLOCK)

    def said(self, after: int) -> str:
        """Host: the progress text from its character number `after`; whole lines."""
        length = min(int.from_bytes(os.pread(self._descriptor, 8, 0), "little"), AREA - TEXT)
        return os.pread(self._descriptor, max(0, length - after), TEXT + after).decode(errors="replace")


class BundleReader:
    """A callable `read(n)` for bundle.unpack. Reads whole blocks into aligned memory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._offset = AREA
        self._buffer = mmap.mmap(-1, BLOCK)
        self._pending = b""

    def __call__(self, count: int) -> bytes:
        if count > bundle.MAX_HEAD:
            raise bundle.BundleError("a piece is too long")
        if count > len(self._pending):
            self._pending += self._blocks(-(-(count - len(self._pending)) // BLOCK) * BLOCK)
        piece, self._pending = self._pending[:count], self._pending[count:]
        return piece

    def _blocks(self, count: int) -> bytes:
        if count > len(self._buffer):
            self._buffer.close()
            self._buffer = mmap.mmap(-1, count)
        with memoryview(self._buffer) as view, view[:count] as part:
            done = os.preadv(self._descriptor, [part], self._offset)
            self._offset += done
            return bytes(part[:done])
