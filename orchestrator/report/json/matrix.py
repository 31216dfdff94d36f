"""The runs of a matrix as one JSON document. docs/matrix.md describes it."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.analysis.compare.matrix import Matrix
from orchestrator.analysis.hops import Hop, hops
from orchestrator.analysis.report import RunReport
from orchestrator.recording.verdict import Outcome
from orchestrator.report.json.verdicts import VerdictDocument
from orchestrator.report.json.verdicts import document as verdict_document
from orchestrator.report.words.notes import trouble
from orchestrator.text.jsondata import Data, Json, plain
from orchestrator.text.record import record

SCHEMA = 2

Counts = Mapping[Outcome, int]


@record
class HopDocument(Data):
    """What the connections of one client to one server came to."""

    client: str
    """The node that opened them."""
    server: str
    """The node that accepted them."""
    connections: int
    """How many."""
    first_closer: Mapping[str, int]
    """Who closed first -> how many."""
    by: Mapping[str, int]
    """With what -> how many."""
    idle_before_close: Mapping[str, tuple[float, ...]]
    """Who closed first -> how long each connection had been idle then, seconds."""
    keep_alive: Mapping[str, int]
    """The server's Keep-Alive header -> how many responses; `""` for none."""
    time_wait: Mapping[str, int]
    """Where TIME_WAIT landed -> how many."""
    answered: Mapping[str, int]
    """HTTP status -> how many."""
    errors: Mapping[str, int]
    repeated: int
    """Name of the error -> how many."""


@record
class CellDocument(Data):
    """One run of the matrix."""

    set: Mapping[str, str]
    """Variable -> value."""
    outcome: Outcome
    """How it ended."""
    expectations: Counts
    """How many expectations ended how."""
    hops: tuple[HopDocument, ...]
    """Client by server."""
    verdicts: tuple[VerdictDocument, ...]
    """One per expectation."""
    trouble: str
    """Why the run did not get to its end; empty when it did."""
    folder: str | None
    """The run's folder."""


@record
class CellNotRun(Data):
    """A cell that could not be run."""

    set: Mapping[str, str]
    """Variable -> value."""
    reason: str
    """Why, in one line."""


@record
class MatrixDocument(Data):
    """One scenario's runs, side by side."""

    schema: int
    """Version of this format."""
    scenario: str
    """Name of the scenario."""
    title: str
    """Its one line."""
    variables: tuple[str, ...]
    """What varies."""
    outcomes: Counts
    """How many runs ended how."""
    cells: tuple[CellDocument, ...]
    """One per run."""
    not_run: tuple[CellNotRun, ...]
    """Cells that could not be run."""


def to_json(matrix: Matrix) -> Json:
    """The document as plain data."""
    made: Json = plain(document(matrix), digits=6)
    return made


def document(matrix: Matrix) -> MatrixDocument:
    """The same as data."""
    return MatrixDocument(
        schema=SCHEMA,
        scenario=matrix.scenario,
        title=matrix.title,
        variables=matrix.variables,
        outcomes={outcome: sum(report.outcome is outcome for report in matrix.reports) for outcome in Outcome},
        cells=tuple(map(_cell, matrix.reports)),
        not_run=tuple(CellNotRun(broken.cell, broken.reason) for broken in matrix.broken),
    )


def _cell(report: RunReport) -> CellDocument:
    return CellDocument(
        set=report.cell,
        outcome=report.outcome,
        expectations={outcome: report.count(outcome) for outcome in Outcome},
        hops=tuple(map(hop_document, hops(report.history))),
        verdicts=tuple(map(verdict_document, report.verdicts)),
        trouble=trouble(report),
        folder=None if report.folder is None else str(report.folder),
    )


def hop_document(hop: Hop) -> HopDocument:
    """One hop as data."""
    return HopDocument(
        client=hop.client,
        server=hop.server,
        connections=hop.connections,
        first_closer=hop.first_closer,
        by={kind.upper(): count for kind, count in hop.by.items()},
        idle_before_close={closer: tuple(idle) for closer, idle in hop.idle.items()},
        keep_alive=hop.advertised,
        time_wait=hop.time_wait,
        answered=hop.answered,
        errors=hop.errors,
        repeated=hop.repeated,
    )
