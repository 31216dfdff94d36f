"""The real `ss -tanope` and `netstat -tanp` of each node: people trust and recognise them.

Both run on the observer's machine inside the node's network namespace, so a node's image needs neither, and the pids
are those that the observer sees.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from orchestrator.linux import inside_netns

COMMANDS = {"ss": ["ss", "-tanope"], "netstat": ["netstat", "-tanp"]}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_TIMEOUT = 20.0


@dataclass(slots=True)
class _Running:
    node: str
    tool: str
    process: subprocess.Popen[bytes]


def socket_texts(netns: dict[str, int], home: int) -> dict[str, dict[str, str]]:
    """Node -> tool -> what it printed, for every node's namespace descriptor; all of them run at the same time.

    A tool that this machine lacks is left out: `simctl doctor` names it.
    """
    tools = {name: [path, *argv[1:]] for name, argv in COMMANDS.items() if (path := shutil.which(argv[0], path=_PATH))}
    running: list[_Running] = []
    for node, fd in netns.items():
        # Popen without preexec_fn uses vfork: the child starts in the namespace that this thread is in just now.
        with inside_netns(fd, home):
            for tool, argv in tools.items():
                process = subprocess.Popen(
                    argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
                )
                running.append(_Running(node, tool, process))
    texts: dict[str, dict[str, str]] = {node: {} for node in netns}
    for item in running:
        texts[item.node][item.tool] = _finish(item)
    return texts


def _finish(item: _Running) -> str:
    try:
        output, _ = item.process.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired:
        item.process.kill()
        output, _ = item.process.communicate()
        return output.decode(errors="replace") + f"\n({item.tool} did not end within {_TIMEOUT:.0f} s)\n"
    return output.decode(errors="replace")
