"""A private network namespace for one test function, loopback up. Works as root."""

from __future__ import annotations

import fcntl
import socket
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

from orchestrator.system.linux import CLONE_NEWNET, unshare

T = TypeVar("T")

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def in_netns(function: Callable[[], T]) -> T:
    """Run `function` in a thread of its own, in a new network namespace that ends with it; returns what it returns."""
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            unshare(CLONE_NEWNET)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
                fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
