"""Bodies of requests: the text that a command has, or so many bytes that are made up while they are sent."""

from __future__ import annotations

import io
from typing import Any

from commands import Command

_BLOCK = b"x" * 65536


class MadeUp(io.RawIOBase):
    """A file of so many bytes, none of which is anywhere. Libraries read it, and rewind it when they repeat."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._at = size, 0

    def __len__(self) -> int:
        return self._size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), len(_BLOCK), self._size - self._at)
        buffer[:count] = _BLOCK[:count]
        self._at += count
        return count

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = min(max(0, start + offset), self._size)
        return self._at


def body_of(command: Command) -> bytes | MadeUp | None:
    """A new one each time: it is read once."""
    return command.body if command.body_size is None else MadeUp(command.body_size)


def body_length(command: Command) -> int:
    return len(command.body or b"") if command.body_size is None else command.body_size


def headers_with_length(command: Command) -> dict[str, str]:
    """The command's headers, with the length of a body of which its library would not know it. One that the command
    gives, or `Transfer-Encoding`, is the last word."""
    given = {name.lower() for name in command.headers}
    if command.body_size is None or given & {"content-length", "transfer-encoding"}:
        return command.headers
    return {**command.headers, "Content-Length": str(command.body_size)}
