"""The Docker engine of this machine, reached as a remote one would be."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.engine import client as dockerengine


@contextmanager
def forwarded_engine() -> Iterator[str]:
    """The engine behind a port of 127.0.0.1, as a remote one would be; its address."""
    path = dockerengine.local_socket()
    assert path is not None

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with contextlib.suppress(OSError):  # the server was shut down
            while True:
                caller, _ = server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(str(path))
                held.extend((caller, engine))
                for pair in ((caller, engine), (engine, caller)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=10)
            for each in held:
                each.close()
