"""Starts the server in main.go. Go writes durations as it does: 5000000us."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import golang
import native
from knobs import Knobs

HERE = Path(__file__).resolve().parent


def command(knobs: Knobs, _: Path) -> list[str]:
    flags = {
        "port": str(knobs.port("HTTP_PORT", 8080)),
        "idle-timeout": f"{round(knobs.duration('KEEPALIVE_TIMEOUT', 0) * 1e6)}us",
        "keep-alives": "false" if knobs.one_request_each("KEEPALIVE_REQUESTS") else "true",
        "tcp-keepalive": "0s" if knobs.truth("TCP_KEEPALIVE", True) else "-1s",
    }
    return [str(golang.program(HERE)), *(f"-{name}={value}" for name, value in flags.items())]


if __name__ == "__main__":
    native.main("go", command, package="golang-go")
