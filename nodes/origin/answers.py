"""What the reference server answers: a path in, a response out. Pure; the connection is server.py's business.

`/` a line of text, `/bytes/N` N bytes, `/chunked/N` the same in chunks, `/delay/MS` after MS milliseconds,
`/status/CODE` that status, `/echo` the request's body, `/hang` never.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import h11

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MAX_BYTES = 1 << 28
MAX_ECHO = 1 << 20
MAX_DELAY = 3_600_000
_CHUNK = 8192


@dataclass(frozen=True)
class Answer:
    """A response before it is framed. `status` None: there is none, ever. `chunks`: the length is not told."""

    status: int | None
    body: bytes = b""
    content_type: str = "text/plain"
    delay: float = 0.0
    """Seconds."""
    chunks: list[bytes] | None = None

    def fields(self, connection: dict[str, str], chunked: bool = True) -> dict[str, str]:
        """The header fields. RFC 9112 section 6: no length where there can be no body."""
        if self.status in (None, 204, 304):
            return dict(connection)
        length = {"Content-Length": str(len(self.body))}
        if self.chunks is not None:
            length = {"Transfer-Encoding": "chunked"} if chunked else {}
        return {"Content-Type": self.content_type, **length, **connection}

    def render(self, method: bytes, connection: dict[str, str], chunked: bool = True) -> bytes:
        """The bytes on the wire. h11 would answer every HTTP/1.0 request with `Connection: close`, so we write it."""
        if self.status is None:
            return b""
        phrase = HTTPStatus(self.status).phrase if self.status in HTTPStatus._value2member_map_ else ""
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in self.fields(connection, chunked).items()]
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        if method == b"HEAD" or self.status in (204, 304):
            return head
        if self.chunks is None:
            return head + self.body
        if not chunked:
            return head + b"".join(self.chunks)
        return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*self.chunks, b""])


def answer_to(request: h11.Request, body: bytes) -> Answer:
    """The response to a request, by its path; 404 for what is not here."""
    path = request.target.decode("latin-1").partition("?")[0]
    if path == "/":
        return Answer(200, b"simctl origin\n")
    if path == "/hang":
        return Answer(None)
    if path == "/echo":
        if len(body) >= MAX_ECHO:
            return error_answer(413, f"/echo returns less than {MAX_ECHO} bytes")
        kind = next((value.decode("latin-1") for name, value in request.headers if name == b"content-type"), "")
        return Answer(200, body, kind or "application/octet-stream")
    _, _, rest = path.partition("/")
    name, _, number = rest.partition("/")
    if name not in _NUMBERED:
        return error_answer(404, f"nothing is at {path}; there are /, /hang, /echo, /{'/N, /'.join(_NUMBERED)}/N")
    low, high, make = _NUMBERED[name]
    if not (number.isascii() and number.isdigit() and len(number) < 12 and low <= int(number) <= high):
        return error_answer(400, f"/{name}/ takes a number from {low} to {high}")
    return make(int(number))


def error_answer(status: int, text: str) -> Answer:
    return Answer(status, f"{text}\n".encode())


def _bytes(size: int) -> Answer:
    return Answer(200, b"x" * size, "application/octet-stream")


def _chunked(size: int) -> Answer:
    chunks = [b"x" * min(_CHUNK, size - start) for start in range(0, size, _CHUNK)]
    return Answer(200, content_type="application/octet-stream", chunks=chunks)


def _delay(milliseconds: int) -> Answer:
    return Answer(200, f"after {milliseconds} ms\n".encode(), delay=milliseconds / 1000)


def _status(code: int) -> Answer:
    return Answer(code, b"" if code in (204, 304) else f"{code}\n".encode())


_NUMBERED: dict[str, tuple[int, int, Callable[[int], Answer]]] = {
    "bytes": (0, MAX_BYTES, _bytes),
    "chunked": (0, MAX_BYTES, _chunked),
    "delay": (0, MAX_DELAY, _delay),
    "status": (200, 599, _status),
}
