"""Claims subnets machine-wide, so that two labs never share an address: trace events carry addresses and no namespace.

A claim is an abstract Unix socket whose name is the subnet: `\\0simctl-subnet-198.18.0.0/24`. The kernel frees it when
the last process that holds it is gone, `kill -9` included; nothing is left on disk; any user's simctl sees it in
/proc/net/unix. Abstract names belong to a network namespace: claim before entering another one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from types import TracebackType

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.topology.subnets import check_subnet

LAB_SPACE = IPv4Network("198.18.0.0/15")
"""The benchmark range of RFC 2544: no clash with an office, a VPN or a cloud."""

_SPARE = 6
"""Addresses of a block that no node gets: a /24 serves 250 nodes, a larger network gets a larger block."""

_PREFIX = "simctl-subnet-"
_LOCK = "\0simctl-subnets"
_LOCK_TIMEOUT = 10.0
_LOCK_PAUSE = 0.005
"""Seconds. The lock is held for the time of one read of /proc/net/unix, well under a millisecond a thousand sockets."""
_TABLE = Path("/proc/net/unix")


class SubnetClaim:
    """Holds subnets for as long as it is open: `with SubnetClaim() as claim: subnets = claim.claim(...)`."""

    def __init__(self, space: IPv4Network = LAB_SPACE) -> None:
        self._space = space
        self._sockets: list[socket.socket] = []

    def claim(self, sizes: Mapping[str, int], fixed: Mapping[str, IPv4Network] | None = None) -> dict[str, IPv4Network]:
        """Network -> subnet, for every network of `sizes` (how many nodes it has) and of `fixed` (its subnet).

        All or nothing. Raises InputError for a fixed subnet that a lab may not have, EnvironmentFailure when a fixed
        subnet is in use or no subnet is left.
        """
        fixed = fixed or {}
        for name, subnet in fixed.items():
            try:
                check_subnet(subnet)
            except ValueError as error:
                raise InputError(f"the network {name}: {error}") from None
        chosen: dict[str, IPv4Network] = {}
        with _locked():
            taken = _taken()
            for name, subnet in fixed.items():
                chosen[name] = _check_free(name, subnet, [*taken, *chosen.values()])
            for name, size in sizes.items():
                if name not in fixed:
                    chosen[name] = self._choose(name, size, [*taken, *chosen.values()])
            bound: list[socket.socket] = []
            try:
                for subnet in chosen.values():
                    bound.append(_bind(f"\0{_PREFIX}{subnet}"))
            except OSError as error:
                for held in bound:
                    held.close()
                raise EnvironmentFailure(f"a subnet could not be claimed: {error.strerror}") from None
            self._sockets += bound
        return {name: chosen[name] for name in (*sizes, *(name for name in fixed if name not in sizes))}

    def filenos(self) -> list[int]:
        """The descriptors that hold the claims. They are close-on-exec; a process that is given them holds on."""
        return [held.fileno() for held in self._sockets]

    def close(self) -> None:
        """Free every subnet. Safe more than once."""
        while self._sockets:
            self._sockets.pop().close()

    def __enter__(self) -> SubnetClaim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _choose(self, name: str, size: int, taken: list[IPv4Network]) -> IPv4Network:
        prefix = 32 - max(8, (size + _SPARE - 1).bit_length())
        blocks = self._space.subnets(new_prefix=prefix) if prefix >= self._space.prefixlen else iter(())
        found = next((block for block in blocks if not any(block.overlaps(other) for other in taken)), None)
        if found is None:
            raise EnvironmentFailure(
                f"no subnet of {self._space} is left for the network {name} with {size} nodes: "
                f"{len(taken)} are in use on this machine",
                hint="end other labs: `simctl ps` lists them, `simctl clean` removes what is left over",
            )
        return found


def _check_free(name: str, subnet: IPv4Network, taken: list[IPv4Network]) -> IPv4Network:
    clash = next((other for other in taken if subnet.overlaps(other)), None)
    if clash is not None:
        raise EnvironmentFailure(
            f"the subnet {subnet} of the network {name} is in use: another run on this machine has {clash}",
            hint="wait for it, or remove the subnet from the Compose file: simctl then takes a free one",
        )
    return subnet


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """One simctl of the machine at a time looks and claims."""
    deadline = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            lock = _bind(_LOCK)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise EnvironmentFailure(f"subnets could not be claimed: {error.strerror}") from None
            if time.monotonic() > deadline:
                raise EnvironmentFailure(
                    f"subnets could not be claimed: another simctl has held the lock for {_LOCK_TIMEOUT:.0f} s",
                    hint="see who: ss -xap | grep simctl-subnets",
                ) from None
            time.sleep(_LOCK_PAUSE)
    with lock:
        yield


def _bind(name: str) -> socket.socket:
    """An unconnected socket of that abstract name, close-on-exec. Raises OSError."""
    held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        held.bind(name)
    except OSError:
        held.close()
        raise
    return held


def _taken() -> list[IPv4Network]:
    """Subnets that are claimed on this machine, this process's own included. Source: proc(5), /proc/net/unix."""
    try:
        table = os.fsdecode(_TABLE.read_bytes())
    except OSError as error:
        raise EnvironmentFailure(f"{_TABLE} cannot be read: {error.strerror}") from None
    taken = []
    for line in table.splitlines():
        path = line.rpartition(" ")[2]
        if path.startswith("@" + _PREFIX):
            with contextlib.suppress(ValueError):
                taken.append(IPv4Network(path.removeprefix("@" + _PREFIX)))
    return taken
