"""Packets that a rule takes on their way between two nodes: dropped, or refused with a RST or an ICMP message.

Which they are is told by the port of the fabric by which they enter, their sender's, and by the MAC address to which
they go, the next node's. A node that passes packets on counts as their sender and as their target.

Every packet that a rule takes is reported by the kernel (nfnetlink_log), and recorded; see observe/sources/filtered.py.

Runs inside the probe, beside `wiring`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.fabric.faults.base import Fault, Wired
from orchestrator.fabric.faults.nftables import Chosen, Kind, Way, load, removal, take
from orchestrator.fabric.wiring import Leg, mac
from orchestrator.text.record import record


@record
class Settings:
    """`rule` is a name for it, by which it is healed. `sources` and `targets` are nodes, None: any. The rest as
    scenario/steps/packets.py has it."""

    rule: str
    sources: Sequence[str] | None = None
    targets: Sequence[str] | None = None
    both_ways: bool = False
    network: str | None = None
    protocol: str | None = None
    port: int | None = None
    flags: Sequence[str] | None = None
    nth: Sequence[int] | None = None
    probability: float | None = None
    seed: int = 1
    verdict: str = "drop"


class Packets(Fault[Settings]):
    """Numbers its rules, and remembers which are there."""

    name = "packets"
    settings = Settings

    def __init__(self, wired: Wired) -> None:
        super().__init__(wired)
        self._made = 0
        self._there: dict[str, tuple[int, str]] = {}

    def apply(self, node: str, settings: Settings) -> None:
        if settings.rule in self._there:
            return
        number = self._made = self._made + 1
        self.wired.report(number, settings.rule, settings.verdict)
        kind = Kind(settings.protocol, settings.port, settings.flags)
        chosen = Chosen(settings.nth, settings.probability, settings.seed)
        family = take(number, ways(self.wired.fabric.ports, settings), kind, chosen, settings.verdict)
        self._there[settings.rule] = number, family

    def heal(self, node: str, settings: Settings) -> None:
        made = self._there.pop(settings.rule, None)
        if made is not None:
            load(removal(*made))


def ways(ports: dict[str, Leg], settings: Settings) -> Iterator[Way]:
    """By which ports the packets come, and to which addresses they go."""
    directions = [(settings.sources, settings.targets)]
    if settings.both_ways:
        directions.append((settings.targets, settings.sources))
    legs = {port: leg for port, leg in ports.items() if settings.network in (None, leg.network)}
    for sources, targets in directions:
        come = [port for port, leg in legs.items() if sources is None or leg.node in sources]
        go = None if targets is None else [mac(leg.address) for leg in legs.values() if leg.node in targets]
        yield Way(come, go)
