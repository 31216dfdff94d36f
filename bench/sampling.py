"""One full sample of a node with 50 000 TIME_WAIT sockets, against `ss -tan`."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path

from bench.measure import Comparison, compare
from orchestrator.observe.sources.sockdiag import SockDiag
from orchestrator.system.linux import CLONE_NEWNET, unshare

SOCKETS = 50_000
_PER_PORT = 5_000


def against_ss(sockets: int = SOCKETS, rounds: int = 9) -> Comparison:
    """In a namespace of its own, well within the 60 s that TIME_WAIT lasts; ours also tells what changed."""
    results: list[Comparison] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(_measure(sockets, rounds))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _measure(sockets: int, rounds: int) -> Comparison:
    unshare(CLONE_NEWNET)
    Path("/proc/sys/net/ipv4/tcp_child_ehash_entries").write_text("16384")
    unshare(CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/tcp_tw_reuse").write_text("0")
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("20000 60999")
    Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("200000")
    for begun in range(0, sockets, _PER_PORT):
        _fill(min(_PER_PORT, sockets - begun))
    table = SockDiag()
    total = table.changes().total
    assert total >= sockets * 0.95, f"only {total} sockets stayed"
    return compare(
        f"full sample of a node, {sockets} TIME_WAIT",
        table.changes,
        "ss -tan",
        lambda: subprocess.run(["ss", "-tan"], stdout=subprocess.DEVNULL, check=True),
        goal=0.6,
        rounds=rounds,
    )


def _fill(count: int) -> None:
    """`count` connections to one port, each closed by the client: that many TIME_WAIT."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        for _ in range(count):
            with socket.create_connection(server.getsockname()):
                accepted, _ = server.accept()
            accepted.close()
