"""Starts the server in main.go. Go writes durations as it does: 5000000us."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import golang
import native
from knobs import Knobs
from socketoptions import Keepalive, SocketOptions, read_server_options

HERE = Path(__file__).resolve().parent


def command(knobs: Knobs, _: Path) -> list[str]:
    flags = {
        "port": str(knobs.port("HTTP_PORT", 8080)),
        "idle-timeout": f"{round(knobs.duration('KEEPALIVE_TIMEOUT', 0) * 1e6)}us",
        "keep-alives": "false" if knobs.one_request_each("KEEPALIVE_REQUESTS") else "true",
        "naive": "false" if knobs.truth("GRACEFUL", True) else "true",
        "grace": f"{knobs.milliseconds('GRACEFUL_TIMEOUT', 0, at_least=0)}ms",
    }
    options = read_server_options(knobs, keepalive=True)
    # Go would set its own numbers after ours.
    flags["tcp-keepalive"] = "0s" if options.keepalive == Keepalive(True) else "-1s"
    if options != SocketOptions(Keepalive(True)):
        flags["sockopts"] = options.numbers()
    return [str(golang.program(HERE)), *(f"-{name}={value}" for name, value in flags.items())]


if __name__ == "__main__":
    native.main("go", command, package="golang-go")
