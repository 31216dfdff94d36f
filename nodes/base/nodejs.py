"""Options of Node's sockets, for its kinds: what net.Socket and net.Server call them."""

from __future__ import annotations

from typing import Any

from knobs import KnobError, Knobs
from socketoptions import read_source


def keepalive(knobs: Knobs) -> dict[str, Any]:
    """SO_KEEPALIVE. Node has a name for the first of its numbers alone. Raises KnobError."""
    on = knobs.truth("TCP_KEEPALIVE", False)
    if not knobs.given("TCP_KEEPALIVE_TIME"):
        return {"keepAlive": on}
    if not on:
        raise KnobError("TCP_KEEPALIVE_TIME: it is of no effect without TCP_KEEPALIVE=true")
    return {
        "keepAlive": on,
        "keepAliveInitialDelay": knobs.whole_seconds("TCP_KEEPALIVE_TIME", 0, at_most=32767) * 1000,
    }


def source(knobs: Knobs) -> dict[str, Any]:
    """Where a client's connections come from. Raises KnobError."""
    address, port = read_source(knobs) or ("", 0)
    return ({"localAddress": address} if address else {}) | ({"localPort": port} if port else {})
