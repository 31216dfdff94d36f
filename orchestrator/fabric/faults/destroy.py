"""Connections of a node that are closed from outside, as by `ss -K`: the kernel aborts them (SOCK_DESTROY).

The peer gets a RST, and the program ECONNABORTED. Needs a kernel with CONFIG_INET_DIAG_DESTROY. Runs inside the probe,
beside `wiring`. Source: ss(8), net/ipv4/tcp.c (tcp_abort).
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from orchestrator.fabric.faults.base import Fault
from orchestrator.system.linux import inside_netns
from orchestrator.text.record import record


@record
class Settings:
    """`peers`: addresses; without any it is all. `port`: of either end."""

    peers: Sequence[str] | None = None
    port: int | None = None


class Destroy(Fault[Settings]):
    """What was closed stays so: there is nothing to heal."""

    name = "destroy"
    settings = Settings

    def apply(self, node: str, settings: Settings) -> int:
        with inside_netns(self.wired.netns[node], self.wired.home):
            return destroy(settings.peers, settings.port)

    def heal(self, node: str, settings: Settings) -> None:
        return


def destroy(peers: Sequence[str] | None = None, port: int | None = None) -> int:
    """Close the TCP connections of the current network namespace that match; returns how many. Raises ValueError with
    what `ss` says."""
    program = shutil.which("ss", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin")
    if program is None:
        raise ValueError("there is no program ss: install the Debian package iproute2")
    words = ["-K", "-H", "-n", "-t", "state", "connected"]
    filters = []
    if peers is not None:
        filters.append(f"( {' or '.join(f'dst {peer}' for peer in peers)} )")
    if port is not None:
        filters.append(f"( sport = :{port} or dport = :{port} )")
    done = subprocess.run(
        [program, *words, *" and ".join(filters).split()], capture_output=True, text=True, check=False, timeout=30
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ValueError(f"ss: {said[0] if said else f'ended with status {done.returncode}'}")
    return len(done.stdout.splitlines())
