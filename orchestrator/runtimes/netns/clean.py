"""What a killed simctl may leave on this machine: nodes die with it, the kernel's trace instances do not."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

from orchestrator.runtimes.ability import Report
from orchestrator.system.interpreter import OWN_PYTHON


def clean(report: Report) -> Iterator[str]:
    """In a process of its own, which may have to mount tracefs for itself. Only root can have left any."""
    if os.geteuid() != 0:
        return
    argv = [*OWN_PYTHON, "orchestrator.observe.trace.tracefs"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        report(f"trace instances were not looked for: {done.stderr.strip().rpartition(chr(10))[2]}")
    for name in json.loads(done.stdout or "[]"):
        yield f"trace instance {name}"
