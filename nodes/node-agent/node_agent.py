"""Starts client.js; its argument is the options of http.Agent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import Knobs

HERE = Path(__file__).resolve().parent


def command(knobs: Knobs, _: Path) -> list[str]:
    size = knobs.number("POOL_MAXSIZE", 256, at_least=1)
    options = {"maxFreeSockets": size}
    if knobs.truth("POOL_BLOCK", False):
        options["maxSockets"] = size
    if expiry := knobs.milliseconds("KEEPALIVE_EXPIRY", 0, at_least=0):
        options["timeout"] = expiry
    return ["node", str(HERE / "client.js"), json.dumps(options)]


if __name__ == "__main__":
    native.main("node-agent", command, package="nodejs")
