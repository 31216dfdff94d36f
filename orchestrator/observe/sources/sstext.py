"""The real `ss -tanope` and `netstat -tanp` of each node: people trust and recognise them.

Both run on the observer's machine inside the node's network namespace, so a node's image needs neither, and the pids
are those that the observer sees. They see the node's own processes only (procview.py).
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from orchestrator.observe.sources.procview import ProcView
from orchestrator.system.linux import descendants, inside_netns, readable
from orchestrator.text.record import record

COMMANDS = {"ss": ["ss", "-tanope"], "netstat": ["netstat", "-tanp"]}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT = 20.0
_CPUS = os.cpu_count() or 1
_AT_A_TIME = 2 * _CPUS if _CPUS > 1 else 1
_ENVIRONMENT = {"LC_ALL": "C"}
"""Whoever's words and numbers the user prefers, a recording has these. And to set up a locale is a fifth of the work of
netstat."""
_PAUSE = 0.02


@record
class Place:
    """Where a node's sockets are (descriptor of its network namespace), and the process below which its owners live."""

    netns: int
    pid: int


class SocketTexts:
    """Runs the tools. A few threads do that, each with a /proc of its own that is made once: a fork of the whole probe
    for every node and moment cost more than the tools themselves."""

    def __init__(self, home: int) -> None:
        """`home`: descriptor of our own network namespace."""
        self._home = home
        self._threads = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="tools")
        self._own = threading.local()

    def warm_up(self) -> None:
        """Have one thread with its /proc now, and its tools found: all that it takes where there is one processor."""
        _tools()
        self._threads.submit(self._view).result()

    def read(
        self, nodes: Mapping[str, Place], meanwhile: Callable[[], None] = lambda: None
    ) -> dict[str, dict[str, str]]:
        """Node -> tool -> what it printed. `meanwhile` is called now and then.

        A tool that this machine lacks is left out: `simctl doctor` names it.
        """
        pending = {
            # In this thread, whose /proc has every process.
            node: self._threads.submit(self._run, place.netns, [place.pid, *descendants(place.pid)])
            for node, place in nodes.items()
        }
        while wait(pending.values(), timeout=_PAUSE).not_done:
            meanwhile()
        meanwhile()
        return {node: found.result() for node, found in pending.items()}

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, netns: int, pids: Sequence[int]) -> dict[str, str]:
        """One tool after the other, in the node's network namespace."""
        tools = _tools()
        view = self._view()
        if view is not None:
            view.show(pids)
        with inside_netns(netns, self._home):
            return {tool: _output(argv) for tool, argv in tools.items()}

    def _view(self) -> ProcView | None:
        """This thread's; None where mounts are refused: then the tools see every process, and take longer."""
        if not hasattr(self._own, "view"):
            self._own.view = None
            with contextlib.suppress(OSError):
                self._own.view = ProcView()
        view: ProcView | None = self._own.view
        return view


@functools.cache
def _tools() -> dict[str, list[str]]:
    """Name -> command line, of those that this machine has."""
    return {name: [path, *argv[1:]] for name, argv in COMMANDS.items() if (path := shutil.which(argv[0], path=_PATH))}


def _output(argv: list[str]) -> str:
    """What it printed, into a file in memory: nobody has to read meanwhile. It is a group of its own, to be ended
    whole."""
    output = os.memfd_create("tool", os.MFD_CLOEXEC)
    with os.fdopen(output, "rb") as file:
        streams: list[tuple[object, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        streams += [(os.POSIX_SPAWN_DUP2, output, to) for to in (1, 2)]
        pid = os.posix_spawn(argv[0], argv, _ENVIRONMENT, file_actions=streams, setpgroup=0)
        end = os.pidfd_open(pid)
        try:
            in_time = bool(readable([end], _TIMEOUT))  # whether it ends in time
            if not in_time:
                os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        finally:
            os.close(end)
        file.seek(0)
        text = file.read().decode(errors="replace")
    return text if in_time else f"{text}\n(not finished within {_TIMEOUT:.0f} s)\n"
