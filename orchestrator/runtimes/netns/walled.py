"""Has a command run in a node behind the same walls as the node's program.

`python -P -m orchestrator.runtimes.netns.walled PID USER_NAMESPACE NEW_USER_NAMESPACES COMMAND ...`, with the command's
environment as JSON in SIMCTL_COMMAND_ENVIRONMENT. What a node's program has written lies in the folder in which a
command begins, and in its home: Python alone would import from both. So who trusts the command must not have to trust
the program: it gets the program's capabilities, and that of the network besides; no other privileges, the filter of
system calls, and the bounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from orchestrator.runtimes.netns import bounded
from orchestrator.runtimes.processes import nsenter
from orchestrator.system import linux
from orchestrator.system.interpreter import OWN_PYTHON
from orchestrator.system.seccomp import forbid_system_calls

_ENVIRONMENT = "SIMCTL_COMMAND_ENVIRONMENT"


def command_line(pid: int, command: Sequence[str], *, user_namespace: bool, new_user_namespaces: bool) -> list[str]:
    """`pid`: the node's first process. `user_namespace`: the lab has one. `new_user_namespaces`: its program may make
    one of its own."""
    module = "orchestrator.runtimes.netns.walled"
    return [*OWN_PYTHON, module, str(pid), str(int(user_namespace)), str(int(new_user_namespaces)), *command]


def environment(of_command: Mapping[str, str]) -> dict[str, str]:
    """That of the process which has the command run: simctl's own, with the command's packed into it."""
    return {**os.environ, _ENVIRONMENT: json.dumps(dict(of_command))}


def with_terminal(pid: int, command: Sequence[str], *, user_namespace: bool) -> int:
    """Run a command with this terminal and environment; its exit status."""
    # A lab is closed: there is no way from it to the user's proxy.
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    argv = command_line(pid, command, user_namespace=user_namespace, new_user_namespaces=False)
    status = subprocess.run(argv, env=environment(own), check=False).returncode
    return status if status >= 0 else 128 - status


def main() -> None:
    pid, user_namespace, new_user_namespaces = map(int, sys.argv[1:4])
    of_command = json.loads(os.environ[_ENVIRONMENT])
    bounded.files()
    bounded.give_way()
    linux.forbid_new_privileges()
    forbid_system_calls(user_namespaces=bool(new_user_namespaces))
    # To enter the node takes capabilities that the command is not to have.
    keep = ",".join(f"+cap_{number}" for number in sorted(bounded.CAPABILITIES | {bounded.NET_ADMIN}))
    bound = ["setpriv", f"--bounding-set=-all,{keep}", "--inh-caps=-all", "--"]
    argv = [*nsenter(pid, user_namespace=bool(user_namespace)), *bound, *sys.argv[4:]]
    try:
        os.execvpe(argv[0], argv, of_command)
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
