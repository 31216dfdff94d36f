"""What `where` asks: which sockets, connections and events count."""

from __future__ import annotations

import ipaddress
import re

from orchestrator.history.index import Index
from orchestrator.history.lifetimes import up
from orchestrator.history.model import Socket
from orchestrator.history.moves import NO_MOVES, Moves
from orchestrator.recording.causes import NoSuchOwner, NoSuchPeer
from orchestrator.scenario.model import Where
from orchestrator.tcp.addresses import split_address

_INTERPRETER = re.compile(r"(python|pypy|ruby|perl|php|lua|node)[0-9.]+")
_COMM = 15
"""Characters of a program's name that the kernel keeps: proc(5), /proc/PID/comm."""


class Filter:
    """What `where` asks. All of a filter's parts must match."""

    def __init__(
        self,
        where: Where | None,
        hosts: frozenset[str] = frozenset(),
        nodes: frozenset[str] = frozenset(),
        moves: Moves = NO_MOVES,
    ) -> None:
        """`hosts`: the addresses that `where.peer` stands for. `moves`: those that stood for the `nodes` some time
        only."""
        self._where = where
        self._hosts = hosts
        self._nodes = nodes
        self._moves = moves

    @property
    def everything(self) -> bool:
        return self._where is None

    @property
    def by_owner(self) -> bool:
        return self._where is not None and self._where.owner is not None

    def match(self, local: str | None, peer: str | None, owner: str | None, t: float | None = None) -> bool | None:
        """Whether a socket counts; None when an address or owner that decides it is not known. `t`: when it was up."""
        if self._where is None:
            return True
        known: list[bool | None] = []
        if self._where.port is not None:
            ports = [split_address(address)[1] for address in (local, peer) if address]
            known.append(self._where.port in ports or (None if len(ports) < 2 else False))
        if self._where.peer is not None:
            known.append(self._is_peer(split_address(peer)[0], t) if peer else None)
        if self._where.owner is not None:
            known.append(None if owner is None else same_program(owner, self._where.owner))
        if False in known:
            return False
        return None if None in known else True

    def _is_peer(self, host: str, t: float | None) -> bool | None:
        holders = self._moves.holders(host)
        if not holders or not self._nodes:
            return host in self._hosts
        if t is not None:
            return self._moves.holder(host, t) in self._nodes
        return None if holders & self._nodes and holders - self._nodes else bool(holders & self._nodes)

    def socket(self, socket: Socket) -> bool | None:
        return True if self._where is None else self.match(socket.local, socket.peer, socket.comm, up(socket))


def program(name: str) -> str:
    """A program's name as runtimes share it: interpreters without their version, and what the kernel keeps of a name.

    The same client is `python` in a virtual environment, `python3` in an image, `python3.11` elsewhere.
    """
    versioned = _INTERPRETER.fullmatch(name)
    return (versioned[1] if versioned else name)[:_COMM]


def same_program(one: str, other: str) -> bool:
    """Whether two names are one program's."""
    return program(one) == program(other)


def _no_such_owner(index: Index, owner: str) -> NoSuchOwner | None:
    """With the owners that there are, where no socket of the run had this one: a name that differs matches nothing, and
    0 would hold whatever happens. None where some socket may have had it."""
    seen = sorted({socket.comm for socket in index.history.sockets if socket.comm is not None})
    if not seen or any(same_program(each, owner) for each in seen):
        return None
    return NoSuchOwner(owner=owner, owners=tuple(seen))


def filter_of(index: Index, where: Where | None) -> Filter | NoSuchPeer | NoSuchOwner:
    """The filter for a `where`, or why there can be none."""
    if where is not None and where.owner is not None and (strange := _no_such_owner(index, where.owner)) is not None:
        return strange
    if where is None or where.peer is None:
        return Filter(where)
    nodes = index.resolve(where.peer)
    if nodes:
        hosts = frozenset(address for address, node in index.history.addresses.items() if node in nodes)
        return Filter(where, hosts, frozenset(nodes), index.history.moves)
    try:
        return Filter(where, frozenset({str(ipaddress.ip_address(where.peer))}))
    except ValueError:
        return NoSuchPeer(peer=where.peer)
