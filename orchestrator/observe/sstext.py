"""The real `ss -tanope` and `netstat -tanp` of each node: people trust and recognise them.

Both run on the observer's machine inside the node's network namespace, so a node's image needs neither, and the pids
are those that the observer sees. They see the node's own processes only (procview.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from orchestrator.linux import descendants, inside_netns
from orchestrator.observe.procview import narrow_proc

COMMANDS = {"ss": ["ss", "-tanope"], "netstat": ["netstat", "-tanp"]}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT = 20.0
_AT_A_TIME = 2 * (os.cpu_count() or 1)
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node's sockets are (descriptor of its network namespace), and the process below which its owners live."""

    netns: int
    pid: int


@dataclass(frozen=True, slots=True)
class _Running:
    """A child that runs the tools of one node. They write into files in memory: nobody has to read meanwhile."""

    node: str
    pid: int
    exit: int
    outputs: Mapping[str, int]
    deadline: float


def socket_texts(
    nodes: Mapping[str, Place], home: int, meanwhile: Callable[[], None] = lambda: None
) -> dict[str, dict[str, str]]:
    """Node -> tool -> what it printed. `home`: descriptor of our own namespace; `meanwhile` is called now and then.

    A tool that this machine lacks is left out: `simctl doctor` names it.
    """
    tools = {name: [path, *argv[1:]] for name, argv in COMMANDS.items() if (path := shutil.which(argv[0], path=_PATH))}
    waiting = list(nodes.items())
    texts: dict[str, dict[str, str]] = {}
    running: dict[int, _Running] = {}
    ends = select.poll()
    while waiting or running:
        while waiting and len(running) < _AT_A_TIME:
            child = _start(*waiting.pop(0), tools, home)
            running[child.exit] = child
            ends.register(child.exit, select.POLLIN)
        ended = {fd for fd, _ in ends.poll(_PAUSE * 1000)}
        for fd, child in list(running.items()):
            if fd in ended or time.monotonic() > child.deadline:
                ends.unregister(fd)
                texts[child.node] = _finish(running.pop(fd), in_time=fd in ended)
        meanwhile()
    return {node: texts[node] for node in nodes}


def _start(node: str, place: Place, tools: Mapping[str, list[str]], home: int) -> _Running:
    outputs = {tool: os.memfd_create(tool, os.MFD_CLOEXEC) for tool in tools}
    pids = [place.pid, *descendants(place.pid)]
    with inside_netns(place.netns, home):
        pid = os.fork()
        if pid == 0:
            _run_tools(tools, outputs, pids)
    return _Running(node, pid, os.pidfd_open(pid), outputs, time.monotonic() + _TIMEOUT)


def _run_tools(tools: Mapping[str, list[str]], outputs: Mapping[str, int], pids: Iterable[int]) -> NoReturn:
    """The child: one tool after the other, as a group that can be ended at once."""
    try:
        os.setpgid(0, 0)
        with contextlib.suppress(OSError):  # where mounts are refused, they see every process, and take longer
            narrow_proc(pids)
        null = os.open(os.devnull, os.O_RDONLY)
        for tool, argv in tools.items():
            streams = [(os.POSIX_SPAWN_DUP2, fd, to) for fd, to in ((null, 0), (outputs[tool], 1), (outputs[tool], 2))]
            os.waitpid(os.posix_spawn(argv[0], argv, os.environ, file_actions=streams), 0)
    finally:
        os._exit(0)


def _finish(child: _Running, *, in_time: bool) -> dict[str, str]:
    if not in_time:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    os.waitpid(child.pid, 0)
    os.close(child.exit)
    late = "" if in_time else f"\n(not finished within {_TIMEOUT:.0f} s)\n"
    return {tool: _text(output) + late for tool, output in child.outputs.items()}


def _text(output: int) -> str:
    with os.fdopen(output, "rb") as file:
        file.seek(0)
        return file.read().decode(errors="replace")
