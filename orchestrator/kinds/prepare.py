"""What a node kind wants to be done once (`prepare` in node.yaml): done before its first node, not by it.

A compiler may take longer than a node may take to be ready, and two nodes would compile the same at the same time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from orchestrator.errors import EnvironmentFailure
from orchestrator.kinds.registry import Kind, folder_version
from orchestrator.system import usercache
from orchestrator.system.resources import NODES
from orchestrator.text.progress import Progress

_TIMEOUT = 600.0
_LOG_TAIL = 20
_WAITING = "waiting for another simctl that prepares node kinds"


def prepare(kinds: Iterable[Kind], progress: Progress) -> None:
    """Carry out what was not yet, with these sources. Raises EnvironmentFailure, with what the command said."""
    for kind in kinds:
        if kind.prepare and not _done(kind).exists():
            folder = usercache.make_folder(_done(kind).parent)
            with usercache.locked(folder / "lock", _WAITING, progress):
                if not _done(kind).exists():
                    progress(f"node kind {kind.kind}: prepared, once")
                    _run(kind)
                    _done(kind).touch()


def _done(kind: Kind) -> Path:
    """The file that says so. What was made has a name of its own by its content; this only saves asking for it."""
    return usercache.location() / "prepared" / f"{kind.kind}-{kind.version}-{folder_version(NODES / 'base')}"


def _run(kind: Kind) -> None:
    command = [word.replace("{python}", sys.executable) for word in kind.prepare]
    environment = {name: os.environ[name] for name in ("HOME", "PATH", "XDG_CACHE_HOME") if name in os.environ}
    try:
        done = subprocess.run(
            command,
            cwd=kind.folder,
            env={**environment, "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFailure(f"node kind {kind.kind} could not be prepared: {error}") from None
    if done.returncode != 0:
        raise EnvironmentFailure(
            f"node kind {kind.kind} could not be prepared: its command ended with status {done.returncode}",
            detail=done.stdout.decode(errors="replace").splitlines()[-_LOG_TAIL:],
        )
