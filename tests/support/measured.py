"""For tests of `simctl measure idle`: a measurement with little patience, and servers that follow a script."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.measure.findings import Findings
from orchestrator.measure.measure import Plan, measure
from orchestrator.measure.target import Address, Aim
from tests.support.node_process import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def measured(port: int, *, samples: int = 2, requests: int = 5, timeout: float = PATIENCE) -> Findings:
    aim = Aim(Address("127.0.0.1", port), ("127.0.0.1",), None)
    return measure(aim, Plan(samples, requests, timeout), lambda text: None)


@contextmanager
def scripted(answer: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """A server that does with each connection (and its number, from 0) what it is told; its port."""
    held: list[socket.socket] = []

    def one(connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            answer(connection, number)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                threading.Thread(target=one, args=(connection, len(held) - 1), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)
            for connection in held:
                connection.close()


def read_request(connection: socket.socket) -> bytes:
    """One request without a body; empty at the end."""
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
        head += data
    return head
