"""What programs in Java do once before they do it in a node, so that the JVM knows their classes: see java.py.

On loopback, in a network namespace of its own, so that nothing of it is seen in the node; where that is not allowed in
the node, before it is ready. Connections end by RST: they leave no TIME_WAIT.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import Any

_PATIENCE = 20.0
"""Seconds that a JVM may take on a busy machine."""
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def leave_network() -> None:
    """Move this process, which must have one thread, to an empty network with loopback; it stays where it may not."""
    if ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))


def server(process: subprocess.Popen[bytes]) -> None:
    """Send a server two requests on one connection, and end it."""
    with socket.create_connection(("127.0.0.1", _event(process)["port"]), timeout=_PATIENCE) as client:
        _end_by_reset(client)
        for _ in range(2):
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
            client.recv(4096)
    process.terminate()


def client(process: subprocess.Popen[bytes]) -> None:
    """Have a client send two requests on one connection, then meet a reset and a closed port, and end it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        server = threading.Thread(target=_serve, args=(listening,), daemon=True)
        server.start()
        _event(process)
        for command in ({"count": 2}, {"method": "POST", "body": "x", "headers": {"X-One": "1"}, "rate": 100}):
            _order(process, {"do": "request", "url": f"http://127.0.0.1:{port}/", "session": "s", **command})
        listening.shutdown(socket.SHUT_RDWR)  # accept() ends
    server.join(_PATIENCE)
    _order(process, {"do": "request", "url": f"http://127.0.0.1:{port}/", "session": "s"})
    _order(process, {"do": "close", "session": "s"})
    assert process.stdin is not None
    process.stdin.close()


def _serve(listening: socket.socket) -> None:
    """Two requests get a response on the first connection; what comes then is reset."""
    left = 2
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # no longer listening
            return
        with connection:
            connection.settimeout(_PATIENCE)
            _end_by_reset(connection)
            while connection.recv(4096) and left:
                connection.sendall(_RESPONSE)
                left -= 1


def _order(process: subprocess.Popen[bytes], command: Mapping[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(command).encode() + b"\n")
    process.stdin.flush()
    while _event(process)["ev"] != "done":
        continue


def _event(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Raises ValueError when it ended."""
    assert process.stdout is not None
    event: dict[str, Any] = json.loads(process.stdout.readline())
    return event


def _end_by_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


REHEARSALS: Mapping[str, Callable[[subprocess.Popen[bytes]], None]] = {"server": server, "client": client}
"""Given a fresh process with pipes for its standard input and output, and HTTP_PORT=0, which they end. They raise
OSError, ValueError or KeyError."""
