"""Shows a few processes only: a /proc in which a tool that looks for the owners of sockets finds them at once.

`ss -p` and `netstat -p` read the descriptors of every process of the machine. With 100 nodes that took 10 s at every named
moment, and the scenario waited for it; processes that cannot own a socket of the node are most of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from orchestrator.linux import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, mount, unshare

_STAGE = "/tmp"
"""Where the view is made, in a mount namespace of our own: any folder that is on every machine and that no tool reads."""

_REAL = ".real"


def narrow_proc(pids: Iterable[int]) -> None:
    """From here on this process and its children see a /proc with these processes and their network namespace alone.

    To be called in a child that was forked for it, in the network namespace in question. Raises OSError.
    """
    unshare(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("simctl", _STAGE, "tmpfs")
    os.mkdir(f"{_STAGE}/{_REAL}")  # noqa: PTH102 - a child of a fork does as little as it can
    mount("/proc", f"{_STAGE}/{_REAL}", flags=MS_BIND | MS_REC)
    names = {"net": "thread-self/net", "self": "self", "thread-self": "thread-self", "sys": "sys"}
    names |= {str(pid): str(pid) for pid in pids}
    for name, target in names.items():
        os.symlink(f"/proc/{_REAL}/{target}", f"{_STAGE}/{name}")  # noqa: PTH211
    mount(_STAGE, "/proc", flags=MS_BIND | MS_REC)
