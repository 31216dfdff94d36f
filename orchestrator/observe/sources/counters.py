"""The kernel's own TCP counters of one network namespace: the witness that cannot miss a socket.

Source: /proc/net/snmp and /proc/net/netstat; names as `nstat` prints them, without their group.
"""

from __future__ import annotations

import os

from orchestrator.tcp.counters import COUNTERS

_FILES = {"Tcp": "snmp", "TcpExt": "netstat"}


class Counters:
    """Readings of the namespace in which this object was made: an open /proc/net file belongs to it for ever."""

    def __init__(self) -> None:
        self._fds = {group: os.open(f"/proc/thread-self/net/{name}", os.O_RDONLY) for group, name in _FILES.items()}
        self._text: dict[str, bytes] = {}
        self._last: dict[str, int] = {}

    def close(self) -> None:
        for fd in self._fds.values():
            os.close(fd)

    def changes(self, *, all_groups: bool) -> dict[str, int]:
        """Absolute values of the counters that moved since the last call. The small `Tcp` group costs half of both."""
        moved: dict[str, int] = {}
        for group, fd in self._fds.items():
            if group == "Tcp" or all_groups:
                text = os.pread(fd, 1 << 16, 0)
                if text == self._text.get(group):
                    continue
                self._text[group] = text
                values = parse(text.decode(), group)
                moved |= {name: value for name, value in values.items() if self._last.get(name) != value}
        self._last |= moved
        return moved


def parse(text: str, group: str) -> dict[str, int]:
    """The counters of `group` that recordings carry. The files pair a line of names with a line of values."""
    lines = [piece.partition("\n")[0].split() for piece in f"\n{text}".split(f"\n{group}: ")[1:]]
    if len(lines) != 2:
        return {}
    values = dict(zip(*lines, strict=False))
    return {name: int(values[name]) for name in COUNTERS[group] if name in values}
