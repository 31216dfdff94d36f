"""Two nodes of a real lab on one network, whose sockets the test opens itself: no program between it and the kernel.

A socket belongs for ever to the namespace in which it was made, so the test's own process can hold both ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.history.build import build_history
from orchestrator.history.kernelevents import KINDS, understood
from orchestrator.history.model import Connection, History, Socket
from orchestrator.kinds.registry import load_kinds
from orchestrator.lab.lab import Lab, LabFolder
from orchestrator.observe.pace import REAL
from orchestrator.observe.sources.sockdiag import SockDiag, SocketRow
from orchestrator.recording.events import Event
from orchestrator.recording.reader import read_events
from orchestrator.runtimes.netns.runtime import NetnsRuntime
from orchestrator.system.linux import inside_netns
from orchestrator.tcp.states import TcpState
from orchestrator.topology.compose.file import load_topology

COMPOSE = """
services:
  client: {image: simctl/host, networks: [lab]}
  server: {image: simctl/host, networks: [lab]}
networks: {lab: {internal: true}}
"""
PORT = 8080
SO_COOKIE = 57
IPPROTO_MPTCP = 262
DEADLINE = 20.0
"""Seconds that the kernel gets for anything here; what is awaited takes milliseconds, or the timer that it names."""

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCDARP = 0x8913, 0x8914, 0x8953
_IFF_UP = 1


def until(condition: Callable[[], bool], what: str = "what the kernel shows", every: float = 0.002) -> None:
    """Wait for what only the kernel's tables show. Fails after DEADLINE."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not before the deadline: {what}"
        time.sleep(every)


class Side:
    """One node: sockets in its namespace, its settings and what its kernel shows."""

    def __init__(self, name: str, address: str, netns: str, interface: str = "eth0") -> None:
        """`netns`: a path that names the namespace, as /proc/PID/ns/net does."""
        self.name = name
        self.address = address
        self._interface = interface
        self._cleanup = contextlib.ExitStack()
        self._home = self._open("/proc/thread-self/ns/net")
        self._netns = self._open(netns)
        with self.inside():
            self._table = SockDiag()
        self._cleanup.callback(self._table.close)

    def _open(self, path: str) -> int:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._cleanup.callback(os.close, fd)
        return fd

    def close(self) -> None:
        self._cleanup.close()

    def inside(self) -> contextlib.AbstractContextManager[None]:
        return inside_netns(self._netns, self._home)

    def tcp(self, *, cookie: bool = True, protocol: int = 0) -> socket.socket:
        """A TCP socket of this node. `cookie`: read its cookie now, as our programs do; reading makes it."""
        with self.inside():
            made = self._cleanup.enter_context(socket.socket(proto=protocol))
        made.settimeout(DEADLINE)
        if cookie:
            cookie_of(made)
        return made

    def listen(self, backlog: int = 64, address: str = "", protocol: int = 0) -> socket.socket:
        listener = self.tcp(protocol=protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen(backlog)
        return listener

    def accept(self, listener: socket.socket, *, cookie: bool = True) -> socket.socket:
        accepted = self._cleanup.enter_context(listener.accept()[0])
        accepted.settimeout(DEADLINE)
        if cookie:
            cookie_of(accepted)
        return accepted

    def set(self, **settings: int | str) -> None:
        """Kernel settings below net.ipv4, a `__` for each further level: `neigh__default__mcast_solicit=9`."""
        with self.inside():
            for name, value in settings.items():
                Path("/proc/sys/net/ipv4", name.replace("__", "/")).write_text(str(value))

    def read(self, name: str) -> str:
        """A file of /proc/net."""
        with self.inside():
            return Path("/proc/thread-self/net", name).read_text()

    def counter(self, name: str) -> int:
        """A counter as `nstat` names it, without its group."""
        lines = [line.split() for line in (self.read("snmp") + self.read("netstat")).splitlines()]
        pairs = zip(lines[::2], lines[1::2], strict=True)
        return next(int(values[names.index(name)]) for names, values in pairs if name in names)

    def rows(self) -> list[SocketRow]:
        return self._table.rows()

    def row(self, state: str) -> SocketRow:
        """The one socket in that state."""
        (found,) = [row for row in self.rows() if row.state == state]
        return found

    def states(self) -> list[str]:
        """Of all sockets but the listening ones, in alphabetical order."""
        return sorted(row.state.value for row in self.rows() if row.state is not TcpState.LISTEN)

    def await_states(self, *states: str) -> None:
        try:
            until(lambda: self.states() == sorted(states))
        except AssertionError:
            raise AssertionError(f"{self.name}: expected {sorted(states)}, the kernel shows {self.states()}") from None

    def set_link(self, *, up: bool) -> None:
        """Take the node's interface down, its routes with it, or up again."""
        with self.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            name = self._interface.encode()
            (flags,) = struct.unpack_from("16xH", fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16s24x", name)))
            flags = flags | _IFF_UP if up else flags & ~_IFF_UP
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name, flags))

    def hold(self, other: Side) -> None:
        """Keep what goes to `other` in this node, in order, until both released: its link address is forgotten, and
        the other does not tell it again."""
        prefix = f"neigh__{self._interface}__"
        self.set(**{f"{prefix}retrans_time_ms": 20, f"{prefix}mcast_solicit": 1000})
        self.set(**{f"conf__{self._interface}__arp_ignore": 8})
        peer = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(other.address))
        request = struct.pack("16s16xi16x16s", peer, 0, self._interface.encode())
        with self.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCDARP, request)

    def release(self) -> None:
        self.set(**{f"conf__{self._interface}__arp_ignore": 0})


def cookie_of(one: socket.socket) -> str:
    """As socket tables and the trace write it."""
    return f"{struct.unpack('Q', one.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]:x}"


def linger_zero(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def deaf(one: socket.socket) -> Iterator[None]:
    """Every segment to this socket is lost as it arrives: a filter that accepts nothing."""
    nothing = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0), 8)  # BPF: return 0
    program = struct.pack("HP", 1, ctypes.addressof(nothing))
    one.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    try:
        yield
    finally:
        one.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


class TwoNodes:
    """A lab with the nodes `client` and `server`, traced and sampled from the beginning."""

    def __init__(self, lab: Lab, events: Path) -> None:
        assert lab.plan is not None
        legs = {name: interfaces[0] for name, interfaces in lab.plan.interfaces.items()}
        self.client, self.server = (
            Side(name, legs[name].address, f"/proc/{lab.pids[name]}/ns/net", legs[name].name)
            for name in ("client", "server")
        )
        self._lab = lab
        self._events = events

    def connected(self, *, cookie: bool = True) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new connection to the server, whose listening socket is closed again."""
        with self.server.listen() as listener:
            return self.connect(listener, cookie=cookie)

    def connect(self, listener: socket.socket, *, cookie: bool = True) -> tuple[socket.socket, socket.socket]:
        client = self.client.tcp(cookie=cookie)
        client.connect((self.server.address, PORT))
        return client, self.server.accept(listener, cookie=cookie)

    def sample(self, *, on: bool) -> None:
        self._lab.sample(on=on)

    @property
    def zero(self) -> float:
        """Where on the monotonic clock the recording's time begins."""
        return time.monotonic() - self._lab.session.now()

    def see(self, ticks: int = 3) -> None:
        """Wait until so many samples were taken from now on."""
        for _ in range(ticks):
            self._lab.mark(texts=False)
            time.sleep(REAL.period)

    def history(self) -> History:
        """The recording ends here. The trace must be believed: what is not is a fact that simctl gets wrong."""
        self._lab.mark("end", texts=False)
        self._lab.finish("done")
        self._lab.check()
        history = build_history(self.recording())
        assert history.exact, history.notes
        return history

    def recording(self) -> list[Event]:
        """All lines, after `history`."""
        return list(read_events(self._events))

    def lines(self, *kinds: str) -> list[Event]:
        """Lines of some kinds, those of the trace as they are understood."""
        lines = self.recording()
        nodes = {side.address: side.name for side in (self.client, self.server)}
        others = (line for line in lines if line["ev"] not in KINDS)
        return [line for line in (*understood(lines, nodes.get), *others) if line["ev"] in kinds]

    def close(self) -> None:
        self.client.close()
        self.server.close()


@contextmanager
def two_nodes(folder: Path) -> Iterator[TwoNodes]:
    """The lab is up, wired and recorded into `folder`."""
    compose = folder / "compose.yaml"
    compose.write_text(COMPOSE)
    kinds = load_kinds()
    topology = load_topology(compose, {}, kinds=kinds)
    files = LabFolder(folder / "events.jsonl", folder / "logs", folder / "ss")
    with Lab(topology, NetnsRuntime(kinds), kinds, files) as lab:
        lab.sample(on=True)
        lab.mark("start", texts=False)
        nodes = TwoNodes(lab, files.events)
        try:
            yield nodes
        finally:
            nodes.close()


def states(end: Socket | None) -> list[str]:
    """The states that an end went through."""
    assert end is not None
    return [interval.state.value for interval in end.intervals]


def only(history: History) -> Connection:
    (connection,) = history.connections
    return connection


def close_by_client(client: socket.socket, server: socket.socket) -> None:
    """The client closes first, and the server when it has read the end of file."""
    client.close()
    assert server.recv(1) == b""
    server.close()


def time_wait_on_client(nodes: TwoNodes) -> int:
    """A connection that the client closed first; returns its port there."""
    client, server = nodes.connected()
    port: int = client.getsockname()[1]
    client.close()
    server.close()
    nodes.client.await_states("TIME_WAIT")
    nodes.server.await_states()
    return port


def assassinate(nodes: TwoNodes, port: int) -> socket.socket:
    """RFC 1337: what the server sends makes the TIME_WAIT say ACK, and the server answers that with a RST.

    Here it is a SYN from the same address pair, in the other direction, which nobody there listens for."""
    intruder = nodes.server.tcp()
    intruder.bind((nodes.server.address, PORT))
    intruder.setblocking(False)
    intruder.connect_ex((nodes.client.address, port))
    return intruder
