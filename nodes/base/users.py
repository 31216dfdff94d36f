"""Which users and groups there are in this node: a user namespace may have root only."""

from __future__ import annotations

import os
from pathlib import Path

NOBODY = 65534


def exist_here(user: int, group: int) -> bool:
    """Whether both numbers are mapped in this process's user namespace (user_namespaces(7))."""
    return _is_mapped(user, "uid_map") and _is_mapped(group, "gid_map")


def may_become(user: int, group: int) -> bool:
    """Whether root can become that user here: it is mapped, and groups may be given up."""
    return exist_here(user, group) and Path("/proc/self/setgroups").read_text().strip() == "allow"


def not_as_root(command: list[str], folder: Path) -> list[str]:
    """The command line that runs `command` as somebody else than root, who owns `folder` then."""
    if os.geteuid() != 0:
        return command
    if not may_become(NOBODY, NOBODY):
        # In a user namespace without any user it is not root.
        return ["unshare", "--user", *command]
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def _is_mapped(number: int, table: str) -> bool:
    ranges = [list(map(int, line.split())) for line in Path("/proc/self", table).read_text().splitlines()]
    return any(first <= number < first + count for first, _, count in ranges)
