"""What the programmable servers answer: a path in, a response out. Pure; servers and applications frame and send it.

`/` a line of text, `/bytes/N` N bytes, `/delay/MS` after MS milliseconds, `/status/CODE` that status, `/echo` the
request's body; 404 elsewhere, 400 for a wrong number. Any method may be used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

MAX_BYTES = 1 << 28
MAX_DELAY = 3_600_000
_TEXT = "text/plain"
_BINARY = "application/octet-stream"


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


def response_to(path: str, body: bytes) -> Response:
    """The response to a request for `path`, which has no query."""
    if path == "/":
        return Response(200, b"hello\n")
    if path == "/echo":
        return Response(200, body, _BINARY)
    _, _, rest = path.partition("/")
    name, _, number = rest.partition("/")
    if name not in _NUMBERED:
        return Response(404, b"nothing is here; there are /, /echo, /bytes/N, /delay/MS and /status/CODE\n")
    low, high, make = _NUMBERED[name]
    if not (number.isascii() and number.isdigit() and len(number) < 12 and low <= int(number) <= high):
        return Response(400, f"/{name}/ takes a number from {low} to {high}\n".encode())
    return make(int(number))


def _bytes(size: int) -> Response:
    return Response(200, b"x" * size, _BINARY)


def _delay(milliseconds: int) -> Response:
    return Response(200, f"after {milliseconds} ms\n".encode(), delay=milliseconds / 1000)


def _status(code: int) -> Response:
    return Response(code, b"" if code in (204, 304) else f"{code}\n".encode())


_NUMBERED: dict[str, tuple[int, int, Callable[[int], Response]]] = {
    "bytes": (0, MAX_BYTES, _bytes),
    "delay": (0, MAX_DELAY, _delay),
    "status": (200, 599, _status),
}
