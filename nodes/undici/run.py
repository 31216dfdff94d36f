"""Starts client.js; its argument is the options of undici's Agent and of its connector."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import Knobs

HERE = Path(__file__).resolve().parent
LIBRARIES = "/usr/share/nodejs"
"""Where Debian puts libraries of Node. Debian's Node looks there by itself, others do not."""


def command(knobs: Knobs, _: Path) -> list[str]:
    settings = {
        "agent": {
            "connections": knobs.number("POOL_MAXSIZE", 0) or None,
            "keepAliveTimeout": knobs.milliseconds("KEEPALIVE_EXPIRY", 4000),
            "keepAliveMaxTimeout": knobs.milliseconds("KEEPALIVE_MAX_EXPIRY", 600_000),
        },
        "connect": {"keepAlive": knobs.truth("TCP_KEEPALIVE", False)},
    }
    return ["node", str(HERE / "client.js"), json.dumps(settings)]


if __name__ == "__main__":
    native.main("undici", command, package="nodejs", environment=lambda: {"NODE_PATH": LIBRARIES})
