"""Starts client.js; its argument is the options of undici's Agent and of its connector."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
import nodejs
from knobs import Knobs

HERE = Path(__file__).resolve().parent
LIBRARIES = "/usr/share/nodejs"
"""Where Debian puts libraries of Node. Debian's Node looks there by itself, others do not."""


def command(knobs: Knobs, _: Path) -> list[str]:
    source = nodejs.source(knobs)
    settings = {
        "agent": {
            "connections": knobs.number("POOL_MAXSIZE", 0) or None,
            "keepAliveTimeout": knobs.milliseconds("KEEPALIVE_EXPIRY", 4000),
            "keepAliveMaxTimeout": knobs.milliseconds("KEEPALIVE_MAX_EXPIRY", 600_000),
        },
        "local": {
            name: value for name, value in source.items() if name == "localAddress"
        },  # undici hands it over itself
        "connect": {
            **nodejs.keepalive(knobs),
            **{name: value for name, value in source.items() if name == "localPort"},
        },
    }
    return ["node", str(HERE / "client.js"), json.dumps(settings)]


if __name__ == "__main__":
    native.main("undici", command, package="nodejs", environment=lambda: {"NODE_PATH": LIBRARIES})
