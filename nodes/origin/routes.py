"""What the reference server responds: a path in, a response out. Pure; the connection is connection.py's business.

`/` a line of text, `/bytes/N` N bytes, `/chunked/N` the same in chunks, `/delay/MS` after MS milliseconds,
`/status/CODE` that status, `/echo` the request's body, `/hang` never.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import h11
from responses import BINARY, MAX_BYTES, NUMBERED, Numbered, Refused, Response, by_number

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
MAX_ECHO = 1 << 20
_CHUNK = 8192


@dataclass(frozen=True)
class Reply(Response):
    """A response before it is framed. `chunks`: its length is not announced."""

    chunks: list[bytes] | None = None
    never: bool = False
    """It is never sent."""

    @property
    def reported_status(self) -> int | None:
        return None if self.never else self.status

    def fields(self, connection: dict[str, str], chunked: bool = True) -> dict[str, str]:
        """The header fields. RFC 9112 section 6: no length where there can be no body."""
        if self.never or self.status in (204, 304):
            return dict(connection)
        length = {"Content-Length": str(len(self.body))}
        if self.chunks is not None:
            length = {"Transfer-Encoding": "chunked"} if chunked else {}
        return {"Content-Type": self.content_type, **length, **connection}

    def render(self, method: bytes, connection: dict[str, str], chunked: bool = True) -> bytes:
        """The bytes on the wire. h11 would close after every HTTP/1.0 request, so we write them ourselves."""
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


def reply_to(request: h11.Request, body: bytes) -> Reply:
    """The response to a request, by its path; 404 for what is not here."""
    path = request.target.decode("latin-1").partition("?")[0]
    if path == "/":
        return Reply(200, b"simctl origin\n")
    if path == "/hang":
        return Reply(200, never=True)
    if path == "/echo":
        if len(body) >= MAX_ECHO:
            return error_reply(413, f"/echo returns less than {MAX_ECHO} bytes")
        kind = next((value.decode("latin-1") for name, value in request.headers if name == b"content-type"), "")
        return Reply(200, body, kind or BINARY)
    try:
        found = by_number(path, _NUMBERED, "/, /hang, /echo")
    except Refused as refused:
        return Reply(refused.status, refused.body)
    return found if isinstance(found, Reply) else Reply(**vars(found))


def error_reply(status: int, text: str) -> Reply:
    return Reply(status, f"{text}\n".encode())


def _chunked(size: int) -> Reply:
    chunks = [b"x" * min(_CHUNK, size - start) for start in range(0, size, _CHUNK)]
    return Reply(200, content_type=BINARY, chunks=chunks)


_NUMBERED: Numbered[Response] = {**NUMBERED, "chunked": (0, MAX_BYTES, _chunked)}
