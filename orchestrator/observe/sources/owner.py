"""Which process owns a socket: inode -> /proc/PID/fd. Minisockets have no inode and no owner."""

from __future__ import annotations

import contextlib
import os

from orchestrator.system.linux import descendants


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
