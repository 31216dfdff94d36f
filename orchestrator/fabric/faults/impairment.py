"""Packets that arrive late, twice, damaged or in another order: netem at the ports of the fabric where they leave it.

Each port by which such packets go to a node gets the queueing discipline prio, whose first band is for all others, and
netem in a further band. A rule where packets enter the fabric, behind the packet sockets there, chooses the band: it
sets their priority to the class, which the bridge leaves alone (net/sched/sch_prio.c, prio_classify).

A band is never taken away, for what waits in it would be lost: to heal is to choose it no longer.

Source: tc-netem(8), tc-prio(8). Runs inside the probe, beside `wiring`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from orchestrator.fabric.faults import packets
from orchestrator.fabric.faults.base import Fault, Wired
from orchestrator.fabric.faults.nftables import Chosen, Kind, load, removal, rule
from orchestrator.text.record import record

_HANDLE = "51c"
"""Of the discipline, hexadecimal: no priority that a node may give its packets has it."""

_BANDS = 16
"""As many as prio has at most: the first is for what is not impaired."""

_LIMIT = 10000
"""Packets that may wait."""

_NUMBERS = 1000
"""Rules with higher numbers are of impairments, so they come after those that take packets."""


@record
class Settings(packets.Settings):
    """Seconds, shares of 1, and a rate as tc has it."""

    delay: float | None = None
    jitter: float | None = None
    duplicate: float | None = None
    corrupt: float | None = None
    reorder: float | None = None
    rate: str | None = None


class Impairment(Fault[Settings]):
    """Numbers its bands, and remembers which are chosen."""

    name = "impairment"
    settings = Settings

    def __init__(self, wired: Wired) -> None:
        super().__init__(wired)
        self._bands = 1
        self._there: dict[str, int] = {}
        self._ports: set[str] = set()

    def apply(self, node: str, settings: Settings) -> None:
        if settings.rule in self._there:
            return
        if self._bands == _BANDS:
            raise ValueError(f"a run can impair packets in {_BANDS - 1} steps at most")
        band = self._bands = self._bands + 1
        ports = self.wired.fabric.ports
        ways = list(packets.ways(ports, settings))
        sources = {ports[port].network for way in ways for port in way.ports}
        leave = [
            port
            for port, leg in ports.items()
            if leg.network in sources and (settings.targets is None or leg.node in settings.targets)
        ]
        commands = [root(port) for port in leave if port not in self._ports]
        tc([*commands, *(netem(port, band, settings) for port in leave)])
        self._ports.update(leave)
        kind = Kind(settings.protocol, settings.port, settings.flags)
        chosen = Chosen(settings.nth, settings.probability, settings.seed)
        statement = f"meta priority set {_HANDLE}:{band:x}"
        load(rule(_NUMBERS + band, ways, kind, chosen, statement, reported=False))
        self._there[settings.rule] = band

    def heal(self, node: str, settings: Settings) -> None:
        band = self._there.pop(settings.rule, None)
        if band is not None:
            load(removal(_NUMBERS + band))


def root(port: str) -> str:
    """The command of tc that gives a port its bands, all packets in the first."""
    return f"qdisc add dev {port} root handle {_HANDLE}: prio bands {_BANDS} priomap {' '.join(['0'] * 16)}"


def netem(port: str, band: int, settings: Settings) -> str:
    """The command of tc that makes a band of a port."""
    words = [f"qdisc add dev {port} parent {_HANDLE}:{band:x} handle {0x520 + band:x}: netem limit {_LIMIT}"]
    if settings.delay is not None:
        jitter = "" if settings.jitter is None else f" {round(settings.jitter * 1e6)}us"
        words.append(f"delay {round(settings.delay * 1e6)}us{jitter}")
    for name in ("duplicate", "corrupt", "reorder"):
        share = getattr(settings, name)
        if share is not None:
            words.append(f"{name} {share * 100:.6f}%")
    if settings.rate is not None:
        words.append(f"rate {settings.rate}")
    return " ".join(words)


def tc(commands: Sequence[str]) -> None:
    """Have `tc` do them, in this network namespace. Raises ValueError with what it says."""
    program = shutil.which("tc", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin")
    if program is None:
        raise ValueError("there is no program tc: install the Debian package iproute2")
    text = "".join(f"{command}\n" for command in commands)
    argv = [program, "-batch", "-"]
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ValueError(f"tc: {said[0] if said else f'ended with status {done.returncode}'}")
