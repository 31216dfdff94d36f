"""Knobs about sockets are options of the program's own sockets, as the kernel has them: a second descriptor of each is
taken out of the program (pidfd_getfd) and asked."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from orchestrator.kinds.registry import kind
from orchestrator.system.resources import NODES
from tests.support.components import require_kinds
from tests.support.kindclient import client
from tests.support.kindserver import free_port, started
from tests.support.node_process import ORIGIN, PATIENCE, NodeProcess, Wire, server

_PIDFD_GETFD = 438
"""The same number on every machine that Linux 5.6 and newer runs on."""

NUMBERS = {
    "TCP_KEEPALIVE": "true",
    "TCP_KEEPALIVE_TIME": "70s",
    "TCP_KEEPALIVE_INTERVAL": "30s",
    "TCP_KEEPALIVE_PROBES": "4",
}
PROBED = {name: value for name, value in NUMBERS.items() if name != "TCP_KEEPALIVE"}
ALL = {**NUMBERS, "TCP_USER_TIMEOUT": "9500ms", "LINGER": "5s"}
PROBES = (1, 70, 30, 4)
FULL = ("raw", "requests", "urllib3", "httpx", "aiohttp-client", "libcurl", "go-client")
"""Clients that have every one of them."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="another process's descriptors are root's")


def options(sock: socket.socket) -> tuple[tuple[int, ...], int, tuple[int, int]]:
    """Keep-alive with its three numbers, TCP_USER_TIMEOUT in milliseconds, SO_LINGER."""
    tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    probing = (
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        *(sock.getsockopt(socket.IPPROTO_TCP, number) for number in tcp),
    )
    linger = struct.unpack("ii", sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
    return probing, sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT), (linger[0], linger[1])


@contextmanager
def socket_of(pid: int, port: int) -> Iterator[socket.socket]:
    """The program's established socket of which that is the local port; of it or of a child of it."""
    deadline = time.monotonic() + PATIENCE
    while (found := find_socket(pid, port)) is None:
        assert time.monotonic() < deadline, f"no socket of port {port}"
        time.sleep(0.05)
    with found:
        yield found


def find_socket(pid: int, port: int) -> socket.socket | None:
    # The program goes on meanwhile: a thread, a child or a descriptor that was just listed may be gone.
    with suppress(FileNotFoundError, ProcessLookupError):
        for process in family(pid):
            for found in sockets(process):
                if is_tcp(found) and local_port(found) == port:
                    return found
                found.close()
    return None


def sockets(pid: int) -> Iterator[socket.socket]:
    for descriptor in sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda path: int(path.name)):
        if (
            str(descriptor.readlink()).startswith("socket:")
            and (number := taken(pid, int(descriptor.name))) is not None
        ):
            yield socket.socket(fileno=number)


def family(pid: int) -> list[int]:
    """The process and all below it, whichever thread made them."""
    children = [
        child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [pid, *(one for child in children for one in family(int(child)))]


def taken(pid: int, descriptor: int) -> int | None:
    """A descriptor of ours of the same open file; None where the program has closed it since."""
    pidfd = os.pidfd_open(pid)
    try:
        number = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
        if number >= 0:
            return int(number)
        assert ctypes.get_errno() == errno.EBADF, os.strerror(ctypes.get_errno())
        return None
    finally:
        os.close(pidfd)


def is_tcp(sock: socket.socket) -> bool:
    return (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM) and sock.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ) == 0


def local_port(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def kept(process: NodeProcess, name: str, port: int) -> str:
    """Have a client open a connection and keep it; its own address."""
    session = {"id": 1, "session": "pool"}
    if name == "raw":
        process.send({**session, "do": "raw", "url": f"tcp://127.0.0.1:{port}", "actions": []})
        return str(process.next("raw")["local"])
    process.send({**session, "do": "request", "url": f"http://127.0.0.1:{port}/"})
    return str(process.next("request")["local"])


@pytest.mark.parametrize("name", FULL)
def test_all_of_them_are_set_on_a_client_s_socket(name: str) -> None:
    with server(ORIGIN) as (_, port), client(name, **ALL) as process:
        local = kept(process, name, port)
        with socket_of(process.process.pid, int(local.rpartition(":")[2])) as sock:
            assert options(sock) == (PROBES, 9500, (1, 5))


@pytest.mark.parametrize("name", [*FULL, "node-agent", "undici"])
def test_where_a_client_comes_from(name: str) -> None:
    port_too = "SOURCE_PORT" in kind(name).knobs
    own = free_port() if port_too else None
    knobs = {"SOURCE_ADDRESS": "127.0.0.2"} | ({"SOURCE_PORT": str(own)} if own else {})
    with server(ORIGIN) as (_, port), client(name, **knobs) as process:
        address, _, number = kept(process, name, port).rpartition(":")
        assert (address, int(number)) == ("127.0.0.2", own or int(number))


@pytest.mark.parametrize(("name", "idle"), [("node-agent", 70), ("undici", 70), ("curl", 70)])
def test_the_time_alone(name: str, idle: int) -> None:
    knobs = {"TCP_KEEPALIVE_TIME": "70s"} | ({"TCP_KEEPALIVE": "true"} if name == "undici" else {})
    with server(ORIGIN, FAULT="never-answer") as (origin, port), client(name, **knobs) as process:
        process.send({"id": 1, "do": "request", "session": "pool", "url": f"http://127.0.0.1:{port}/"})
        peer = origin.next("served")["peer"]
        with socket_of(process.process.pid, int(peer.rpartition(":")[2])) as sock:
            assert options(sock)[0][:2] == (1, idle)


@pytest.mark.parametrize(("name", "knobs", "expected"), [
    ("origin", ALL, (PROBES, 9500, (1, 5))),
    ("go", ALL, (PROBES, 9500, (1, 5))),
    ("nginx", NUMBERS, (PROBES, 0, (0, 0))),
    ("node", {"TCP_KEEPALIVE": "true", "TCP_KEEPALIVE_TIME": "70s"}, None),
    ("varnish", {**PROBED, "UPSTREAM": "127.0.0.1:9"}, (PROBES, 0, (0, 0))),
])  # fmt: skip
def test_a_server_s_connections(
    tmp_path: Path, name: str, knobs: dict[str, str], expected: tuple[object, ...] | None
) -> None:
    require_kinds(name)
    port = free_port()
    with started(name, tmp_path, HTTP_PORT=str(port), **knobs) as process, first_wire(process, port) as wire:
        wire.get("/")
        with socket_of(process.pid, port) as sock:
            found = options(sock)
            assert found == expected if expected else found[0][:2] == (1, 70)


def first_wire(process: subprocess.Popen[bytes], port: int) -> Wire:
    """A connection to a server, as soon as it listens."""
    deadline = time.monotonic() + 3 * PATIENCE  # Go may have to compile it first
    while True:
        try:
            return Wire(port)
        except ConnectionRefusedError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_linger_of_no_seconds_is_a_reset() -> None:
    with server(ORIGIN, LINGER="0s", KEEPALIVE_TIMEOUT="100ms") as (origin, port), Wire(port) as wire:
        with pytest.raises(ConnectionResetError):
            wire.read_end()
        assert origin.next("closed")["reason"] == "idle"


def test_both_go_programs_set_them_alike() -> None:
    assert (NODES / "go" / "sockopts.go").read_bytes() == (NODES / "go-client" / "sockopts.go").read_bytes()
