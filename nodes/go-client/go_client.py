"""Starts the client in main.go. Go writes durations as it does: 5000000us."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import golang
import native
from knobs import Knobs

HERE = Path(__file__).resolve().parent


def command(knobs: Knobs, _: Path) -> list[str]:
    size = knobs.number("POOL_MAXSIZE", 2, at_least=1)
    flags = {
        "max-idle": str(size),
        "max-conns": str(size if knobs.truth("POOL_BLOCK", False) else 0),
        "idle-timeout": f"{round(knobs.duration('KEEPALIVE_EXPIRY', 90) * 1e6)}us",
        "tcp-keepalive": "30s" if knobs.truth("TCP_KEEPALIVE", True) else "-1s",
    }
    return [str(golang.program(HERE)), *(f"-{name}={value}" for name, value in flags.items())]


if __name__ == "__main__":
    native.main("go-client", command, package="golang-go")
