"""The facts that an expectation can name, and what kind each is. The kind decides which *when* is legal.

Names of states are those of RFC 9293 as `ss` and the kernel spell them. This table is the one source for the
model, the JSON Schema, the reference page and the judge.
"""

from __future__ import annotations

from enum import StrEnum

from orchestrator.tcp.states import GAUGE_STATES


class FactKind(StrEnum):
    GAUGE = "gauge"
    """A number of sockets at an instant."""
    QUEUE = "queue"
    """A property of every socket in a state at an instant."""
    COUNTER = "counter"
    """Something that adds up over time: within a window, or from the start to a moment."""
    DURATION = "duration"
    """Something measured over every finished stay."""


LEGAL_WHENS: dict[FactKind, tuple[str, ...]] = {
    FactKind.GAUGE: ("at", "always", "never", "eventually"),
    FactKind.QUEUE: ("at", "always", "eventually"),
    FactKind.COUNTER: ("over", "at"),
    FactKind.DURATION: ("over",),
}
"""Which *when* each kind allows. Without one, gauges and queues are read at `end`, the others over the whole run."""


FACTS: dict[str, tuple[FactKind, str]] = {
    **{state.value: (FactKind.GAUGE, f"sockets in {state.value}") for state in GAUGE_STATES},
    "others": (FactKind.GAUGE, "sockets in every state that is not named here, LISTEN excluded"),
    "recv_q": (FactKind.QUEUE, "Recv-Q of every socket in the state, bytes; in CLOSE_WAIT the unread FIN counts 1"),
    "send_q": (FactKind.QUEUE, "Send-Q of every socket in the state, bytes not yet acknowledged"),
    "connections": (FactKind.COUNTER, "connections that this node opened or accepted"),
    "requests": (FactKind.COUNTER, "requests that this client finished, failed ones included"),
    "errors": (FactKind.COUNTER, "requests that failed on this client; or by name of the error"),
    "statuses": (FactKind.COUNTER, "responses that this client got, by their HTTP status"),
    "served": (FactKind.COUNTER, "requests that this server executed"),
    "closed_by": (FactKind.COUNTER, "connections that this server closed, by its reason"),
    "first_fin": (FactKind.COUNTER, "connections of which this node sent the first FIN or RST"),
    "resets": (FactKind.COUNTER, "RST segments that this node sent"),
    "retransmits": (FactKind.COUNTER, "segments that this node sent again"),
    "requests_per_connection": (FactKind.COUNTER, "requests that each of this client's connections carried"),
    "lasts": (FactKind.DURATION, "how long every finished stay in the state lasted"),
}


FACT_ROLES: dict[str, tuple[str, ...]] = {
    "requests": ("client",),
    "errors": ("client",),
    "statuses": ("client",),
    "requests_per_connection": ("client",),
    "served": ("server", "proxy"),
    "closed_by": ("server", "proxy"),
}
"""Facts that only nodes of these roles report; the kernel of every node tells the others."""
