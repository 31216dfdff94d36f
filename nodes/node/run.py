"""Starts server.js; its argument is what http.createServer and server.listen are given."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
import nodejs
from knobs import Knobs

HERE = Path(__file__).resolve().parent


def command(knobs: Knobs, _: Path) -> list[str]:
    settings = {
        "server": {
            "keepAliveTimeout": knobs.milliseconds("KEEPALIVE_TIMEOUT", 5000, at_least=0),
            **nodejs.keepalive(knobs),
        },
        "properties": {
            name: knobs.milliseconds(knob, 0, at_least=0)
            for name, knob in (("timeout", "SERVER_TIMEOUT"), ("headersTimeout", "HEADERS_TIMEOUT"))
            if knobs.given(knob)
        },
        "graceful": knobs.truth("GRACEFUL", True),
        "grace": knobs.milliseconds("GRACEFUL_TIMEOUT", 0, at_least=0),
        "maxRequestsPerSocket": knobs.number("KEEPALIVE_REQUESTS", 0),
        "listen": {
            "host": "0.0.0.0",
            "port": knobs.port("HTTP_PORT", 8080),
            "backlog": knobs.number("BACKLOG", 511, at_least=1),
        },
    }
    return ["node", str(HERE / "server.js"), json.dumps(settings)]


if __name__ == "__main__":
    native.main("node", command, package="nodejs")
