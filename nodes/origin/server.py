"""The reference server: what a Java server of the classic kind does with its connections, and why, in the open.

One thread per connection with blocking reads. h11 reads the requests. Keep-alive as RFC 9112 section 9 says. Events on
standard output as nodes/README.md says. When its idle timer fires the server simply close()s, as Winstone did: FIN, and
if a request arrives in that very moment, a RST.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
import threading
import time
from typing import Any

import h11
from answers import CONTINUE, MAX_ECHO, Answer, answer_to, error_answer
from settings import SettingError, Settings, read_settings

SO_COOKIE = 57
"""From asm-generic/socket.h; Python has no name for it."""

STOP = {signal.SIGTERM, signal.SIGINT}

GRACE = 2.0
"""Seconds that requests in the works get to finish after SIGTERM."""


class Server:
    """The listening socket and the connections that it accepted."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = threading.Event()
        self.leaked: list[socket.socket] = []
        """Sockets that are never closed: referenced, or Python would close them."""
        self._connections: set[Connection] = set()
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("0.0.0.0", settings.port))
        self._listener.listen(settings.backlog)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Until stop() was called and every request in the works is answered, or its grace is over."""
        while True:
            try:
                sock, peer = self._listener.accept()
            except ConnectionAbortedError:
                continue  # it was reset while it waited in the queue
            except OSError as error:
                if self.stopping.is_set():
                    break
                # Out of descriptors: what a leak of sockets ends in. Like Java servers, try again.
                print(f"origin: accept: {error.strerror}", file=sys.stderr, flush=True)
                self.stopping.wait(0.1)
                continue
            connection = Connection(self, sock, peer)
            self._connections.add(connection)
            connection.thread.start()
        self._listener.close()
        deadline = time.monotonic() + GRACE
        for connection in list(self._connections):
            connection.interrupt()
        for connection in list(self._connections):
            connection.thread.join(max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """Make serve(), in another thread, return: shutting a listener down wakes accept()."""
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)


class PeerClosed(Exception):
    """The client's end of file."""


class Connection:
    """One accepted connection, from its first request to its close."""

    def __init__(self, server: Server, sock: socket.socket, peer: tuple[str, int]) -> None:
        self._server = server
        self._sock = sock
        self._idle = True
        self._count = 0
        # The cookie is made here, so that the minisocket which this may become inherits it.
        cookie = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder)
        host, port = sock.getsockname()
        self._names = {"local": f"{host}:{port}", "peer": f"{peer[0]}:{peer[1]}", "sk": f"{cookie:x}"}
        self.thread = threading.Thread(target=self._run, daemon=True)

    def interrupt(self) -> None:
        """Wake an idle connection: its read ends, and nothing goes out on the wire. Busy ones see `stopping`."""
        if self._idle:
            try:
                self._sock.shutdown(socket.SHUT_RD)
            except OSError:
                return  # it is closed already

    def _run(self) -> None:
        settings = self._server.settings
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, settings.tcp_keepalive)
            self._sock.settimeout(settings.keepalive_timeout)
            reason = self._serve()
        except PeerClosed:
            reason = "shutdown" if self._server.stopping.is_set() else "peer"
        except TimeoutError as error:
            # ETIMEDOUT is a TimeoutError too: there the kernel gave the client up. Our own timer has no errno.
            reason = "idle" if error.errno is None else "error"
        except OSError:
            reason = "error"
        self._server.forget(self)
        if reason == "peer" and settings.leak:
            self._server.leaked.append(self._sock)
            return
        if reason in ("request", "limit", "error"):
            self._drain()
        now = time.monotonic()
        # Told afterwards: between the last response and its FIN every microsecond counts, or the client closes first.
        self._sock.close()
        tell({"ev": "closed", "t": now, **self._names, "reason": reason, "requests": self._count})

    def _serve(self) -> str:
        """Answer requests until one of them was the last; returns why."""
        received = b""
        while True:
            self._idle = not received
            if self._idle and self._server.stopping.is_set():
                return "shutdown"
            parser = h11.Connection(h11.SERVER)
            if received:  # to h11 an empty read is the end of file
                parser.receive_data(received)
            try:
                request, body = self._read(parser)
            except h11.RemoteProtocolError as error:
                self._sock.sendall(
                    error_answer(error.error_status_hint, str(error)).render(b"GET", {"Connection": "close"})
                )
                return "error"
            self._idle = False
            self._count += 1
            answer = answer_to(request, body)
            last = self._why_last(request, answer)
            self._answer(request, answer, last)
            if last:
                return last
            received = parser.trailing_data[0]

    def _read(self, parser: h11.Connection) -> tuple[h11.Request, bytes]:
        """The next request with its body, of which only what /echo needs is kept. Raises PeerClosed, TimeoutError."""
        request: h11.Request | None = None
        body = bytearray()
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if parser.they_are_waiting_for_100_continue:
                    self._sock.sendall(CONTINUE)
                    parser.send(h11.InformationalResponse(status_code=100, headers=[]))
                data = self._sock.recv(65536)
                self._idle = False
                if not data:
                    raise PeerClosed
                parser.receive_data(data)
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data) and len(body) < MAX_ECHO:
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                return request, bytes(body)

    def _why_last(self, request: h11.Request, answer: Answer) -> str:
        """Why the connection closes after this request; empty when it stays. RFC 9112 section 9.3."""
        options = {
            option.strip().lower()
            for name, value in request.headers
            if name == b"connection"
            for option in value.split(b",")
        }
        if b"close" in options or (request.http_version < b"1.1" and b"keep-alive" not in options):
            return "request"
        if request.http_version < b"1.1" and answer.chunks is not None:
            return "request"  # HTTP/1.0 has no chunks: the end of the connection is the end of the body
        limit = self._server.settings.keepalive_requests
        if limit and self._count >= limit:
            return "limit"
        return "shutdown" if self._server.stopping.is_set() else ""

    def _answer(self, request: h11.Request, answer: Answer, last: str) -> None:
        fields = self._connection_fields(request, last)
        chunked = request.http_version >= b"1.1"
        tell(
            {
                "ev": "served",
                "t": time.monotonic(),
                **self._names,
                "method": request.method.decode(),
                "path": request.target.decode(),
                "status": answer.status,
                "nth": self._count,
                "request_headers": joined(request.headers.raw_items()),
                "response_headers": None if answer.status is None else answer.fields(fields, chunked),
            }
        )
        if answer.status is None:
            threading.Event().wait()  # as a handler that is stuck: it never looks at the connection again
        if answer.delay:
            time.sleep(answer.delay)
        if not last:
            self._sock.sendall(answer.render(request.method, fields, chunked))
            return
        # A client that reads `Connection: close` closes as soon as it has the body. Whoever says close should be the
        # one who closes: held back by the cork, the end of the answer leaves in one segment with the FIN.
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self._sock.sendall(answer.render(request.method, fields, chunked))
        self._sock.shutdown(socket.SHUT_WR)

    def _connection_fields(self, request: h11.Request, last: str) -> dict[str, str]:
        if last:
            return {"Connection": "close"}
        settings = self._server.settings
        fields = {"Connection": "keep-alive"} if request.http_version < b"1.1" or settings.advertise else {}
        return fields | ({"Keep-Alive": f"timeout={int(settings.keepalive_timeout)}"} if settings.advertise else {})

    def _drain(self) -> None:
        """Take what was sent behind the last request: close() with unread data sends RST, and kills our answer."""
        try:
            self._sock.setblocking(False)
            while self._sock.recv(65536):
                pass
        except OSError:
            return


def joined(items: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as sent; a repeated one has its values joined, as RFC 9110 section 5.3 allows."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in items:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


_writing = threading.Lock()


def tell(event: dict[str, Any]) -> None:
    """One event, whole, on standard output. Ends the process when nobody listens any more."""
    data = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    with _writing:
        try:
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            os._exit(1)


def main() -> int:
    """Serve until SIGTERM. It is waited for: a Python handler would not run when it comes just before accept()."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    try:
        settings = read_settings(sys.argv[1:], os.environ)
        server = Server(settings)
    except SettingError as error:
        print(f"origin: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"origin: cannot listen on port {settings.port}: {error.strerror}", file=sys.stderr)
        return 1
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # as the JVM does
    tell({"ev": "ready", "t": time.monotonic(), "kind": "origin", "pid": os.getpid(), "port": server.port})
    acceptor = threading.Thread(target=server.serve)
    acceptor.start()
    signal.sigwait(STOP)
    server.stop()
    acceptor.join()
    os._exit(0)  # a stuck handler's thread must not hold the process


if __name__ == "__main__":
    sys.exit(main())
