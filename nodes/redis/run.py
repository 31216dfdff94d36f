"""Becomes Redis, with a configuration made from the knobs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import Knobs


def command(knobs: Knobs, folder: Path) -> list[str]:
    settings = {
        "bind": "0.0.0.0",
        "port": knobs.port("PORT", 6379),
        "timeout": knobs.whole_seconds("KEEPALIVE_TIMEOUT", 0, at_least=0),
        "maxclients": knobs.number("MAX_CONNECTIONS", 10000, at_least=1),
        "tcp-backlog": knobs.number("BACKLOG", 511, at_least=1),
        "tcp-keepalive": knobs.whole_seconds("TCP_KEEPALIVE_TIME", 300, at_least=0),
        "protected-mode": "no",  # or only the node itself could connect
        "save": '""',
        "dir": folder,
    }
    path = folder / "redis.conf"
    path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    os.dup2(2, 1)  # its log goes to standard output
    return ["redis-server", str(path)]


if __name__ == "__main__":
    native.main("redis", command, package="redis-server")
