"""A client whose connections reach the server through the NAT `proxy`: what is recorded of them."""

from __future__ import annotations

from orchestrator.recording.events import Event
from tests.support.builders import HOSTS, request

CLIENT, NAT, SERVER = HOSTS["client"], HOSTS["proxy"], HOSTS["server"]

PAIR = "client:41000 > proxy:8080 #c | {}\nserver:8080 > proxy:41000 #s | {}"
OPEN = PAIR.format("- E E E E", "- E E E E")


def flow(
    t: float,
    port: int = 41000,
    onward: int = 41000,
    *,
    what: str = "new",
    after: float | None = None,
    **addresses: str,
) -> Event:
    """An entry of the NAT `proxy`: client:port -> proxy:8080 leaves as proxy:onward -> server:8080."""
    line = {"t": t, "ev": "nat", "node": "proxy", "what": what, "after": t - 0.5 if after is None else after,
            "source": f"{CLIENT}:{port}", "destination": f"{NAT}:8080",
            "new_source": f"{NAT}:{onward}", "new_destination": f"{SERVER}:8080"}  # fmt: skip
    return line | addresses


def served(t: float, peer: str) -> Event:
    return {"t": t, "ev": "served", "node": "server", "local": f"{SERVER}:8080", "peer": peer, "method": "GET",
            "path": "/", "status": 200, "nth": 1}  # fmt: skip


def through_nat(t: float, **more: object) -> Event:
    return request(t) | {"peer": f"{NAT}:8080", "url": "http://proxy:8080/"} | more
