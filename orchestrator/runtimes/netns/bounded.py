"""What bounds every process of a node under netns."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 10, 13})
"""CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, NET_RAW: what servers in containers
have, less what nobody here needs. Numbers from linux/capability.h."""

NET_ADMIN = 12


def files(limit: int) -> None:
    """No file of a node is larger than `limit` bytes, or than who started simctl allows."""
    infinity, (_, hard) = resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)
    most = limit if hard == infinity else min(hard, limit)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def give_way(score: int) -> None:
    """Where memory ends, the kernel kills a node's programs before simctl, its probe and who else is on the machine:
    it takes who has most, as if these had `score` thousandths of all memory on top. Where /proc cannot be written, it
    chooses."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(score))
