"""Starts client.js; its argument is the options of http.Agent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
import nodejs
from knobs import Knobs

HERE = Path(__file__).resolve().parent


def command(knobs: Knobs, _: Path) -> list[str]:
    size = knobs.number("POOL_MAXSIZE", 256, at_least=1)
    options: dict[str, Any] = {"maxFreeSockets": size, **nodejs.source(knobs)}
    if knobs.given("TCP_KEEPALIVE_TIME"):  # an Agent that keeps connections has SO_KEEPALIVE on them
        options["keepAliveMsecs"] = knobs.whole_seconds("TCP_KEEPALIVE_TIME", 0, at_most=32767) * 1000
    if knobs.truth("POOL_BLOCK", False):
        options["maxSockets"] = size
    if expiry := knobs.milliseconds("KEEPALIVE_EXPIRY", 0, at_least=0):
        options["timeout"] = expiry
    return ["node", str(HERE / "client.js"), json.dumps(options)]


if __name__ == "__main__":
    native.main("node-agent", command, package="nodejs")
