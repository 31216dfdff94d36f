"""The real `ss -tanope` and `netstat -tanp` of each node: people trust and recognise them.

Both run on the observer's machine inside the node's network namespace, so a node's image needs neither, and the pids
are those that the observer sees.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.linux import inside_netns

COMMANDS = {"ss": ["ss", "-tanope"], "netstat": ["netstat", "-tanp"]}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT = 20.0
_AT_A_TIME = 2 * (os.cpu_count() or 1)
"""To find owners, each of them reads the descriptors of every process of the machine, the others of them included: 200
at a time took 12 s for 100 nodes, as many as this 3 s."""
_PAUSE = 0.02


@dataclass(slots=True)
class _Running:
    """A tool at work. It writes into a file in memory: nobody has to read while it runs."""

    node: str
    tool: str
    process: subprocess.Popen[bytes]
    exit: int
    output: int
    deadline: float


def socket_texts(
    netns: Mapping[str, int], home: int, meanwhile: Callable[[], None] = lambda: None
) -> dict[str, dict[str, str]]:
    """Node -> tool -> what it printed, for every node's namespace descriptor; `meanwhile` is called again and again.

    A tool that this machine lacks is left out: `simctl doctor` names it.
    """
    tools = {name: [path, *argv[1:]] for name, argv in COMMANDS.items() if (path := shutil.which(argv[0], path=_PATH))}
    waiting = [(node, tool) for node in netns for tool in tools]
    texts: dict[str, dict[str, str]] = {node: {} for node in netns}
    running: dict[int, _Running] = {}
    ends = select.poll()
    while waiting or running:
        while waiting and len(running) < _AT_A_TIME:
            node, tool = waiting.pop(0)
            item = _start(node, tool, tools[tool], netns[node], home)
            running[item.exit] = item
            ends.register(item.exit, select.POLLIN)
        ended = {fd for fd, _ in ends.poll(_PAUSE * 1000)}
        for fd, item in list(running.items()):
            if fd in ended or time.monotonic() > item.deadline:
                ends.unregister(fd)
                texts[item.node][item.tool] = _finish(running.pop(fd), in_time=fd in ended)
        meanwhile()
    return texts


def _start(node: str, tool: str, argv: list[str], netns: int, home: int) -> _Running:
    output = os.memfd_create(f"{tool}-{node}"[:200], os.MFD_CLOEXEC)
    # Popen without preexec_fn uses vfork: the child starts in the namespace that this thread is in just now.
    with inside_netns(netns, home):
        process = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    return _Running(node, tool, process, os.pidfd_open(process.pid), output, time.monotonic() + _TIMEOUT)


def _finish(item: _Running, *, in_time: bool) -> str:
    if not in_time:
        item.process.kill()
    item.process.wait()
    os.close(item.exit)
    with os.fdopen(item.output, "rb") as output:
        output.seek(0)
        text = output.read().decode(errors="replace")
    return text if in_time else f"{text}\n({item.tool} did not end within {_TIMEOUT:.0f} s)\n"
