"""The table of named moments x nodes x states, in the widest form that fits the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.analysis.services import services
from orchestrator.analysis.states import READING_ORDER, Count, count_states, moments_by_instant, recv_q
from orchestrator.history.index import Index
from orchestrator.history.model import History
from orchestrator.report.text.terminal import INDENT, put
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record
from orchestrator.text.safe import visible

_GAP = 2


@record
class StateCell:
    """A count of sockets, `2` or `2..3`, `?` where the node was not sampled; and a note in brackets."""

    count: str
    note: str = ""

    def __str__(self) -> str:
        return self.count + self.note


@record
class StateRow:
    """One node, or several replicas that show the same: `client x100`. Cells are empty where there is no socket."""

    node: str
    cells: Mapping[TcpState, StateCell]


@record
class Instant:
    t: float
    names: list[str]
    rows: list[StateRow]


def print_moments(history: History, console: Console, *, listening: bool) -> None:
    """Print what every node had at every named moment; `listening` adds LISTEN."""
    states = [state for state in READING_ORDER if listening or state is not TcpState.LISTEN]
    index = Index(history)
    instants = [
        Instant(t, [visible(name) for name in names], _rows(index, t, states))
        for t, names in moments_by_instant(history)
    ]
    used = {state for instant in instants for row in instant.rows for state in row.cells}
    shown = [state for state in states if state in used]
    if not shown:
        if instants:
            put(console, Text("No socket was seen at any named moment."), indent=INDENT)
        return
    for stacked in (False, True):
        table, width = _table(instants, shown, stacked=stacked)
        if width <= console.width - INDENT:
            put(console, table, indent=INDENT)
            return
    _print_list(instants, shown, console)


def _rows(index: Index, t: float, states: Sequence[TcpState]) -> list[StateRow]:
    service = services(index.history)
    alike: dict[tuple[str, tuple[tuple[TcpState, StateCell], ...]], list[str]] = {}
    for node in index.history.nodes:
        cells = tuple(_cells(index, node, t, states))
        alike.setdefault((service.get(node, node), cells), []).append(node)
    return [
        StateRow(visible(nodes[0] if len(nodes) == 1 else f"{name} x{len(nodes)}"), dict(cells))
        for (name, cells), nodes in alike.items()
    ]


def _cells(index: Index, node: str, t: float, states: Sequence[TcpState]) -> Iterator[tuple[TcpState, StateCell]]:
    counts = count_states(index, node, t)
    sampled = t not in index.history.missed.get(node, ())
    for state in states:
        if state in counts:
            yield state, StateCell(str(counts[state]), _unread(index, node, state, t))
        elif not sampled:
            yield state, StateCell("?")


def _unread(index: Index, node: str, state: TcpState, t: float) -> str:
    """In CLOSE_WAIT Recv-Q tells why: 1 the program has not read the end, 0 it read it and did not close."""
    queue: Count | None = recv_q(index, node, state, t) if state is TcpState.CLOSE_WAIT else None
    return f" (Recv-Q {queue})" if queue else ""


def _table(instants: Sequence[Instant], states: Sequence[TcpState], *, stacked: bool) -> tuple[Table, int]:
    """The table and the columns of the terminal that it takes. `stacked`: names of one instant below each other."""
    lines: list[list[str]] = [["s", "moment", "node", *states]]
    for instant in instants:
        names = " =\n".join(instant.names) if stacked else " = ".join(instant.names)
        lines.append(
            [
                f"{instant.t:.2f}",
                names,
                "\n".join(row.node for row in instant.rows),
                *("\n".join(str(row.cells.get(state, ".")) for row in instant.rows) for state in states),
            ]
        )
    table = Table(box=None, show_header=True, header_style="dim", padding=(0, _GAP, 0, 0), pad_edge=False)
    width = 0
    for position, cells in enumerate(zip(*lines, strict=True)):
        widest = max(Text(part).cell_len for cell in cells for part in cell.split("\n"))
        width += widest + _GAP
        table.add_column(Text(cells[0]), justify="right" if position == 0 else "left", no_wrap=True, min_width=widest)
    for line in lines[1:]:
        table.add_row(*(Text(cell) for cell in line))
    return table, width - _GAP


def _print_list(instants: Sequence[Instant], states: Sequence[TcpState], console: Console) -> None:
    """For terminals that are too narrow for so many states: one line per moment, one per node."""
    for instant in instants:
        put(console, Text(f"{instant.t:.2f} s  {' = '.join(instant.names)}"), indent=INDENT)
        table = Table.grid(padding=(0, _GAP, 0, 0))
        table.add_column(overflow="fold", max_width=console.width // 3)
        table.add_column(overflow="fold")
        for row in instant.rows:
            shown = ", ".join(
                f"{row.cells[state].count} {state}{row.cells[state].note}" for state in states if state in row.cells
            )
            table.add_row(Text(row.node), Text(shown or "."))
        put(console, table, indent=2 * INDENT)
