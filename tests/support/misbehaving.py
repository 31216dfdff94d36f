"""Servers that do to their clients what production does: for tests of node programs."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.node_process import PATIENCE


@contextmanager
def misbehaving(*behaviours: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that treats each connection with the next behaviour, and then closes it; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for behave in behaviours:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(PATIENCE)
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(PATIENCE)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)


def end_of_file(connection: socket.socket) -> None:
    """Read the request and close without a word: FIN."""
    read_request(connection)


def reset(connection: socket.socket) -> None:
    """Read the request, then RST."""
    read_request(connection)
    reset_now(connection)


def reset_now(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def short_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")


def silent(connection: socket.socket) -> None:
    """Read the request and say nothing until the client has gone."""
    while connection.recv(65536):
        pass


def silent_in_the_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
    silent(connection)


def garbage(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"what?\r\n\r\n")


def answer_once(connection: socket.socket) -> None:
    """Answer the first request, close without a word under the second."""
    read_request(connection)
    connection.sendall(OK)
    end_of_file(connection)


def answer_once_then_reset(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(OK)
    reset(connection)
