"""Commands that run in a node behind the same walls as the node's program.

What a node's program has written lies in the folder in which a command begins, and in its home: Python alone would
import from both. So who trusts the command must not have to trust the program: wall.py gives it the program's
capabilities, and that of the network besides; no new privileges, the filter of system calls, and the bounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from orchestrator.bounds import NODE_FILE, OOM_SCORE
from orchestrator.runtimes.netns import bounded, wall
from orchestrator.runtimes.processes import nsenter

_KEPT = ",".join(f"+cap_{number}" for number in sorted(bounded.CAPABILITIES | {bounded.NET_ADMIN}))


def command_line(pid: int, command: Sequence[str], *, user_namespace: bool, new_user_namespaces: bool) -> list[str]:
    """`pid`: the node's first process. `user_namespace`: the lab has one. `new_user_namespaces`: its program may make
    one of its own. The environment of what is executed is the command's."""
    limits = (NODE_FILE.limit, OOM_SCORE, int(new_user_namespaces))
    # To enter the node takes capabilities that the command is not to have.
    bound = ["setpriv", f"--bounding-set=-all,{_KEPT}", "--inh-caps=-all", "--"]
    enter = nsenter(pid, user_namespace=user_namespace)
    # Isolated: the variables are meant for the command, and -S saves the half of an interpreter's start.
    return [sys.executable, "-I", "-S", wall.__file__, *map(str, limits), *enter, *bound, *command]


def with_terminal(pid: int, command: Sequence[str], *, user_namespace: bool) -> int:
    """Run a command with this terminal and environment; its exit status."""
    # A lab is closed: there is no way from it to the user's proxy.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    argv = command_line(pid, command, user_namespace=user_namespace, new_user_namespaces=False)
    status = subprocess.run(argv, env=environment, check=False).returncode
    return status if status >= 0 else 128 - status
