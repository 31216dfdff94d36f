"""Facts about the sockets of a node, from its socket table: how many are in a state, their queues, how long it lasts.

Names of states are those of RFC 9293 as `ss` and the kernel spell them.
"""

from __future__ import annotations

from orchestrator.scenario.facts.fact import STATES, ByState, DurationByState, Fact, FactKind
from orchestrator.tcp.states import GAUGE_STATES

FACTS = (
    *(Fact(state.value, FactKind.GAUGE, f"sockets in {state.value}", "socket") for state in GAUGE_STATES),
    Fact("others", FactKind.GAUGE, "sockets in every state that is not named here, LISTEN excluded", "socket"),
    Fact(
        "recv_q",
        FactKind.QUEUE,
        "Recv-Q of every socket in the state, bytes; in CLOSE_WAIT the unread FIN counts 1",
        "byte",
        ByState,
        keys=STATES,
    ),
    Fact(
        "send_q",
        FactKind.QUEUE,
        "Send-Q of every socket in the state, bytes not yet acknowledged",
        "byte",
        ByState,
        keys=STATES,
    ),
    Fact(
        "lasts",
        FactKind.DURATION,
        "how long each time in the state lasted, of those that ended",
        "second",
        DurationByState,
        keys=STATES,
    ),
)
