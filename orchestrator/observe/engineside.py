"""What a probe in a container needs of the engine's machine: its files, and its network namespace.

Its parent process is the engine's (containerd-shim), which lives in the namespaces of that machine. So `/proc/PPID` is
the way there. Process 1 would not be: it is not the machine's under Docker Desktop, and may be closed to root.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError, SimctlError
from orchestrator.fabric.subnetclaim import SubnetClaim
from orchestrator.system.linux import inside_netns, mount

_CGROUPS = Path("/run/cgroup2")


class EngineSide:
    """To be made at once, while the parent is the one that started us. Raises OSError."""

    def __init__(self) -> None:
        parent = f"/proc/{os.getppid()}"
        self._root = os.open(f"{parent}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._netns = os.open(f"{parent}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._claims = SubnetClaim()
        _show_cgroups()

    def path(self, path: Path) -> Path:
        """An absolute path of the engine's machine, as this process reaches it."""
        return Path(f"/proc/self/fd/{self._root}", *path.parts[1:])

    def claim(self, sizes: Mapping[str, int], fixed: Mapping[str, str]) -> dict[str, Any]:
        """Subnets for as long as this process lives: `subnets`, or `refused`, `hint`, `usage` (whose fault it is).

        Claims are abstract sockets, and these belong to a network namespace: all who make labs on the engine's machine,
        be it there or from afar, must claim in the same one.
        """
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with inside_netns(self._netns, home):
                subnets = self._claims.claim(sizes, {name: IPv4Network(subnet) for name, subnet in fixed.items()})
        except SimctlError as error:
            return {"refused": error.message, "hint": error.hint, "usage": isinstance(error, InputError)}
        finally:
            os.close(home)
        return {"subnets": {name: str(subnet) for name, subnet in subnets.items()}}


def _show_cgroups() -> None:
    """`ss -e` wants a cgroup2 file system, and complains about every socket where the engine shows version 1 alone."""
    if " - cgroup2 " not in Path("/proc/self/mountinfo").read_text():
        with contextlib.suppress(OSError):
            _CGROUPS.mkdir(exist_ok=True)
            mount("simctl", str(_CGROUPS), "cgroup2")
