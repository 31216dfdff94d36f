"""The MTU of nodes' interfaces, in their own namespaces. Runs inside the probe, beside `wiring`."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Sequence

from orchestrator.fabric.faults.base import Fault, Wired
from orchestrator.system.linux import inside_netns
from orchestrator.text.record import record

_SIOCGIFMTU, _SIOCSIFMTU = 0x8921, 0x8922
_REQUEST = struct.Struct("16si20x")


@record
class Settings:
    """`rule` is a name for it, by which it is healed. Without a network all that the nodes are on."""

    rule: str
    nodes: Sequence[str]
    bytes: int
    network: str | None = None


class Mtu(Fault[Settings]):
    """Remembers what was there before; the latest that is not healed counts."""

    name = "mtu"
    settings = Settings

    def __init__(self, wired: Wired) -> None:
        super().__init__(wired)
        self._first: dict[tuple[str, str], int] = {}
        self._rules: dict[str, Settings] = {}

    def apply(self, node: str, settings: Settings) -> None:
        self._rules.setdefault(settings.rule, settings)
        self._set(settings)

    def heal(self, node: str, settings: Settings) -> None:
        if self._rules.pop(settings.rule, None) is not None:
            self._set(settings)

    def _set(self, settings: Settings) -> None:
        for leg in self.wired.fabric.ports.values():
            if leg.node not in settings.nodes or settings.network not in (None, leg.network):
                continue
            key = leg.node, leg.name
            ours = [
                rule.bytes
                for rule in self._rules.values()
                if leg.node in rule.nodes and rule.network in (None, leg.network)
            ]
            with (
                inside_netns(self.wired.netns[leg.node], self.wired.home),
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control,
            ):
                if key not in self._first:
                    answer = fcntl.ioctl(control, _SIOCGIFMTU, _REQUEST.pack(leg.name.encode(), 0))
                    self._first[key] = _REQUEST.unpack(answer)[1]
                mtu = ours[-1] if ours else self._first[key]
                fcntl.ioctl(control, _SIOCSIFMTU, _REQUEST.pack(leg.name.encode(), mtu))
