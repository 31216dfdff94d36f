"""Starts the client in main.go. Go writes durations as it does: 5000000us."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import golang
import native
from knobs import Knobs
from socketoptions import Keepalive, SocketOptions, read_client_options

HERE = Path(__file__).resolve().parent


def command(knobs: Knobs, _: Path) -> list[str]:
    size = knobs.number("POOL_MAXSIZE", 2, at_least=1)
    flags = {
        "max-idle": str(size),
        "max-conns": str(size if knobs.truth("POOL_BLOCK", False) else 0),
        "idle-timeout": f"{round(knobs.duration('KEEPALIVE_EXPIRY', 90) * 1e6)}us",
    }
    options = read_client_options(knobs, keepalive=True)
    # Go would set its own numbers after ours.
    flags["tcp-keepalive"] = "30s" if options.keepalive == Keepalive(True) else "-1s"
    if options != SocketOptions(Keepalive(True)):
        flags["sockopts"] = options.numbers()
    if options.source is not None:
        address, port = options.source
        flags["source"] = f"{socket.gethostbyname(address) if address else '0.0.0.0'}:{port}"
    return [str(golang.program(HERE)), *(f"-{name}={value}" for name, value in flags.items())]


if __name__ == "__main__":
    native.main("go-client", command, package="golang-go")
