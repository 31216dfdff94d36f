"""One connection of the reference server, from its first request to its close.

h11 reads the requests. Keep-alive as RFC 9112 section 9 says. When the idle timer fires the server simply close()s, as
Winstone did: FIN, and if a request arrives in that very moment, a RST. CLOSE_HOW and FAULT make it do otherwise.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import replace
from typing import NoReturn, Protocol

import h11
from events import emit
from headers import headers_of
from routes import CONTINUE, MAX_ECHO, Reply, error_reply, reply_to
from settings import LEAVES_UNREAD, NEVER_ENDS, CloseHow, Fault, Settings
from slices import let_out, trickle
from sockets import address, cookie

OWN_WILL = ("idle", "limit", "request", "unannounced", "unanswered", "cut")
"""Reasons of closing to which CLOSE_HOW applies: the server is the first to close, and may choose how."""


class Host(Protocol):
    """What a connection needs of its server."""

    settings: Settings
    stopping: threading.Event
    leaked: list[socket.socket]
    """Sockets that are never closed: referenced, or Python would close them."""

    def forget(self, connection: Connection) -> None: ...


class PeerClosed(Exception):
    """The client's end of file."""


class Connection:
    """One accepted connection, served by a thread of its own."""

    def __init__(self, host: Host, sock: socket.socket, peer: tuple[str, int]) -> None:
        self._host = host
        self._settings = host.settings
        self._sock = sock
        self._idle = True
        self._count = 0
        self._fin_at: float | None = None
        self._written_at = 0.0
        # The cookie is made here, so that the minisocket which this may become inherits it.
        self._names = {"local": address(sock.getsockname()), "peer": address(peer), "sk": cookie(sock)}
        self.thread = threading.Thread(target=self._run, daemon=True)

    def interrupt(self) -> None:
        """Wake an idle connection: its read ends, and nothing goes out on the wire. Busy ones see `stopping`."""
        if self._idle:
            try:
                self._sock.shutdown(socket.SHUT_RD)
            except OSError:
                return  # it is closed already

    def _run(self) -> None:
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._settings.socket_options.apply(self._sock)
            self._sock.settimeout(self._settings.keepalive_timeout)
            reason = self._serve()
        except PeerClosed:
            reason = "shutdown" if self._host.stopping.is_set() else "peer"
        except TimeoutError as error:
            # ETIMEDOUT is a TimeoutError too: there the kernel gave the client up. Our own timer has no errno.
            reason = "idle" if error.errno is None else "error"
        except OSError:
            reason = "error"
        if reason == "peer" and self._settings.leak:
            self._host.leaked.append(self._sock)
        else:
            self._close(reason)
        self._host.forget(self)

    # -- requests ------------------------------------------------------------------------------------------------

    def _serve(self) -> str:
        """Respond to requests until one of them was the last; returns why."""
        received = b""
        while True:
            self._idle = not received
            if self._idle and self._host.stopping.is_set():
                return "shutdown"
            fault = self._settings.fault if self._count >= self._settings.fault_after else Fault.NONE
            if fault is Fault.NEVER_READ:
                self._stuck()
            if fault is Fault.CLOSE_UNREAD:
                self._await_data()
                return "unread"
            parser = h11.Connection(h11.SERVER)
            if received:  # to h11 an empty read is the end of file
                parser.receive_data(received)
            try:
                request, body = self._read(parser, head_only=fault is Fault.CLOSE_UNREAD_BODY)
            except h11.RemoteProtocolError as error:
                self._refuse(error_reply(error.error_status_hint, str(error)))
                return "error"
            self._idle = False
            if body is None:
                self._refuse(error_reply(413, "the body is not read"))
                return "unread"
            self._count += 1
            last = self._execute(request, body, fault)
            if last:
                return last
            received = parser.trailing_data[0]

    def _read(self, parser: h11.Connection, *, head_only: bool) -> tuple[h11.Request, bytes | None]:
        """The next request with its body, of which only what /echo needs is kept. Raises PeerClosed, TimeoutError.

        `head_only`: a body that comes stays in the kernel's buffer, and is None here.
        """
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if request is not None and head_only:
                    if not parser.they_are_waiting_for_100_continue:
                        self._await_data()
                    return request, None
                if parser.they_are_waiting_for_100_continue:
                    self._sock.sendall(CONTINUE)
                    parser.send(h11.InformationalResponse(status_code=100, headers=[]))
                parser.receive_data(self._receive(head=request is None))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data) and len(body) < MAX_ECHO:
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                return request, bytes(body)

    def _receive(self, *, head: bool) -> bytes:
        """What has come, at least one byte. Raises PeerClosed."""
        # What must stay unread is not read by accident either: a head is taken byte by byte where that matters.
        size = 1 if head and self._settings.fault in LEAVES_UNREAD else 65536
        if not head and self._settings.fault is Fault.READ_SLOWLY and self._count >= self._settings.fault_after:
            self._await_data()
            time.sleep(self._settings.pace_interval)
            size = self._settings.pace_bytes
        data = self._sock.recv(size)
        self._idle = False
        if not data:
            raise PeerClosed
        return data

    def _await_data(self) -> None:
        """Until something is in the kernel's buffer, and leave it there. Raises PeerClosed, TimeoutError."""
        if not self._sock.recv(1, socket.MSG_PEEK):
            raise PeerClosed

    def _stuck(self) -> NoReturn:
        """As a handler or a thread pool that hangs: it never looks at the connection again."""
        self._idle = False
        while True:
            threading.Event().wait()

    # -- responses -----------------------------------------------------------------------------------------------

    def _execute(self, request: h11.Request, body: bytes, fault: Fault) -> str:
        """Do what is requested, report it, and respond; returns why the connection closes now, or nothing."""
        reply = reply_to(request, body)
        last = self._why_last(request, reply)
        if fault in (Fault.CLOSE_UNANSWERED, Fault.NEVER_ANSWER):
            reply = replace(reply, never=True)
        fields = self._connection_fields(request, last)
        chunked = request.http_version >= b"1.1"
        self._report_served(request, reply, fields, chunked)
        if reply.delay:
            time.sleep(reply.delay)
        if fault is Fault.CLOSE_UNANSWERED:
            return "unanswered"
        if reply.never:
            self._stuck()
        response = reply.render(request.method, fields, chunked)
        if (part := let_out(response, fault)) != response:
            self._sock.sendall(part)
            if fault in NEVER_ENDS:
                self._stuck()
            return "cut"
        if fault is Fault.TRICKLE:
            response = trickle(self._sock, response, self._settings.pace_bytes, self._settings.pace_interval)
        self._send(response, last=bool(last))
        self._report_answered(reply)
        return last or ("unannounced" if fault is Fault.CLOSE_UNANNOUNCED else "")

    def _why_last(self, request: h11.Request, reply: Reply) -> str:
        """Why the connection closes after this request; empty when it stays. RFC 9112 section 9.3."""
        options = {
            option.strip().lower()
            for name, value in request.headers
            if name == b"connection"
            for option in value.split(b",")
        }
        if b"close" in options or (request.http_version < b"1.1" and b"keep-alive" not in options):
            return "request"
        if request.http_version < b"1.1" and reply.chunks is not None:
            return "request"  # HTTP/1.0 has no chunks: the end of the connection is the end of the body
        limit = self._settings.keepalive_requests
        if limit and self._count >= limit:
            return "limit"
        return "shutdown" if self._host.stopping.is_set() else ""

    def _connection_fields(self, request: h11.Request, last: str) -> dict[str, str]:
        if last:
            return {"Connection": "close"}
        settings = self._settings
        fields = {"Connection": "keep-alive"} if request.http_version < b"1.1" or settings.advertise else {}
        return fields | ({"Keep-Alive": f"timeout={int(settings.keepalive_timeout)}"} if settings.advertise else {})

    def _report_served(self, request: h11.Request, reply: Reply, fields: dict[str, str], chunked: bool) -> None:
        emit(
            {
                "ev": "served",
                "t": time.monotonic(),
                **self._names,
                "method": request.method.decode(),
                "path": request.target.decode(),
                "status": reply.reported_status,
                "nth": self._count,
                "request_headers": headers_of(request.headers.raw_items()),
                "response_headers": None if reply.never else reply.fields(fields, chunked),
            }
        )

    def _report_answered(self, reply: Reply) -> None:
        event = {"ev": "answered", "t": self._written_at, **self._names}
        emit(event | {"status": reply.reported_status, "nth": self._count})

    def _send(self, response: bytes, *, last: bool) -> None:
        if not last or self._settings.close_how is CloseHow.RESET:
            self._sock.sendall(response)
            self._written_at = time.monotonic()
            return
        # A client that reads `Connection: close` closes as soon as it has the body. Whoever says close should be the
        # one who closes: held back by the cork, the end of the response leaves in one segment with the FIN.
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self._sock.sendall(response)
        self._written_at = self._fin_at = time.monotonic()
        self._sock.shutdown(socket.SHUT_WR)

    def _refuse(self, reply: Reply) -> None:
        """Respond to what was not read whole, and is not going to be."""
        self._sock.sendall(reply.render(b"GET", {"Connection": "close"}))

    # -- the end -------------------------------------------------------------------------------------------------

    def _close(self, reason: str) -> None:
        """Close, then report: between the last response and its FIN every microsecond counts, or the
        client closes first."""
        how = self._settings.close_how if reason in OWN_WILL else CloseHow.CLOSE
        if how is CloseHow.CLOSE and reason in ("request", "limit", "error"):
            self._drain()
        event = {"ev": "closed", "t": self._fin_at or time.monotonic(), **self._names}
        event |= {"reason": reason, "requests": self._count}
        if how is CloseHow.HALF_CLOSE:
            with contextlib.suppress(OSError):  # the client's RST was quicker
                self._sock.shutdown(socket.SHUT_WR)
            emit(event)
            with contextlib.suppress(OSError):
                self._hold()
            self._sock.close()
            return
        if how is CloseHow.RESET:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        emit(event)

    def _hold(self) -> None:
        """Keep the descriptor and throw away what still comes, until the client closes."""
        self._sock.settimeout(None)
        self._idle = True
        while not self._host.stopping.is_set() and self._sock.recv(65536):
            continue

    def _drain(self) -> None:
        """Take what was sent behind the last request: close() with unread data sends RST, and kills our response."""
        try:
            self._sock.setblocking(False)
            while self._sock.recv(65536):
                pass
        except OSError:
            return
