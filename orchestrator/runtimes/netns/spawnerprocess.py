"""The spawner's process, and our end of its socket; it can be begun before anything is known of the lab."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from orchestrator.system import early, zygote
from orchestrator.system.interpreter import OWN_PYTHON

_NAME = "spawner"

_LIKELY = 2
"""Nodes that a lab has at least, mostly: a client and a server."""

_INHERITED = ("PATH", "HOME", "LANG", "XDG_CACHE_HOME", "TMPDIR")
_PREFIXES = ("PYTHON", "SIMCTL_", "LC_")
"""What the spawner gets of the user's environment: the first processes of nodes are forked from it, so that whatever
runs in a node can read it (/proc/1/environ)."""


def begin(kinds: Sequence[str]) -> None:
    """Start it now: `spawner_process` will find it. `kinds`: of its nodes, probably."""
    early.begin(_NAME, lambda output: _start(output, _LIKELY, kinds))


def spawner_process(log: Path, nodes: int = 0) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A spawner that prints into the log. Its first message says that it is ready, or why not. `nodes`: how many of
    those to come it prepares, unless it was begun before."""
    with log.open("ab") as file:
        waiting = early.take(_NAME, log)
        if waiting is None:
            return _start(file.fileno(), nodes)
        control: socket.socket = waiting.channel
        with contextlib.suppress(OSError):  # it has ended: what it said is to be read still
            socket.send_fds(control, [json.dumps({"log": True}).encode()], [file.fileno()])
        return waiting.process, control


def _start(output: int, nodes: int = 0, kinds: Sequence[str] = ()) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with theirs:
        process = zygote.popen(
            [*OWN_PYTHON, "orchestrator.runtimes.netns.spawner", str(theirs.fileno()), str(nodes), *kinds],
            environment={k: v for k, v in os.environ.items() if k in _INHERITED or k.startswith(_PREFIXES)},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return process, ours
