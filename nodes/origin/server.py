"""The reference server: what a Java server of the classic kind does with its connections, and why, in the open.

One thread per connection with blocking reads (connection.py). Events on standard output as nodes/README.md says. It
closes as its settings say, and fails in the ways that servers fail where they say so (settings.py).
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

from connection import Connection
from events import emit
from knobs import KnobError
from settings import Fault, Settings, read_settings

STOP = {signal.SIGTERM, signal.SIGINT}

GRACE = 2.0
"""Seconds that requests in the works get to finish after SIGTERM."""


class Server:
    """The listening socket and the connections that it accepted."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stopping = threading.Event()
        self.leaked: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, settings.reuse_address)
        self._listener.bind(("0.0.0.0", settings.port))
        self._listener.listen(settings.backlog)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Until stop() was called and every request in the works has its response, or its grace is over."""
        if self.settings.fault is Fault.NEVER_ACCEPT:
            self.stopping.wait()
        else:
            self._accept()
        deadline = time.monotonic() + GRACE
        for connection in list(self._connections):
            connection.interrupt()
        for connection in list(self._connections):
            connection.thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except ConnectionAbortedError:
                continue  # it was reset while it waited in the queue
            except OSError as error:
                if self.stopping.is_set():
                    return
                # Out of descriptors: what a leak of sockets ends in. Like Java servers, try again.
                print(f"origin: accept: {error.strerror}", file=sys.stderr, flush=True)
                self.stopping.wait(0.1)
                continue
            connection = Connection(self, sock, peer)
            self._connections.add(connection)
            connection.thread.start()

    def stop(self) -> None:
        """Make serve(), in another thread, return: shutting a listener down wakes accept(), and from then on the port
        refuses. The listener is never closed: its descriptor must be ours until shutdown() is over, and serve() may be
        done as soon as `stopping` is set."""
        self.stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)


def main() -> int:
    """Serve until SIGTERM. It is waited for: a Python handler would not run when it comes just before accept()."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP)
    try:
        settings = read_settings(sys.argv[1:], os.environ)
        server = Server(settings)
    except KnobError as error:
        print(f"origin: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"origin: cannot listen on port {settings.port}: {error.strerror}", file=sys.stderr)
        return 1
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # as the JVM does
    emit({"ev": "ready", "t": time.monotonic(), "kind": "origin", "pid": os.getpid(), "port": server.port})
    acceptor = threading.Thread(target=server.serve)
    acceptor.start()
    signal.sigwait(STOP)
    server.stop()
    acceptor.join()
    os._exit(0)  # a stuck handler's thread must not hold the process


if __name__ == "__main__":
    sys.exit(main())
