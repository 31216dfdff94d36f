"""An interpreter that is warm, as the guest's agent is, and does one thing with it. Run as a program.

warm_parent.py popen ARGV...    start ARGV by zygote.popen(), pass its streams on, end as it ends
warm_parent.py spawn ARGV...    start ARGV by zygote.spawn() as init does, wait, end as it ends
warm_parent.py simctl ARGV...   be simctl
"""

from __future__ import annotations

import atexit
import os
import signal
import sys

from orchestrator.kinds.registry import load_kinds
from orchestrator.run.virtual.inside.work import preload
from orchestrator.system import zygote


def main(how: str, argv: list[str]) -> None:
    preload(load_kinds())
    zygote.enable()
    if how == "simctl":
        from orchestrator.cli.main import main as simctl

        sys.argv = ["simctl", *argv]
        return simctl()
    atexit.register(print, "the parent's own")
    signal.signal(signal.SIGUSR1, lambda *_: None)
    os.set_inheritable(os.open(os.devnull, os.O_RDONLY), False)
    if how == "popen":
        with zygote.popen(argv, start_new_session=True) as process:
            status = process.wait()
    else:
        status = os.waitstatus_to_exitcode(os.waitpid(zygote.spawn(argv), 0)[1])
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
