"""Rules of nftables on the far ends of the nodes' interfaces, where a node's frames enter the fabric.

A frame is there when its sender has sent it and before any bridge has it. Packet sockets have seen it by then
(net/core/dev.c, __netif_receive_skb_core: taps, then tc, then the netdev hook): what a rule eats is recorded as sent.

A rule is a base chain of its own: what one eats no other sees, and to heal it is to delete its chains. All of it is in
the fabric's network namespace, and ends with it.

Source: nft(8); net/netfilter/nft_numgen.c, nft_log.c, net/netfilter/nft_reject_netdev.c.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterable, Sequence

from orchestrator.text.record import record

GROUP = 71
"""Of nfnetlink_log, to which every packet is reported that a rule has taken. Nobody else is in this namespace."""

NETDEV, BRIDGE = "netdev", "bridge"
"""Families of tables. Rules of the second come to a packet behind those of the first, when the bridge gets it. Some
kernels refuse packets in the one only, some in the other: Debian's has nft_reject_bridge, no nft_reject_netdev."""

_SNAP = 120
"""Bytes of a packet that are reported: the headers of IPv4 and TCP at their longest."""

_TRIES = 4096
"""After so many packets the throws of the dice come again."""

_NEVER = (1 << 32) - 1
"""A modulus that no counter of packets reaches."""

_FLAGS = {
    "SYN": "tcp flags & (syn | ack | rst) == syn",
    "SYN+ACK": "tcp flags & (syn | ack) == (syn | ack)",
    "FIN": "tcp flags & fin == fin",
    "RST": "tcp flags & rst == rst",
}
_BARE_ACK = "tcp flags & (fin | syn | rst | ack) == ack"


VERDICTS = {
    "drop": "drop",
    "reset": "reject with tcp reset",
    **{
        reason: f"reject with icmp type {reason}"
        for reason in ("port-unreachable", "host-unreachable", "net-unreachable", "admin-prohibited")
    },
}
"""What a step calls it -> the statement of nft."""


@record
class Way:
    """Packets that come by one of these ports of the fabric, and go to one of these MAC addresses; None: to any."""

    ports: Sequence[str]
    targets: Sequence[str] | None = None


@record
class Kind:
    """What is in a packet; as scenario/steps/packets.py has it."""

    protocol: str | None = None
    port: int | None = None
    flags: Sequence[str] | None = None


@record
class Chosen:
    """Which of those that match: the n-th, or some by chance; else all."""

    nth: Sequence[int] | None = None
    probability: float | None = None
    seed: int = 1


def take(number: int, ways: Iterable[Way], kind: Kind, chosen: Chosen, verdict: str) -> str:
    """Make rule `number`, with one of VERDICTS. Returns the family in which the kernel can. Raises ValueError."""
    ways, statement = list(ways), VERDICTS[verdict]
    try:
        load(rule(number, ways, kind, chosen, statement))
    except ValueError:
        if verdict == "drop":
            raise
        load(rule(number, ways, kind, chosen, statement, family=BRIDGE))
        return BRIDGE
    return NETDEV


def rule(
    number: int,
    ways: Iterable[Way],
    kind: Kind,
    chosen: Chosen,
    statement: str,
    *,
    family: str = NETDEV,
    reported: bool = True,
) -> str:
    """What `nft -f` makes rule `number` of. A chain goes to the next one; what matches nothing passes. `reported`: the
    kernel's log gets each packet for which it does what `statement` says."""
    ways = [way for way in ways if way.ports and way.targets != []]
    devices = ", ".join(dict.fromkeys(port for way in ways for port in way.ports))
    if not devices:
        return f"table {family} simctl {{}}\n"
    hook = f"ingress devices = {{ {devices} }}" if family == NETDEV else "prerouting"
    select = [f"{_way(way)}{words} goto kind{number}" for way in ways for words in _kind(kind)]
    kinds = [f"{words} goto act{number}" for words in _flags(kind.flags)]
    log = f'log prefix "{number}" group {GROUP} snaplen {_SNAP} ' if reported else ""
    lines = [
        f"table {family} simctl {{",
        f"chain act{number} {{",
        f"{_chosen(chosen)}{log}{statement}",
        "}",
        f"chain kind{number} {{",
        *kinds,
        "}",
        f"chain rule{number} {{ type filter hook {hook} priority {number}; policy accept;",
        *select,
        "}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def removal(number: int, family: str = NETDEV) -> str:
    """What deletes rule `number`."""
    return "".join(f"delete chain {family} simctl {name}{number}\n" for name in ("rule", "kind", "act"))


def _way(way: Way) -> str:
    words = f"iifname {{ {', '.join(way.ports)} }} meta protocol ip "
    return words if way.targets is None else f"{words}ether daddr {{ {', '.join(way.targets)} }} "


def _kind(kind: Kind) -> list[str]:
    """One of these matches."""
    words = "" if kind.protocol is None else f"ip protocol {kind.protocol}"
    if kind.port is None:
        return [words]
    return [f"{words} th {end} {kind.port}" for end in ("sport", "dport")]


def _flags(flags: Sequence[str] | None) -> list[str]:
    """One of these matches. Data is what the packet has behind an IPv4 header without options, as Linux sends it, and
    the TCP header: nft cannot subtract, so there is a rule for each length of that."""
    if flags is None:
        return [""]
    found = [_FLAGS[flag] for flag in flags if flag in _FLAGS]
    for words in range(5, 16):
        if "data" in flags:
            found.append(f"tcp doff {words} ip length > {20 + 4 * words}")
        if "ACK" in flags:
            found.append(f"{_BARE_ACK} tcp doff {words} ip length {20 + 4 * words}")
    return found


def _chosen(chosen: Chosen) -> str:
    """A counter of what matches, from 0 on; dice that are thrown beforehand are the same in every run."""
    if chosen.nth is not None:
        return f"numgen inc mod {_NEVER} {{ {', '.join(str(number - 1) for number in sorted(chosen.nth))} }} "
    if chosen.probability is None or chosen.probability >= 1:
        return ""
    dice = random.Random(chosen.seed)
    hits = [number for number in range(_TRIES) if dice.random() < chosen.probability]
    return f"numgen inc mod {_TRIES} {{ {', '.join(map(str, hits or [_TRIES - 1]))} }} "


def load(text: str) -> None:
    """Have `nft` make it, all or nothing, in this network namespace. Raises ValueError with what it says."""
    program = shutil.which("nft", path="/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin")
    if program is None:
        raise ValueError("there is no program nft: install the Debian package nftables")
    done = subprocess.run([program, "-f", "-"], input=text, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ValueError(f"nft: {said[0] if said else f'ended with status {done.returncode}'}")
