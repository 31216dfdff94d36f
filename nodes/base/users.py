"""Which users and groups there are in this node: a user namespace may have root only."""

from __future__ import annotations

from pathlib import Path


def exist_here(user: int, group: int) -> bool:
    """Whether both numbers are mapped in this process's user namespace (user_namespaces(7))."""
    return _is_mapped(user, "uid_map") and _is_mapped(group, "gid_map")


def _is_mapped(number: int, table: str) -> bool:
    ranges = [list(map(int, line.split())) for line in Path("/proc/self", table).read_text().splitlines()]
    return any(first <= number < first + count for first, _, count in ranges)
