"""Wires nodes together: a bridge per network, a veth pair per leg, addresses, pinned kernel settings.

Runs inside the probe, whose own anonymous network namespace is the fabric. The bridges live there, because a bridge in
the machine's namespace loses its packets to Docker's `FORWARD DROP`, and because everything here then vanishes with the
probe, however it ends. Bridges have no address and nothing forwards between them: a network is closed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from orchestrator.fabric import rtnetlink
from orchestrator.fabric.sysctls import PINNED
from orchestrator.system.linux import inside_netns
from orchestrator.text.record import record

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_SIOCADDRT = 0x890B
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_RTF_UP, _RTF_GATEWAY = 0x1, 0x2

_NO_ROUTES: Mapping[str, Sequence[tuple[str, str]]] = {}

_RUNNING_TIMEOUT, _RUNNING_PAUSE = 10.0, 0.0005
"""Seconds."""


@record
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
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._netlink = rtnetlink.Rtnetlink()
        self._bridges: dict[str, int] = {}
        self.ports: dict[str, Leg] = {}
        """Interface of the fabric -> the leg whose far end it is."""

    def add_network(self, name: str) -> None:
        """Make a bridge. Spanning tree is off by default, so a port forwards at once."""
        ifname = f"br{len(self._bridges)}"
        self._netlink.do([rtnetlink.add_bridge(ifname)])
        index = socket.if_nametoindex(ifname)
        self._netlink.do([rtnetlink.bring_up(index, name)])
        self._bridges[name] = index

    def add_legs(
        self,
        legs: Sequence[Leg],
        netns: Mapping[str, int],
        sysctls: Mapping[str, Mapping[str, str]],
        routes: Mapping[str, Sequence[tuple[str, str]]] = _NO_ROUTES,
    ) -> None:
        """Make all legs of all nodes. `netns`: node -> descriptor; `sysctls`: node -> settings above the pinned ones;
        `routes`: node -> subnets (198.18.1.0/29) and the gateways to them.

        Raises OSError with the kernel's reason; ValueError for a setting it refuses.
        """
        self._netlink.do([self._pair(leg, netns[leg.node]) for leg in legs])
        by_node: dict[str, list[Leg]] = {node: [] for node in netns}
        for leg in legs:
            by_node[leg.node].append(leg)
        for node, fd in netns.items():
            with inside_netns(fd, self._home):
                _configure(by_node[node])
                _apply(PINNED | dict(sysctls.get(node, {})), node)
                _add_routes(routes.get(node, ()))
        self._await_running()

    def _await_running(self) -> None:
        """Wait until every port forwards. The kernel hears of a carrier in a work queue of its own, and until then the
        port drops what comes: on a busy machine that was the first SYN of a run, and a second of it."""
        deadline = time.monotonic() + _RUNNING_TIMEOUT
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for port in self.ports:
                while not _flags(control, port) & _IFF_RUNNING:
                    if time.monotonic() > deadline:
                        raise OSError(errno.ETIMEDOUT, f"the interface {port} has no carrier")
                    time.sleep(_RUNNING_PAUSE)
        # Takes the lock under which the flag was set and the bridge was told.
        self._netlink.do([rtnetlink.get(1)])

    def _pair(self, leg: Leg, netns: int) -> rtnetlink.Request:
        port = f"leg{len(self.ports) + 1}"
        self.ports[port] = leg
        address = bytes.fromhex(mac(leg.address).replace(":", ""))
        return rtnetlink.add_veth(port, self._bridges[leg.network], leg.name, netns, address)

    def detach(self, port: str) -> None:
        """Take a leg's far end out of its bridge: nothing passes any more, and the node's interface keeps its carrier.

        Its port state would do as well, but the bridge puts a disabled port back at the next event of its interface.
        """
        self._netlink.do([rtnetlink.set_master(socket.if_nametoindex(port), 0)])

    def attach(self, port: str) -> None:
        """Put it back; frames pass at once. One that is in its bridge stays there."""
        bridge = self._bridges[self.ports[port].network]
        self._netlink.do([rtnetlink.set_master(socket.if_nametoindex(port), bridge)])

    def close(self) -> None:
        self._netlink.close()
        os.close(self._home)


def mac(address: str) -> str:
    """A locally administered MAC that shows the IPv4 address: 198.18.0.2 -> 02:00:c6:12:00:02."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)


def _configure(legs: Sequence[Leg]) -> None:
    """Give the legs of the current namespace their addresses and bring everything up, loopback first.

    By ioctl, netdevice(7): a netlink library costs 4 ms per namespace here, which 100 nodes feel.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _bring_up(control, "lo")
        for leg in legs:
            mask = IPv4Network(f"0.0.0.0/{leg.prefix}").netmask
            _set_address(control, _SIOCSIFADDR, leg.name, IPv4Address(leg.address))
            _set_address(control, _SIOCSIFNETMASK, leg.name, mask)
            _bring_up(control, leg.name)


def _add_routes(routes: Sequence[tuple[str, str]]) -> None:
    """rtnetlink's older sister, route(8): `struct rtentry` of linux/route.h."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for subnet, gateway in routes:
            network = IPv4Network(subnet)
            ends = (network.network_address, IPv4Address(gateway), network.netmask)
            addresses = (struct.pack("HH4s8x", socket.AF_INET, 0, address.packed) for address in ends)
            fcntl.ioctl(control, _SIOCADDRT, struct.pack("@L16s16s16sH62x", 0, *addresses, _RTF_UP | _RTF_GATEWAY))


def _set_address(control: socket.socket, request: int, interface: str, address: IPv4Address) -> None:
    fcntl.ioctl(control, request, struct.pack("16sHH4s8x", interface.encode(), socket.AF_INET, 0, address.packed))


def bring_up(interface: str) -> None:
    """An interface of the current network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _bring_up(control, interface)


def _bring_up(control: socket.socket, interface: str) -> None:
    up = struct.pack("16sH22x", interface.encode(), _flags(control, interface) | _IFF_UP)
    fcntl.ioctl(control, _SIOCSIFFLAGS, up)


def _flags(control: socket.socket, interface: str) -> int:
    answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", interface.encode()))
    return int(struct.unpack_from("16xH", answer)[0])


def _apply(sysctls: Mapping[str, str], node: str) -> None:
    """Write each setting that this kernel has; one that it lacks is skipped only if it is ours."""
    for name, value in sysctls.items():
        try:
            _write(f"/proc/sys/{name.replace('.', '/')}", value)
        except FileNotFoundError:
            if name not in PINNED:
                raise ValueError(f"{node}: this kernel has no setting {name} in a network namespace") from None
        except OSError as error:
            # Some settings are the machine's alone in a user namespace; the default stays, env.json tells its value.
            if name not in PINNED or PINNED[name] != value:
                raise ValueError(f"{node}: {name} = {value!r} was refused: {error.strerror}") from None


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
