"""A socket's names: its two addresses, and the kernel's cookie, which events and recordings have in common."""

from __future__ import annotations

import socket
import sys
from typing import Any

SO_COOKIE = 57
"""From asm-generic/socket.h; Python has no name for it."""


def socket_facts(sock: socket.socket) -> dict[str, str | None]:
    """local, peer and sk of a connected socket, to be read once while it is open."""
    try:
        peer = address(sock.getpeername())
    except OSError:  # it was reset in the meantime; what follows will show
        peer = None
    return {"local": address(sock.getsockname()), "peer": peer, "sk": cookie(sock)}


def address(pair: tuple[Any, ...]) -> str:
    return f"{pair[0]}:{pair[1]}"


def cookie(sock: socket.socket) -> str | None:
    """The kernel's name for this socket, made now: a minisocket inherits it only if it was made before the close."""
    try:
        return f"{int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder):x}"
    except OSError:
        return None
