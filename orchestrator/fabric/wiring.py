"""Wires nodes together: a bridge per network, a veth pair per leg, addresses, pinned kernel settings.

Runs inside the probe, whose own anonymous network namespace is the fabric. The bridges live there, because a bridge in
the machine's namespace loses its packets to Docker's `FORWARD DROP`, and because everything here then vanishes with the
probe, however it ends. Bridges have no address and nothing forwards between them: a network is closed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from orchestrator.fabric.sysctls import PINNED
from orchestrator.linux import inside_netns


@dataclass(frozen=True, slots=True)
class Leg:
    """One interface to make: in node `node`, named `name`, on `network`."""

    node: str
    name: str
    network: str
    address: str
    prefix: int


class Fabric:
    """The bridges and the far ends of all legs; lives in the network namespace in which it was made."""

    def __init__(self) -> None:
        from pyroute2 import IPRoute

        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._ip: Any = IPRoute()
        self._bridges: dict[str, int] = {}
        self._legs = 0

    def add_network(self, name: str) -> None:
        """Make a bridge. Spanning tree is off by default, so a port forwards at once."""
        ifname = f"br{len(self._bridges)}"
        self._ip.link("add", ifname=ifname, kind="bridge")
        index = self._ip.link_lookup(ifname=ifname)[0]
        self._ip.link("set", index=index, state="up", alias=name[:255])
        self._bridges[name] = index

    def add_legs(self, legs: Sequence[Leg], netns: Mapping[str, int], sysctls: Mapping[str, Mapping[str, str]]) -> None:
        """Make all legs of all nodes. `netns`: node -> descriptor; `sysctls`: node -> settings above the pinned ones.

        Raises OSError and pyroute2's NetlinkError with the kernel's reason; ValueError for a setting it refuses.
        """
        for leg in legs:
            self._add_pair(leg, netns[leg.node])
        for node, fd in netns.items():
            with inside_netns(fd, self._home):
                _configure([leg for leg in legs if leg.node == node])
                _apply(PINNED | dict(sysctls.get(node, {})), node)

    def _add_pair(self, leg: Leg, netns: int) -> None:
        self._legs += 1
        self._ip.link(
            "add",
            ifname=f"leg{self._legs}",
            kind="veth",
            master=self._bridges[leg.network],
            state="up",
            peer={"ifname": leg.name, "net_ns_fd": netns, "address": mac(leg.address)},
        )

    def close(self) -> None:
        self._ip.close()
        os.close(self._home)


def mac(address: str) -> str:
    """A locally administered MAC that shows the IPv4 address: 198.18.0.2 -> 02:00:c6:12:00:02."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


def _configure(legs: Sequence[Leg]) -> None:
    with _iproute() as ip:
        ip.link("set", index=1, state="up")
        indexes = {link.get_attr("IFLA_IFNAME"): link["index"] for link in ip.get_links()}
        for leg in legs:
            ip.addr("add", index=indexes[leg.name], address=leg.address, prefixlen=leg.prefix)
            ip.link("set", index=indexes[leg.name], state="up")


@contextmanager
def _iproute() -> Iterator[Any]:
    from pyroute2 import IPRoute

    ip = IPRoute()
    try:
        yield ip
    finally:
        ip.close()


def _apply(sysctls: Mapping[str, str], node: str) -> None:
    """Write each setting that this kernel has; one that it lacks is skipped only if it is ours."""
    for name, value in sysctls.items():
        path = Path("/proc/sys") / name.replace(".", "/")
        try:
            path.write_text(value)
        except FileNotFoundError:
            if name not in PINNED:
                raise ValueError(f"{node}: this kernel has no setting {name} in a network namespace") from None
        except OSError as error:
            # Some settings are the machine's alone in a user namespace; the default stays, env.json tells its value.
            if name not in PINNED or PINNED[name] != value:
                raise ValueError(f"{node}: {name} = {value!r} was refused: {error.strerror}") from None
