"""Small pieces of terminal output. Data goes into `Text` objects, never into markup strings, and through `visible`."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.recording.verdict import Outcome
from orchestrator.text.safe import visible

STYLES = {Outcome.PASS: "green", Outcome.UNKNOWN: "yellow", Outcome.FAIL: "red"}
"""The only colours of a report."""

ORDER = [Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS]
"""How a reader wants to meet outcomes."""

INDENT = 2
_GAP = 2
_NAME = 24
_NARROWEST = 14
"""Terminal columns: between two columns of a table, the longest that is kept on one line, the least for what wraps."""


def text(data: object, style: str = "") -> Text:
    """Data as it came, made visible."""
    return Text(visible(data), style=style)


def label(outcome: Outcome, *, loud: bool = False) -> Text:
    """The outcome, in its colour."""
    style = STYLES[outcome]
    return Text(outcome.value.upper(), style=f"bold {style}") if loud else Text(outcome.value, style=style)


def label_width(outcomes: Iterable[Outcome]) -> int:
    """Terminal columns of the widest label."""
    return max((len(outcome.value) for outcome in outcomes), default=0)


def put(console: Console, what: RenderableType, *, indent: int = 0) -> None:
    """Print, wrapped to the terminal's width, indented, and without the spaces with which tables end their lines."""
    options = console.options.update(width=max(1, console.width - indent))
    for segments in console.render_lines(what, options, pad=False):
        line = Text(" " * indent)
        for segment in segments:
            line.append(segment.text, segment.style)
        line.rstrip()
        console.print(line, soft_wrap=True)


def lines(console: Console, sentences: Iterable[Text], *, indent: int = INDENT) -> None:
    """Sentences, one below the other; what is wrapped hangs two columns further in."""
    for sentence in sentences:
        width = max(1, console.width - indent)
        first, *rest = sentence.wrap(console, width) if sentence.cell_len > width else [sentence]
        put(console, first, indent=indent)
        if rest:
            remainder = sentence[len(first.plain) :]
            remainder = remainder[len(remainder.plain) - len(remainder.plain.lstrip()) :]
            put(console, remainder, indent=indent + 2)


def labelled(console: Console, rows: Iterable[tuple[Text, Text]], width: int) -> None:
    """Rows of a label in a column of `width` and a sentence; sentences wrap under themselves."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=width, no_wrap=True)
    table.add_column(overflow="fold")
    for first, sentence in rows:
        table.add_row(first, sentence)
    put(console, table)


def listing(width: int, headers: Sequence[str], rows: Sequence[Sequence[Text]], flexible: Sequence[str] = ()) -> Table:
    """A table without lines for `width` terminal columns. What is `flexible` wraps, and what is longer than a name
    should be; where even that does not fit, everything wraps."""
    pieces = [[_longest_piece(header), *map(_longest_piece, cells)] for header, cells in _by_column(headers, rows)]
    if sum(map(max, pieces)) + _GAP * (len(pieces) - 1) > width:
        return _as_list(headers, rows, flexible)
    columns = list(zip(*rows, strict=True))
    widest = [
        max(cell.cell_len for cell in (Text(header), *cells)) for header, cells in zip(headers, columns, strict=True)
    ]
    fixed = [size <= _NAME and header not in flexible for header, size in zip(headers, widest, strict=True)]
    needed = sum(size + _GAP if intervals else _NARROWEST for size, intervals in zip(widest, fixed, strict=True))
    table = Table(box=None, header_style="dim", padding=(0, _GAP, 0, 0), pad_edge=False)
    words = [_longest_word(header, cells) for header, cells in zip(headers, columns, strict=True)]
    widths = _between_words(words, widest, fixed, width)
    if None in widths:
        # Only in pieces of words does it fit.
        least = list(map(max, pieces))
        widths = _between_words(least, words, fixed, width)
        headers = [_folded(Text(header), size or 1).plain for header, size in zip(headers, widths, strict=True)]
        rows = [[_folded(cell, size or 1) for cell, size in zip(row, widths, strict=True)] for row in rows]
        fixed = [False] * len(headers)
    for header, intervals, size in zip(headers, fixed, widths, strict=True):
        table.add_column(Text(header), overflow="fold", no_wrap=intervals and needed <= width, width=size)
    for row in rows:
        table.add_row(*row)
    return table


def _between_words(
    words: Sequence[int], widest: Sequence[int], fixed: Sequence[bool], width: int
) -> Sequence[int | None]:
    """Widths of columns with which lines break between words only, as long as there is room for that; else the library
    decides. What is left goes to those first that should stay on one line."""
    left = width - sum(words) - _GAP * (len(words) - 1)
    if left < 0:
        return [None] * len(words)
    sizes: list[int | None] = list(words)
    for place in sorted(range(len(words)), key=lambda place: not fixed[place]):
        more = min(widest[place] - words[place], left)
        sizes[place] = words[place] + more
        left -= more
    return sizes


def _by_column(headers: Sequence[str], rows: Sequence[Sequence[Text]]) -> Iterable[tuple[str, list[str]]]:
    cells = zip(*rows, strict=True) if rows else ((),) * len(headers)
    return zip(headers, [[cell.plain for cell in column] for column in cells], strict=True)


def _pieces(word: str) -> list[str]:
    """Where a word may be broken: after an underscore."""
    return re.findall(r"[^_]*_+|[^_]+$", word)


def _longest_piece(cell: str) -> int:
    return max((cell_len(piece) for word in cell.split() for piece in _pieces(word)), default=0)


def _folded(cell: Text, width: int) -> Text:
    """The cell with its words broken after underscores, where they are longer than its column."""
    breaks: list[int] = []
    for word in re.finditer(r"\S+", cell.plain):
        used, at = 0, word.start()
        for piece in _pieces(word[0]):
            if used and used + cell_len(piece) > width:
                breaks.append(at)
                used = 0
            used += cell_len(piece)
            at += len(piece)
    return Text("\n").join(cell.divide(breaks)) if breaks else cell


def _as_list(headers: Sequence[str], rows: Sequence[Sequence[Text]], flexible: Sequence[str]) -> Table:
    """For terminals that are too narrow for a table: what does not wrap on a line, below it the rest with its names."""
    table = Table.grid()
    table.add_column(overflow="fold")
    for row in rows:
        cells = list(zip(headers, row, strict=True))
        lead = [cell for header, cell in cells if header not in flexible and cell.plain]
        rest = [Text(f"{header} ", "dim") + cell for header, cell in cells if header in flexible and cell.plain]
        table.add_row(Text("  ").join(lead))
        if rest:
            table.add_row(Padding(Text("; ").join(rest), (0, 0, 0, INDENT)))
    return table


def _longest_word(header: str, cells: Sequence[Text]) -> int:
    return max(len(word) for cell in (header, *(cell.plain for cell in cells)) for word in cell.split() or [""])


def command(console: Console, line: str, note: str = "", *, indent: int) -> None:
    """A command on a line of its own, never broken, so that it can be copied; the note only where it fits."""
    shown = Text(" " * indent) + text(line, "bold")
    if note and shown.cell_len + 3 + len(note) <= console.width:
        shown.append(f"   {note}", style="dim")
    console.print(shown, soft_wrap=True)


def shell_path(path: Path) -> str:
    """The path as a shell takes it, relative to the current directory when it lies under it."""
    whole = path.resolve()
    # Elsewhere, or where the current directory is gone, the whole path does.
    with contextlib.suppress(ValueError, OSError):
        whole = whole.relative_to(Path.cwd())
    return shlex.quote(str(whole))
