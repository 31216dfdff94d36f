"""Why a fact does not hold: one class for each cause, with what it speaks of. What the recording does not tell is in
doubts.py; `Reason` is any of both.

Times are seconds of the run. `at` is the instant that decided, where one did.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.recording.doubts import (
    AddressUnknown,
    AnswersForOthers,
    BetweenSamples,
    BytesUnseen,
    ConntrackUnread,
    CounterBetweenReadings,
    CounterUnread,
    DurationUnknown,
    HoldingUnknown,
    NotFilterable,
    NotReported,
    OwnerUnknown,
    ProbesUnseen,
    QueueUnknown,
    RequestsUntimed,
    SampledTooCoarsely,
    SomeMayCount,
)
from orchestrator.recording.quantities import Instant
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record

# -- it was asked of something that the recording does not have ----------------------------------------------------


@record(kw_only=True)
class NeverReached(Data):
    """The run ended before a moment that the expectation names."""

    kind: Literal["never_reached"] = "never_reached"
    moment: Instant
    """The moment."""
    run: str
    """How the run ended: `done`, `interrupted`, `failed`."""
    detail: str
    """More of that; empty where there is no more."""


@record(kw_only=True)
class EmptyWindow(Data):
    """The window's start turned out to be after its end."""

    kind: Literal["empty_window"] = "empty_window"
    start: Instant
    """Where it starts."""
    end: Instant
    """Where it ends."""


@record(kw_only=True)
class NoSuchNode(Data):
    """The recording has no node or service of that name."""

    kind: Literal["no_such_node"] = "no_such_node"
    node: str
    """The name."""
    nodes: tuple[str, ...]
    """The nodes that it has."""


@record(kw_only=True)
class NoSuchPeer(Data):
    """`where` names a peer that the recording has neither as a node nor as an address."""

    kind: Literal["no_such_peer"] = "no_such_peer"
    peer: str
    """As `where` names it."""


@record(kw_only=True)
class NoSuchOwner(Data):
    """`where` names a program that owned no socket of the run."""

    kind: Literal["no_such_owner"] = "no_such_owner"
    owner: str
    """As `where` names it."""
    owners: tuple[str, ...]
    """The programs that did own sockets, by the names that `ss` shows."""


@record(kw_only=True)
class NeverSampled(Data):
    """No sample shows all of the nodes."""

    kind: Literal["never_sampled"] = "never_sampled"
    nodes: tuple[str, ...]
    """The nodes."""


@record(kw_only=True)
class OutsideSamples(Data):
    """The instant that decides lies before the first sample of the nodes, or after the last."""

    kind: Literal["outside_samples"] = "outside_samples"
    at: Instant
    """The instant."""
    first: float
    """The first sample."""
    last: float
    """The last sample."""


@record(kw_only=True)
class WindowOutsideSamples(Data):
    """A part of the window was not observed."""

    kind: Literal["window_outside_samples"] = "window_outside_samples"
    start: float
    """Where the window starts."""
    end: float
    """Where the window ends."""
    first: float | None
    """The first sample; null when there is none."""
    last: float | None
    """The last sample; null when there is none."""


@record(kw_only=True)
class MatchedNothing(Data):
    """There was nothing that the fact speaks of, so it is neither true nor false."""

    kind: Literal["matched_nothing"] = "matched_nothing"
    of: Literal["socket", "state_interval", "request", "ended_request"]
    """What there was none of: a socket in the state, a state that ended in the window, a request that names its
    connection, a request that ended in the window."""
    at: Instant | None = None
    """The instant that decided; null for a window."""


# -- it is another amount than was expected -------------------------------------------------------------------------


@record(kw_only=True)
class OutOfRange(Data):
    """`actual` lies outside of `expected`."""

    kind: Literal["out_of_range"] = "out_of_range"
    at: Instant | None = None
    """The instant that decided; null for what adds up over a window."""


@record(kw_only=True)
class QueueOutOfRange(Data):
    """The queue of some sockets lies outside of `expected`."""

    kind: Literal["queue_out_of_range"] = "queue_out_of_range"
    at: Instant
    """The instant that decided."""
    sockets: int
    """How many sockets have a wrong queue."""
    least: int
    """The smallest wrong queue, bytes."""
    most: int
    """The largest wrong queue, bytes."""


@record(kw_only=True)
class SomeOutOfRange(Data):
    """Of several things that must all be in range some are not."""

    kind: Literal["some_out_of_range"] = "some_out_of_range"
    of: Literal["state_interval", "connection", "request"]
    """States that were left again and requests, by how long they lasted; connections, by how many requests they
    carried."""
    count: int
    """How many are out of range."""


@record(kw_only=True)
class HeldTooShort(Data):
    """With `for`: it held, but for a shorter time."""

    kind: Literal["held_too_short"] = "held_too_short"
    held: float
    """How long at most, seconds."""
    since: Instant
    """From when."""
    wanted: float
    """How long it had to hold, seconds."""


Reason = Annotated[
    NeverReached
    | EmptyWindow
    | NoSuchNode
    | NoSuchPeer
    | NoSuchOwner
    | NeverSampled
    | OutsideSamples
    | WindowOutsideSamples
    | MatchedNothing
    | OutOfRange
    | QueueOutOfRange
    | SomeOutOfRange
    | HeldTooShort
    | BetweenSamples
    | BytesUnseen
    | OwnerUnknown
    | ProbesUnseen
    | QueueUnknown
    | RequestsUntimed
    | HoldingUnknown
    | SampledTooCoarsely
    | SomeMayCount
    | AddressUnknown
    | DurationUnknown
    | NotReported
    | NotFilterable
    | CounterUnread
    | ConntrackUnread
    | CounterBetweenReadings
    | AnswersForOthers,
    Field(discriminator="kind"),
]

__all__ = [
    "AddressUnknown",
    "AnswersForOthers",
    "BetweenSamples",
    "BytesUnseen",
    "ConntrackUnread",
    "CounterBetweenReadings",
    "CounterUnread",
    "DurationUnknown",
    "EmptyWindow",
    "HeldTooShort",
    "HoldingUnknown",
    "MatchedNothing",
    "NeverReached",
    "NeverSampled",
    "NoSuchNode",
    "NoSuchOwner",
    "NoSuchPeer",
    "NotFilterable",
    "NotReported",
    "OutOfRange",
    "OutsideSamples",
    "OwnerUnknown",
    "ProbesUnseen",
    "QueueOutOfRange",
    "QueueUnknown",
    "Reason",
    "RequestsUntimed",
    "SampledTooCoarsely",
    "SomeMayCount",
    "SomeOutOfRange",
    "WindowOutsideSamples",
]
