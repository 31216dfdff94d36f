"""Why a fact cannot be decided: what the recording does not tell. One class for each cause, as in causes.py.

Times are seconds of the run. `at` is the instant that decided, where one did.
"""

from __future__ import annotations

from typing import Literal

from orchestrator.recording.quantities import Instant
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


@record(kw_only=True)
class BetweenSamples(Data):
    """It may have changed between two samples, and the instant that decides lies between them."""

    kind: Literal["between_samples"] = "between_samples"
    at: Instant
    """The instant that decided."""
    after: float
    """The sample before it."""
    before: float
    """The sample after it."""


@record(kw_only=True)
class OwnerUnknown(Data):
    """`where` asks for an owner, and that of some sockets is not known."""

    kind: Literal["owner_unknown"] = "owner_unknown"
    at: Instant
    """The instant that decided."""


@record(kw_only=True)
class QueueUnknown(Data):
    """The queue of some sockets in the state is not known."""

    kind: Literal["queue_unknown"] = "queue_unknown"
    at: Instant
    """The instant that decided."""


@record(kw_only=True)
class HoldingUnknown(Data):
    """With `for`: it may have held for that long; it is not known to have."""

    kind: Literal["holding_unknown"] = "holding_unknown"
    wanted: float
    """How long it had to hold, seconds."""
    recording_ends: bool
    """Whether that is because the recording ends too early."""


@record(kw_only=True)
class SampledTooCoarsely(Data):
    """Far more time lies between two samples than was meant."""

    kind: Literal["sampled_too_coarsely"] = "sampled_too_coarsely"
    after: float
    """The first of the two samples."""
    before: float
    """The second."""
    period: float
    """Seconds that should lie between two."""
    follows_trace: bool
    """Whether fewer were meant while the trace shows nothing."""


@record(kw_only=True)
class SomeMayCount(Data):
    """Some may or may not have been inside of the window, or be of those that are counted."""

    kind: Literal["some_may_count"] = "some_may_count"
    count: int
    """How many."""


@record(kw_only=True)
class AddressUnknown(Data):
    """Some have no address that `where` could be compared with."""

    kind: Literal["address_unknown"] = "address_unknown"


@record(kw_only=True)
class DurationUnknown(Data):
    """Some states may have lasted less or more than `expected`."""

    kind: Literal["duration_unknown"] = "duration_unknown"


@record(kw_only=True)
class NotReported(Data):
    """The programs of the nodes do not report that."""

    kind: Literal["not_reported"] = "not_reported"
    nodes: tuple[str, ...]
    """The nodes."""
    what: Literal["requests", "served"]
    """A client's requests; what a server served and closed."""


@record(kw_only=True)
class NotFilterable(Data):
    """`where` asks for what the source of this fact does not tell."""

    kind: Literal["not_filterable"] = "not_filterable"
    node: str
    """The node."""
    source: Literal["program", "trace", "counter", "conntrack"]
    """What the program reports and segments of the trace have no `owner`; a kernel's counter has no parts at all, and
    of a conntrack table only numbers are recorded."""
    counter: str | None = None
    """Name of the counter."""


@record(kw_only=True)
class CounterUnread(Data):
    """A kernel counter was never read."""

    kind: Literal["counter_unread"] = "counter_unread"
    node: str
    """Whose kernel."""
    counter: str
    """Name of the counter."""


@record(kw_only=True)
class CounterBetweenReadings(Data):
    """A kernel counter rose between two readings, and an end of the window lies between them."""

    kind: Literal["counter_between_readings"] = "counter_between_readings"
    counter: str
    """Name of the counter."""
    start: float
    """Where the window starts."""
    end: float
    """Where the window ends."""


@record(kw_only=True)
class AnswersForOthers(Data):
    """The packet filter of a node answers in the name of others, and no counter tells of that."""

    kind: Literal["answers_for_others"] = "answers_for_others"
    node: str
    """The node."""


@record(kw_only=True)
class RequestsUntimed(Data):
    """Some requests do not tell when their library was called."""

    kind: Literal["requests_untimed"] = "requests_untimed"
    count: int
    """How many."""


@record(kw_only=True)
class ProbesUnseen(Data):
    """Keep-alive probes that the kernel counted may have gone unanswered unseen: samples lie a second or more apart, or
    the recording is an old one, which does not tell."""

    kind: Literal["probes_unseen"] = "probes_unseen"
    node: str
    """Who sent them."""


@record(kw_only=True)
class BytesUnseen(Data):
    """No sample tells how much went over some connections in the window, and no FIN of theirs does."""

    kind: Literal["bytes_unseen"] = "bytes_unseen"
    node: str
    """The node."""
    connections: int
    """How many connections; 0: those of sockets that no sample shows."""


@record(kw_only=True)
class ConntrackUnread(Data):
    """The conntrack table was not read at the instant that decides: it is read at named moments."""

    kind: Literal["conntrack_unread"] = "conntrack_unread"
    node: str
    """The NAT."""
    at: Instant
    """The instant that decided."""
