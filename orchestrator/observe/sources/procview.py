"""Shows a few processes only: a /proc in which a tool that looks for the owners of sockets finds them at once.

`ss -p` and `netstat -p` read the descriptors of every process of the machine. With 100 nodes that took 10 s at every
named moment, in which the next step could not begin. In a narrowed /proc both take 10 ms a node, whatever else runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from orchestrator.system.linux import CLONE_NEWNS, MS_BIND, MS_REC, MS_SLAVE, mount, unshare

_STAGE = "/tmp"
"""Where the view is made, in a mount namespace of its own: a folder that is on every machine and that no tool reads."""
_REAL = ".real"
_OWN = {"net": "thread-self/net", "mounts": "thread-self/mounts"}
_ALSO = ("self", "thread-self", "sys")


class ProcView:
    """The /proc of the thread that makes it, and of what that thread starts; it lives as long as they do.

    Raises OSError where mounts are refused.
    """

    def __init__(self) -> None:
        self._shown: frozenset[int] = frozenset()
        unshare(CLONE_NEWNS)
        # What others unmount meanwhile must go away here too.
        mount("none", "/", flags=MS_REC | MS_SLAVE)
        mount("simctl", _STAGE, "tmpfs")
        os.mkdir(f"{_STAGE}/{_REAL}")  # noqa: PTH102 - as the calls beside it
        mount("/proc", f"{_STAGE}/{_REAL}", flags=MS_BIND | MS_REC)
        for name, target in (_OWN | {name: name for name in _ALSO}).items():
            _link(name, target)
        mount(_STAGE, "/proc", flags=MS_BIND | MS_REC)

    def show(self, pids: Iterable[int]) -> None:
        """From here on these processes alone are there, under their own numbers."""
        wanted = frozenset(pids)
        for pid in self._shown - wanted:
            os.unlink(f"{_STAGE}/{pid}")  # noqa: PTH108
        for pid in wanted - self._shown:
            _link(str(pid), str(pid))
        self._shown = wanted


def _link(name: str, target: str) -> None:
    os.symlink(f"/proc/{_REAL}/{target}", f"{_STAGE}/{name}")  # noqa: PTH211
