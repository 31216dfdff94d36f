"""Becomes tinyproxy, with a configuration made from the knobs. Its log tells of each connection and of its request."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import Knobs


def command(knobs: Knobs, folder: Path) -> list[str]:
    settings = {
        "Listen": "0.0.0.0",
        "Port": knobs.port("HTTP_PORT", 8080),
        "Timeout": knobs.whole_seconds("KEEPALIVE_TIMEOUT", 600),
        "MaxClients": knobs.number("MAX_CLIENTS", 100, at_least=1),
        "LogLevel": "Connect",
    }
    configuration = folder / "tinyproxy.conf"
    configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    os.dup2(2, 1)  # its log goes to standard output
    return ["tinyproxy", "-d", "-c", str(configuration)]


if __name__ == "__main__":
    native.main("tinyproxy", command, package="tinyproxy-bin")
