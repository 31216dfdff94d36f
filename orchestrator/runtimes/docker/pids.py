"""What is done to the processes of containers by their pids: where these pids mean something.

On the engine's machine simctl calls these functions itself. Otherwise they run in the probe's container, which sees
the pids of that machine: `python -m orchestrator.runtimes.docker.pids signal PID CONTAINER NUMBER HOW` or `kill PID`,
which ends with 1 and names the processes that it may not signal.
"""

from __future__ import annotations

import contextlib
import os
import signal as signals
import sys
from pathlib import Path

from orchestrator.runtimes.processes import signal_program
from orchestrator.system.linux import descendants


def is_ours(pid: int, container: str) -> bool:
    """Whether that pid is, on this machine, a process of that container: its control group is named after it."""
    try:
        return pid != 0 and container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def signal_node(pid: int, container: str, number: int, *, has_init: bool, alone: bool = False) -> None:
    """Send a signal to a node's program. Without an init of ours the first process is the program. `alone`: and not to
    its children.

    Raises PermissionError.
    """
    if not is_ours(pid, container):
        return
    if has_init:
        signal_program(pid, number, alone=alone)
        return
    # SIGTERM goes to the first process alone, as `docker stop` sends it.
    others = [] if alone or number == signals.SIGTERM else descendants(pid)
    for each in [pid, *others]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)


def kill_tree(pid: int) -> None:
    """End a process and all below it. Raises PermissionError."""
    if pid:
        for each in [*descendants(pid), pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signals.SIGKILL)


def main(arguments: list[str]) -> None:
    """The command line above."""
    match arguments:
        case ["signal", pid, container, number, ("init" | "program" | "init-alone" | "program-alone") as how]:
            first, _, alone = how.partition("-")
            signal_node(int(pid), container, int(number), has_init=first == "init", alone=bool(alone))
        case ["kill", pid]:
            kill_tree(int(pid))
        case _:
            raise SystemExit(f"not understood: {arguments}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except PermissionError:
        raise SystemExit("a process does not belong to root") from None
