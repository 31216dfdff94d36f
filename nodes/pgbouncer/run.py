"""Becomes PgBouncer, with a configuration made from the knobs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import KnobError, Knobs
from users import not_as_root


def command(knobs: Knobs, folder: Path) -> list[str]:
    servers = knobs.endpoints("UPSTREAM")
    if len(servers) != 1:
        raise KnobError(f"UPSTREAM: expected one server, such as db:5432, not {len(servers)}")
    (host, port) = servers[0]
    settings = {
        "listen_addr": "0.0.0.0",
        "listen_port": knobs.port("PORT", 6432),
        "listen_backlog": knobs.number("BACKLOG", 128, at_least=1),
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": knobs.word("POOL_MODE", "session", "session", "transaction", "statement"),
        "default_pool_size": knobs.number("POOL_MAXSIZE", 20, at_least=1),
        "min_pool_size": knobs.number("POOL_MIN_SIZE", 0),
        "max_client_conn": knobs.number("MAX_CONNECTIONS", 100, at_least=1),
        "client_idle_timeout": knobs.whole_seconds("KEEPALIVE_TIMEOUT", 0, at_least=0),
        "server_idle_timeout": knobs.whole_seconds("UPSTREAM_KEEPALIVE_TIMEOUT", 600, at_least=0),
        "server_lifetime": knobs.whole_seconds("UPSTREAM_MAX_LIFETIME", 3600, at_least=0),
        "server_connect_timeout": knobs.whole_seconds("UPSTREAM_TIMEOUT", 15, at_least=0),
        "tcp_keepalive": int(knobs.truth("TCP_KEEPALIVE", True)),
    }
    configuration = folder / "pgbouncer.ini"
    lines = ["[databases]", f"* = host={host} port={port} user=postgres dbname=postgres", "[pgbouncer]"]
    configuration.write_text("\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items())]) + "\n")
    return not_as_root(["pgbouncer", str(configuration)], folder)


if __name__ == "__main__":
    native.main("pgbouncer", command, package="pgbouncer")
