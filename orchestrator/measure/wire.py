"""One HTTP/1.1 connection on a plain socket, as the prober needs it. Stands alone: see prober.py."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import Any

Message = dict[str, Any]

MOST_HEAD = 1 << 16
REACTION = 1.0
"""Seconds in which a closed socket answers what comes with RST; one that is only half closed says nothing."""

_TLS = (b"\x15\x03", b"\x16\x03")
"""How a TLS server begins: an alert, a handshake."""


class NotMeasurable(Exception):
    """The target cannot be measured. `usage`: another one must be given."""

    def __init__(self, text: str, *, usage: bool = False) -> None:
        super().__init__(text)
        self.usage = usage


class Broken(Exception):
    """No whole response came: `how` is `fin`, `rst` or `time`."""

    def __init__(self, how: str) -> None:
        super().__init__({"fin": "end of file", "rst": "connection reset", "time": "no response in time"}[how])
        self.how = how


class Wire:
    """A connection that was opened in `connect` seconds. Reads and writes give up at `deadline` (monotonic)."""

    def __init__(self, opened: socket.socket, connect: float, deadline: float) -> None:
        self.connect = connect
        self.last_byte = time.monotonic()
        """When the last response was whole, or the connection was open."""
        self._socket = opened
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline = deadline
        self._read = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> Message:
        """Send a request and read the response; an answer as prober.py has it. Raises Broken, NotMeasurable."""
        asked = time.monotonic()
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(request)
        except TimeoutError:
            raise Broken("time") from None
        except OSError:  # the response may be here all the same
            self._more()
        status, version, fields, came = self._head()
        framed = self._skip_body(status, fields)
        self.last_byte = time.monotonic()
        options = {option.strip().lower() for option in fields.get("connection", "").split(",")}
        intervals = "close" not in options and (version == "HTTP/1.1" or "keep-alive" in options)
        return {
            "status": status,
            "version": version,
            "persistent": framed and intervals,
            "says_close": "close" in options,
            "keep_alive": fields.get("keep-alive"),
            "first_byte": came - asked,
        }

    def _head(self) -> tuple[int, str, dict[str, str], float]:
        """Status, version, header fields, and when they were here, of the next final response."""
        while True:
            lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            came = time.monotonic()
            version, _, rest = lines[0].partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
                raise NotMeasurable(f"it does not speak HTTP/1.1: its answer begins with {lines[0][:40]!r}", usage=True)
            if not 100 <= int(rest[:3]) < 200:
                break
        fields: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            key = name.strip().lower()
            fields[key] = f"{fields[key]}, {value.strip()}" if key in fields else value.strip()
        return int(rest[:3]), version, fields, came

    def _skip_body(self, status: int, fields: dict[str, str]) -> bool:
        """RFC 9112 section 6.3. False: the end of the connection was the end of the body."""
        if status in (204, 304):
            return True
        if "chunked" in fields.get("transfer-encoding", "").lower():
            while size := self._chunk_size():
                self._skip(size + 2)
            while self._until(b"\r\n"):
                continue  # trailers
            return True
        if (length := fields.get("content-length")) is not None:
            if not (length.isascii() and length.isdecimal()):
                raise NotMeasurable(f"it answers with Content-Length {length[:40]!r}, which is no length")
            self._skip(int(length))
            return True
        with contextlib.suppress(Broken):
            while True:
                self._read = b""
                self._more()
        return False

    def _chunk_size(self) -> int:
        line = self._until(b"\r\n").partition(b";")[0]
        try:
            return int(line, 16)
        except ValueError:
            raise NotMeasurable(f"its response is broken: {line[:20]!r} is not the size of a chunk") from None

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            if self._read.startswith(_TLS):
                raise NotMeasurable("it speaks TLS, and HTTPS is not measured", usage=True)
            if len(self._read) > MOST_HEAD:
                raise NotMeasurable("its response has a head without an end")
            self._more()
        found, _, self._read = self._read.partition(mark)
        return found

    def _skip(self, size: int) -> None:
        while len(self._read) < size:
            size -= len(self._read)
            self._read = b""
            self._more()
        self._read = self._read[size:]

    def _more(self) -> None:
        """Read at least one byte. Raises Broken."""
        try:
            self._socket.settimeout(self._left())
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            raise Broken("time") from None
        except OSError:
            raise Broken("rst") from None
        if not data:
            raise Broken("fin")
        self._read += data

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def closing(self) -> bool:
        """Whether something came unasked, which is the end or announces it."""
        return bool(self._read or select.select([self._socket], [], [], 0)[0])

    def end(self, patience: float) -> Message:
        """Wait for the end, until the connection was silent for so many seconds; an end as prober.py has it."""
        self._deadline = self.last_byte + patience
        said = b""
        while True:
            try:
                said = (said + self._read)[:MOST_HEAD]
                self._read = b""
                self._more()
            except Broken as broken:
                after = time.monotonic() - self.last_byte
                words = said[:64].split(b" ", 2)
                status = (
                    int(words[1]) if words[0].startswith(b"HTTP/1.") and words[1:2] and words[1].isdigit() else None
                )
                return {"how": "none" if broken.how == "time" else broken.how, "after": after, "said": status}

    def reaction(self, request: bytes) -> Message:
        """Send a request behind the server's FIN: {how: `rst` or `nothing`, after: s}."""
        sent = time.monotonic()
        with contextlib.suppress(OSError):  # a RST is what we look for
            self._socket.settimeout(REACTION)
            self._socket.sendall(request)
        watch = select.poll()
        watch.register(self._socket, 0)  # a reset is always told; the end of file would be, if it were asked for
        reset = bool(watch.poll(REACTION * 1000))
        return {"how": "rst" if reset else "nothing", "after": time.monotonic() - sent}
