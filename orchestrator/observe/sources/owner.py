"""Which process owns a socket: inode -> /proc/PID/fd. Minisockets have no inode and no owner."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable

from orchestrator.system.linux import descendants

_SELDOM = 20
"""Strangers are looked for in a twentieth of the time at most."""


def owners(root_pid: int) -> dict[int, tuple[int, str]]:
    """Socket inode -> (pid, command name) for all processes below `root_pid`, itself included.

    Pids are those of the observer's own pid namespace, as `ss -p` prints them there. Processes that end meanwhile,
    or that may not be looked at, are left out.
    """
    found: dict[int, tuple[int, str]] = {}
    # A child that inherited the descriptor comes after its parent; the last one that holds it is the one that works.
    for pid in [root_pid, *descendants(root_pid)]:
        inodes = _socket_inodes(pid)
        if inodes:
            comm = _comm(pid)
            found |= dict.fromkeys(inodes, (pid, comm))
    return found


class Strangers:
    """Processes in a node's network namespace that are not below its first process: what `exec` runs there."""

    def __init__(self) -> None:
        self._sought: set[int] = set()
        self._found: dict[int, tuple[int, str]] = {}
        self._not_before = 0.0

    def owners(self, inodes: Iterable[int], netns: int) -> dict[int, tuple[int, str]]:
        """As owners(), of sockets that such processes own, as far as `inodes` were asked for. `netns`: a descriptor of
        the namespace.

        Every process of the machine is looked at: once for a socket, and not so often that it took much time.
        """
        new = {inode for inode in inodes if inode not in self._sought}
        began = time.monotonic()
        if new and began >= self._not_before:
            self._sought |= new
            for pid in living_in(netns):
                if held := new.intersection(_socket_inodes(pid)):
                    self._found |= dict.fromkeys(held, (pid, _comm(pid)))
            now = time.monotonic()
            self._not_before = now + _SELDOM * (now - began)
        return self._found


def living_in(netns: int) -> list[int]:
    """Pids of the processes in a network namespace, as far as they may be looked at."""
    wanted = os.fstat(netns)
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _lives_in(name, wanted)]  # noqa: PTH208


def _lives_in(pid: str, netns: os.stat_result) -> bool:
    try:
        own = os.stat(f"/proc/{pid}/ns/net")  # noqa: PTH116
    except OSError:
        return False
    return (own.st_dev, own.st_ino) == (netns.st_dev, netns.st_ino)


def _socket_inodes(pid: int) -> list[int]:
    folder = f"/proc/{pid}/fd/"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path per descriptor is slow
    except OSError:
        return []
    inodes: list[int] = []
    for name in names:
        with contextlib.suppress(OSError):  # closed meanwhile
            target = os.readlink(folder + name)  # noqa: PTH115
            if target.startswith("socket:["):
                inodes.append(int(target[8:-1]))
    return inodes


def _comm(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb", buffering=0) as file:  # noqa: PTH123
            return file.readall().decode(errors="replace").strip()
    except OSError:
        return "?"
