"""Becomes MariaDB's server, on an empty data directory.

Without tables of users (--skip-grant-tables) there is nothing that would have to be made at the first start, and nobody
needs a password.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import Knobs


def command(knobs: Knobs, folder: Path) -> list[str]:
    data = folder / "data"
    data.mkdir(mode=0o700)
    settings = {
        "bind-address": "0.0.0.0",
        "port": knobs.port("PORT", 3306),
        "wait-timeout": knobs.whole_seconds("KEEPALIVE_TIMEOUT", 28_800, at_most=31_536_000),
        "max-connections": knobs.number("MAX_CONNECTIONS", 151, at_least=10, at_most=100_000),
        "back-log": knobs.number("BACKLOG", 80, at_least=1, at_most=65_535),
        "datadir": data,
        "socket": folder / "server.sock",
        "pid-file": folder / "server.pid",
        # A node is small, has no disk and keeps nothing.
        "key-buffer-size": "64K",
        "aria-pagecache-buffer-size": "256K",
    }
    flags = ("skip-grant-tables", "skip-innodb", "skip-name-resolve", "skip-log-bin")
    words = [*(f"--{flag}" for flag in flags), *(f"--{name}={value}" for name, value in settings.items())]
    # --user=root: it takes root for an oversight otherwise.
    return ["mariadbd", "--no-defaults", "--user=root", "--default-storage-engine=Aria", *words]


if __name__ == "__main__":
    native.main("mariadb", command, package="mariadb-server-core")
