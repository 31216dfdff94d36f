"""One HTTP/1.1 connection on a plain socket, as the prober needs it: h11 reads, the times are ours.

Of simctl it imports nothing: it also runs where only h11's and its own source were sent (place.py).
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from typing import Any

import h11

Message = dict[str, Any]

MOST_HEAD = 1 << 16
REACTION = 1.0
"""Seconds in which a closed socket answers what comes with RST; one that is only half closed says nothing."""

_BEGINNING = 64
"""Bytes of a response that show what it is."""
_TOO_LARGE = 431
"""h11's status for a head that is longer than max_incomplete_event_size."""

_SO_TIMESTAMPNS = 35
"""From asm-generic/socket.h; Python has no name for it. Also the type of the control message: a struct timespec."""
_BELIEVED = 5.0
"""Seconds between arrival and read; more is a clock that was set."""
_TIMESPEC = struct.Struct("@ll")

_TLS = (b"\x15\x03", b"\x16\x03")
"""How a TLS server begins: an alert, a handshake."""


class NotMeasurable(Exception):
    """The target cannot be measured. `usage`: another one must be given."""

    def __init__(self, text: str, *, usage: bool = False) -> None:
        super().__init__(text)
        self.usage = usage


class Broken(Exception):
    """No whole response came: `how` is `fin`, `rst` or `time`. `begun`: its head did."""

    def __init__(self, how: str, *, begun: bool = False) -> None:
        late = "its response began, and did not end in time" if begun else "no response in time"
        super().__init__({"fin": "end of file", "rst": "connection reset", "time": late}[how])
        self.how, self.begun = how, begun


class Wire:
    """A connection that was opened in `connect` seconds. Reads and writes give up at `deadline` (monotonic)."""

    def __init__(self, opened: socket.socket, connect: float, deadline: float) -> None:
        self.connect = connect
        self.last_byte = time.monotonic()
        """When the last response was whole, or the connection was open."""
        self._socket = opened
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._deadline = deadline
        self._read = b""
        self._came = self.last_byte
        """When something came last."""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: h11.Request) -> Message:
        """Send a request and read the response; an answer as prober.py has it. Raises Broken, NotMeasurable."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
        data = _sent_by(parser, request)
        asked = self._came = time.monotonic()
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(data)
        except TimeoutError:
            raise Broken("time") from None
        except OSError:  # the response may be here all the same
            self._read += self._more()
        if self._read:
            parser.receive_data(self._read)
            self._read = b""
        response = self._head(parser)
        came = self._came
        framed = self._skip_body(parser, response)
        self.last_byte = self._came
        fields: dict[str, str] = {}
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        options = {option.strip().lower() for option in fields.get("connection", "").split(",")}
        intervals = "close" not in options and (response.http_version >= b"1.1" or "keep-alive" in options)
        return {
            "status": response.status_code,
            "version": f"HTTP/{response.http_version.decode()}",
            "persistent": framed and intervals,
            "says_close": "close" in options,
            "keep_alive": fields.get("keep-alive"),
            "first_byte": came - asked,
        }

    def _head(self, parser: h11.Connection) -> h11.Response:
        """The head of the next final response."""
        begun = b""
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError as error:
                if error.error_status_hint == _TOO_LARGE:
                    raise NotMeasurable("its response has a head without an end") from None
                if begun.startswith(b"HTTP/1.") and "status line" not in str(error):
                    raise _broken(error) from None
                raise _no_http(begun) from None
            if isinstance(event, h11.Response):
                if not event.http_version.startswith(b"1."):
                    raise _no_http(begun)
                return event
            if event is h11.NEED_DATA:
                data = self._more()
                begun = (begun + data)[:_BEGINNING]
                if begun.startswith(_TLS):
                    raise NotMeasurable("it speaks TLS, and HTTPS is not measured", usage=True)
                parser.receive_data(data)

    def _skip_body(self, parser: h11.Connection, response: h11.Response) -> bool:
        """RFC 9112 section 6.3. False: the end of the connection was the end of the body."""
        names = {name for name, _ in response.headers}
        framed = response.status_code in (204, 304) or not names.isdisjoint((b"content-length", b"transfer-encoding"))
        try:
            while not isinstance(event := _next_event(parser), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    parser.receive_data(self._more())
        except Broken as broken:
            if broken.how == "time":
                raise Broken("time", begun=True) from None
            if framed:
                raise
        self._read = bytes(parser.trailing_data[0])
        return framed

    def _more(self) -> bytes:
        """What comes next, at least one byte, and came before the deadline: a flood has no pause in which a socket's
        timeout could end it. Raises Broken."""
        try:
            self._socket.settimeout(self._left())
            data, control, _, _ = self._socket.recvmsg(1 << 16, socket.CMSG_SPACE(_TIMESPEC.size))
            self._came = arrival(control, time.monotonic(), time.time())
        except TimeoutError:
            raise Broken("time") from None
        except OSError:
            raise Broken("rst") from None
        if not data:
            raise Broken("fin")
        if self._came > self._deadline:
            raise Broken("time")
        return data

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def closing(self) -> bool:
        """Whether something came unasked, which is the end or announces it."""
        return bool(self._read or select.select([self._socket], [], [], 0)[0])

    def end(self, patience: float) -> Message:
        """Wait for the end, until the connection was silent for so many seconds; an end as prober.py has it."""
        self._deadline = self.last_byte + patience
        said, self._read = self._read, b""
        while True:
            try:
                said = (said + self._more())[:MOST_HEAD]
            except Broken as broken:
                after = time.monotonic() - self.last_byte
                how = "none" if broken.how == "time" else broken.how
                return {"how": how, "after": after, "said": _status_in(said)}

    def reaction(self, request: h11.Request) -> Message:
        """Send a request behind the server's FIN: {how: `rst` or `nothing`, after: s}."""
        data = _sent_by(h11.Connection(h11.CLIENT), request)
        sent = time.monotonic()
        with contextlib.suppress(OSError):  # a RST is what we look for
            self._socket.settimeout(REACTION)
            self._socket.sendall(data)
        watch = select.poll()
        watch.register(self._socket, 0)  # a reset is always told; the end of file would be, if it were asked for
        reset = bool(watch.poll(REACTION * 1000))
        return {"how": "rst" if reset else "nothing", "after": time.monotonic() - sent}


def _sent_by(parser: h11.Connection, request: h11.Request) -> bytes:
    """A request without a body, as bytes."""
    return (parser.send(request) or b"") + (parser.send(h11.EndOfMessage()) or b"")


def _next_event(parser: h11.Connection) -> object:
    """Raises NotMeasurable."""
    try:
        return parser.next_event()
    except h11.RemoteProtocolError as error:
        raise _broken(error) from None


def _status_in(said: bytes) -> int | None:
    """The status of a response that came unasked."""
    parser = h11.Connection(h11.CLIENT)
    parser.receive_data(said)
    with contextlib.suppress(h11.RemoteProtocolError):
        event = parser.next_event()
        if isinstance(event, h11.Response):
            return event.status_code
    return None


def _broken(error: h11.RemoteProtocolError) -> NotMeasurable:
    return NotMeasurable(f"its response is broken: {error}")


def _no_http(begun: bytes) -> NotMeasurable:
    line = begun.decode("latin-1").split("\r\n")[0][:40]
    return NotMeasurable(f"it does not speak HTTP/1.1: its answer begins with {line!r}", usage=True)


def arrival(control: list[tuple[int, int, bytes]], now: float, time_of_day: float) -> float:
    """When the kernel received what recvmsg() just returned, which a busy machine hands out milliseconds later.

    `now` and `time_of_day` are one moment on the two clocks; without a usable timestamp it is that moment.
    """
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            waited = time_of_day - (seconds + nanoseconds / 1e9)
            return now - waited if 0 <= waited < _BELIEVED else now
    return now
