"""What a fact is, as far as a scenario can know it: its name, its kind, its meaning, the value that it takes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, Tag

from orchestrator.scenario.fields import Text
from orchestrator.scenario.values import DurationRange, Range
from orchestrator.tcp.conntrack import ConntrackState
from orchestrator.tcp.counters import NAMES
from orchestrator.text.record import record


class FactKind(StrEnum):
    GAUGE = "gauge"
    """A number of sockets at an instant."""
    QUEUE = "queue"
    """A property of every socket in a state at an instant."""
    COUNTER = "counter"
    """Something that adds up over time: within a window, or from the start to a moment."""
    DURATION = "duration"
    """Something measured over every finished state interval."""


LEGAL_WHENS: dict[FactKind, tuple[str, ...]] = {
    FactKind.GAUGE: ("at", "always", "never", "eventually"),
    FactKind.QUEUE: ("at", "always", "eventually"),
    FactKind.COUNTER: ("over", "at"),
    FactKind.DURATION: ("over",),
}
"""Which *when* each kind allows. Without one, gauges and queues are read at `end`, the others over the whole run."""


State = Literal[
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "CLOSE_WAIT",
    "LAST_ACK",
    "CLOSING",
    "TIME_WAIT",
    "LISTEN",
]

ByName = Annotated[dict[str, Range], Field(min_length=1)]
ByStatus = Annotated[dict[Annotated[Text, Field(pattern=r"^[1-5][0-9][0-9]$")], Range], Field(min_length=1)]
ByState = Annotated[dict[State, Range], Field(min_length=1)]
DurationByState = Annotated[dict[State, DurationRange], Field(min_length=1)]


if TYPE_CHECKING:
    CounterName = str
else:
    CounterName = Literal[NAMES]
"""Those that a recording has."""

ByCounter = Annotated[dict[CounterName, Range], Field(min_length=1)]

Percentile = Literal["p50", "p95", "p99", "max"]
"""By nearest rank: of n durations in order the one with the number n * p / 100, rounded up."""

Direction = Literal["sent", "received"]
ByDirection = Annotated[dict[Direction, Range], Field(min_length=1)]

Probes = Literal["sent", "unanswered"]
ByProbes = Annotated[dict[Probes, Range], Field(min_length=1)]


def _form(value: object) -> str:
    return "by name" if isinstance(value, dict) else "all"


AllOrByName = Annotated[Annotated[Range, Tag("all")] | Annotated[ByName, Tag("by name")], Discriminator(_form)]
AllOrByConntrackState = Annotated[
    Annotated[Range, Tag("all")] | Annotated[dict[ConntrackState, Range], Field(min_length=1), Tag("by name")],
    Discriminator(_form),
]
EachOrByPercentile = Annotated[
    Annotated[DurationRange, Tag("all")]
    | Annotated[dict[Percentile, DurationRange], Field(min_length=1), Tag("by name")],
    Discriminator(_form),
]


@record
class Keys:
    """What the keys of a fact's mapping are, where only some words are allowed."""

    word: str
    """What one of them is: `state`."""
    names: tuple[str, ...]


STATES = Keys("state", get_args(State))
COUNTERS = Keys("counter", NAMES)
PERCENTILES = Keys("percentile", get_args(Percentile))
DIRECTIONS = Keys("direction", get_args(Direction))
PROBES = Keys("kind of probes", get_args(Probes))
CONNTRACK_STATES = Keys("state of an entry", get_args(ConntrackState))


@record
class Fact:
    """One fact that an expectation can name. judge/facts/ says how it is evaluated."""

    name: str
    kind: FactKind
    meaning: str
    """One line for the reference page and the JSON Schema."""
    unit: str
    """What it counts or measures, in the singular: `socket`, `request`, `second`."""
    value: Any = Range
    """The type of its value in a scenario, for pydantic: one range, or ranges by state or by name."""
    reported: bool = False
    """Whether the program of a server reports it, which not all kinds do."""
    roles: tuple[str, ...] = ()
    """Roles of the nodes that report it; empty: the kernel of every node tells it."""
    keys: Keys | None = None
    """Of a value that is a mapping with keys of a closed set."""
