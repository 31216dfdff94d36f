"""Responses of which a fault lets out a part, or all of it piece by piece."""

from __future__ import annotations

import socket
import time

from settings import Fault


def let_out(response: bytes, fault: Fault) -> bytes:
    """What of a rendered response is written with that fault; of most, all of it."""
    head = response.index(b"\r\n\r\n") + 4
    ends = {
        Fault.NEVER_BODY: head,
        Fault.NEVER_FINISH: (head + len(response)) // 2,
        Fault.CLOSE_IN_HEAD: head // 2,
        Fault.CLOSE_IN_BODY: (head + len(response)) // 2,
    }
    return response[: ends.get(fault, len(response))]


def trickle(sock: socket.socket, response: bytes, size: int, interval: float) -> bytes:
    """Send the head, and the body in pieces of `size` bytes, each after `interval` seconds; returns the last piece,
    which is due now."""
    start = response.index(b"\r\n\r\n") + 4
    if start == len(response):
        return response
    sock.sendall(response[:start])
    time.sleep(interval)
    while start + size < len(response):
        sock.sendall(response[start : start + size])
        start += size
        time.sleep(interval)
    return response[start:]
