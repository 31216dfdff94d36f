"""Starts Caddy with a JSON configuration: static files, or with UPSTREAM a reverse proxy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from documents import static_files
from knobs import Knobs

Json = dict[str, Any]


def command(knobs: Knobs, folder: Path) -> list[str]:
    handlers = [proxy(knobs)] if knobs.given("UPSTREAM") else [files(folder)]
    if knobs.one_request_each("KEEPALIVE_REQUESTS"):
        handlers.insert(0, {"handler": "headers", "response": {"set": {"Connection": ["close"]}}})
    server = {
        "listen": [f"tcp4/0.0.0.0:{knobs.port('HTTP_PORT', 8080)}"],
        "idle_timeout": f"{knobs.milliseconds('KEEPALIVE_TIMEOUT', 300_000)}ms",
        "automatic_https": {"disable": True},
        "routes": [{"handle": handlers}],
    }
    configuration = folder / "caddy.json"
    configuration.write_text(
        json.dumps(
            {
                "admin": {"listen": f"unix/{folder}/admin.sock", "config": {"persist": False}},
                "storage": {"module": "file_system", "root": str(folder / "storage")},
                "apps": {"http": {"servers": {"node": server}, **grace(knobs)}},
            }
        )
    )
    return ["caddy", "run", "--config", str(configuration)]


def reload(folder: Path) -> list[str]:
    """By its admin endpoint, a Unix socket: what is in no table of TCP."""
    return ["caddy", "reload", "--config", str(folder / "caddy.json")]


def grace(knobs: Knobs) -> Json:
    if not knobs.given("GRACEFUL_TIMEOUT"):
        return {}
    return {"grace_period": f"{knobs.milliseconds('GRACEFUL_TIMEOUT', 0)}ms"}


def files(folder: Path) -> Json:
    return {"handler": "file_server", "root": str(static_files(folder))}


def proxy(knobs: Knobs) -> Json:
    """Without `read_timeout`: it counts while a connection is idle, too, and would close what the pool keeps."""
    transport: Json = {"protocol": "http"}
    if knobs.given("UPSTREAM_TIMEOUT"):
        limit = f"{knobs.milliseconds('UPSTREAM_TIMEOUT', 0)}ms"
        transport |= {"dial_timeout": limit, "response_header_timeout": limit}
    kept = knobs.number("UPSTREAM_KEEPALIVE", 32)
    transport["keep_alive"] = {
        "enabled": kept > 0,
        "max_idle_conns_per_host": kept,
        "idle_timeout": f"{knobs.milliseconds('UPSTREAM_KEEPALIVE_TIMEOUT', 120_000)}ms",
    }
    dials = [{"dial": f"{host}:{port}"} for host, port in knobs.endpoints("UPSTREAM")]
    return {"handler": "reverse_proxy", "upstreams": dials, "transport": transport}


if __name__ == "__main__":
    native.main("caddy", command, package="caddy", reload=reload)
