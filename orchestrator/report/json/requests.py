"""What the report as JSON has of the requests of a run. Times are seconds since its start."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


@record
class RequestDurations(Data):
    """How long requests took from the call of the library to the answer or error, seconds. Percentiles are by nearest
    rank."""

    p50: float
    """Half of them took at most so long."""
    p95: float
    """95 of 100 took at most so long."""
    p99: float
    """99 of 100 took at most so long."""
    max: float
    """The longest."""


@record
class RequestCounts(Data):
    """What the requests of one client came to."""

    count: int
    """Requests that it finished, failed ones included."""
    answered: Mapping[str, int]
    """HTTP status -> how many."""
    errors: Mapping[str, int]
    """Name of the error -> how many."""
    repeated: Mapping[str, int]
    """Attempts that its library made again by itself, by the error that ended them: none is a request of its own."""
    durations: RequestDurations | None
    """How long they took; null where the client does not tell of each when it called its library."""


@record
class LoadDocument(Data):
    """How a client kept to a rate, as it reports itself."""

    node: str
    """The client."""
    step: str
    """The step that asked for the requests."""
    rate: float
    """Requests a second that were asked for."""
    asked: int
    """How many were asked for."""
    sent: int
    """How many were sent."""
    late: int
    """How many of them were sent more than 10 ms after their time."""
    lateness: float
    """The largest time that one was sent after its own, seconds."""
    seconds: float | None
    """From the time of the first until the last was sent; or null."""
