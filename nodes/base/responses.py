"""What the programmable servers respond: a path in, a response out. Pure; servers and applications frame and send it.

`/` a line of text, `/bytes/N` N bytes, `/delay/MS` after MS milliseconds, `/status/CODE` that status, `/echo` the
request's body; 404 elsewhere, 400 for a wrong number. Any method may be used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

R = TypeVar("R")

MAX_BYTES = 1 << 28
MAX_DELAY = 3_600_000
_TEXT = "text/plain"
BINARY = "application/octet-stream"


@dataclass(frozen=True)
class Response:
    """A response without its framing; `delay` in seconds."""

    status: int
    body: bytes = b""
    content_type: str = _TEXT
    delay: float = 0.0

    def headers(self, close: bool) -> dict[str, str]:
        """The header fields; `close`: the connection ends with it. RFC 9112 section 6: no length without content."""
        fields = {} if self.status in (204, 304) else {"Content-Length": str(len(self.body))}
        return {"Content-Type": self.content_type, **fields, **({"Connection": "close"} if close else {})}

    def content(self, method: str) -> bytes:
        """The bytes after the header: the response to HEAD has only the length of its body."""
        return b"" if method == "HEAD" else self.body


class Refused(ValueError):
    """There is nothing at a path: an HTTP status, and a line for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.body = f"{text}\n".encode()


_WRITTEN = {"delay": "MS", "status": "CODE"}
"""How the number of a path is written where it is more than a number."""

Numbered = Mapping[str, tuple[int, int, Callable[[int], R]]]
"""Of paths with a number at their end, as /bytes/N: name -> smallest, largest, what to make of one."""


def by_number(path: str, numbered: Numbered[R], others: str) -> R:
    """What `numbered` makes of the path. Raises Refused, which lists all paths; `others` are those without a number."""
    _, _, rest = path.partition("/")
    name, _, number = rest.partition("/")
    if name not in numbered:
        *paths, last = (f"/{each}/{_WRITTEN.get(each, 'N')}" for each in numbered)
        raise Refused(404, f"nothing is here; there are {', '.join([others, *paths])} and {last}")
    low, high, make = numbered[name]
    if not (number.isascii() and number.isdigit() and len(number) < 12 and low <= int(number) <= high):
        raise Refused(400, f"/{name}/ takes a number from {low} to {high}")
    return make(int(number))


def response_to(path: str, body: bytes) -> Response:
    """The response to a request for `path`, which has no query."""
    if path == "/":
        return Response(200, b"hello\n")
    if path == "/echo":
        return Response(200, body, BINARY)
    try:
        return by_number(path, NUMBERED, "/, /echo")
    except Refused as refused:
        return Response(refused.status, refused.body)


def _bytes(size: int) -> Response:
    return Response(200, b"x" * size, BINARY)


def _delay(milliseconds: int) -> Response:
    return Response(200, f"after {milliseconds} ms\n".encode(), delay=milliseconds / 1000)


def _status(code: int) -> Response:
    return Response(code, b"" if code in (204, 304) else f"{code}\n".encode())


NUMBERED: Numbered[Response] = {
    "bytes": (0, MAX_BYTES, _bytes),
    "delay": (0, MAX_DELAY, _delay),
    "status": (200, 599, _status),
}
