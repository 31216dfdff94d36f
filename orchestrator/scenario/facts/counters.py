"""Facts that add up over time: connections, requests, segments."""

from __future__ import annotations

from orchestrator.scenario.facts.fact import AllOrByName, ByName, ByStatus, Fact, FactKind

_COUNTER = FactKind.COUNTER
_CLIENTS = ("client",)
_SERVERS = ("server", "proxy")

FACTS = (
    Fact("connections", _COUNTER, "connections that this node opened or accepted", "connection"),
    Fact(
        "requests",
        _COUNTER,
        "requests that this client finished, failed ones included, each once however often its library tried",
        "request",
        roles=_CLIENTS,
    ),
    Fact(
        "errors",
        _COUNTER,
        "requests that failed on this client; or by name of the error",
        "error",
        AllOrByName,
        roles=_CLIENTS,
    ),
    Fact(
        "repeated",
        _COUNTER,
        "attempts without a response that this client's library repeated by itself; or by name of the error",
        "attempt",
        AllOrByName,
        roles=_CLIENTS,
    ),
    Fact(
        "statuses",
        _COUNTER,
        "responses that this client got, by their HTTP status",
        "response",
        ByStatus,
        roles=_CLIENTS,
    ),
    Fact(
        "raw",
        _COUNTER,
        "exchanges of steps `raw` that this client finished; or by how: `done`, or the name of the error that ended it",
        "exchange",
        AllOrByName,
        roles=_CLIENTS,
    ),
    Fact("served", _COUNTER, "requests that this server executed", "request", roles=_SERVERS, reported=True),
    Fact(
        "closed_by",
        _COUNTER,
        "connections that this server closed, by its reason",
        "connection",
        ByName,
        reported=True,
        roles=_SERVERS,
    ),
    Fact(
        "first_close",
        _COUNTER,
        "connections that this node's program closed first, whenever its FIN left",
        "connection",
    ),
    Fact("first_fin", _COUNTER, "connections of which this node sent the first FIN or RST", "connection"),
    Fact("resets", _COUNTER, "RST segments that this node sent", "segment"),
    Fact("retransmits", _COUNTER, "segments that this node sent again", "segment"),
    Fact(
        "requests_per_connection",
        _COUNTER,
        "requests that each of this client's connections carried",
        "request",
        roles=_CLIENTS,
    ),
)
