"""Draws a ladder: time, the client's state and life line, what went between them, the server's life line and state.

The line of a life is heavy while the end is ESTABLISHED, light while it opens or closes, dotted in TIME_WAIT, and no
line at all when the socket is gone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from orchestrator.report.ladder import End, Head, Kind, Ladder, Row, Side
from orchestrator.report.ladderwords import TIME_WIDTH, short_count, time_between
from orchestrator.report.safe import visible
from orchestrator.scenario.facts import TcpState

_S = TcpState

NARROWEST = 64
WIDEST = 120
"""Terminal columns: a ladder is never narrower or wider, however the terminal is."""

_STATE = 11
_STATE_AND_QUEUE = 22
_ROOMY = 104
"""Columns of a state (ESTABLISHED), of one with its queue beside it, and from which width there is room for that."""

_PLAIN = Console(file=io.StringIO(), width=WIDEST)
"""What `Text.wrap` asks for; nothing is printed on it."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters of a drawing. The three of a line: ESTABLISHED, opening or closing, TIME_WAIT."""

    line: str
    pause: str
    out_right: str
    out_left: str
    unseen: str
    end: str
    dash: str
    right: str
    left: str
    cross: str
    step: str
    dots: str
    cut: str
    box: str
    """Corners from the upper left clockwise, horizontal, vertical, and where the line leaves the box."""


UNICODE = Glyphs("┃│┊", "┇┆┊", "┠├┊", "┨┤┊", "╎", "┴", "─", "►", "◄", "╳", "╌", "·", "…", "┌┐┘└─│┬")
ASCII = Glyphs("||:", "::.", "||:", "||:", ".", "+", "-", ">", "<", "X", "-", ".", "~", "++++-|+")


def can_draw(encoding: str) -> bool:
    """Whether box-drawing characters can be written in the encoding."""
    try:
        "".join(getattr(UNICODE, name) for name in UNICODE.__slots__).encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def draw(ladder: Ladder, width: int, *, ascii_only: bool = False) -> list[Text]:
    """The lines of the picture, none wider than `width` columns (NARROWEST at least), without spaces at their ends."""
    return list(_Picture(ladder, max(NARROWEST, min(width, WIDEST)), ascii_only=ascii_only).lines())


class _Picture:
    def __init__(self, ladder: Ladder, width: int, *, ascii_only: bool) -> None:
        self._ladder = ladder
        self._width = width
        self._ascii = ascii_only
        self._glyphs = ASCII if ascii_only else UNICODE
        self._roomy = width >= _ROOMY
        self._state = _STATE_AND_QUEUE if self._roomy else _STATE
        self._left = TIME_WIDTH + 2 + self._state + 1
        """Column of the client's line; the server's is `_middle` columns further right."""
        self._middle = width - self._left - 2 - 1 - self._state

    def lines(self) -> Iterator[Text]:
        yield from self._headline()
        yield Text()
        yield from self._heads()
        last_time = ""
        for row in self._ladder.rows:
            time = "" if row.kind is Kind.SILENCE else time_between(row.after, row.before)
            yield from self._row(row, "" if time == last_time else time)
            last_time = time or last_time
        if self._ladder.footnotes:
            yield Text()
        for note in self._ladder.footnotes:
            for part in Text(self._safe(note), style="dim").wrap(_PLAIN, self._width - 2):
                yield _stripped(Text("  ") + part)

    def _headline(self) -> Iterator[Text]:
        name = f"{self._ladder.name}  "
        sentence = Text(self._safe(self._ladder.headline), style="bold")
        for number, part in enumerate(sentence.wrap(_PLAIN, self._width - len(name))):
            yield _stripped(Text(name if number == 0 else " " * len(name)) + part)

    # -- the two heads ---------------------------------------------------------------------------------------------

    def _heads(self) -> Iterator[Text]:
        heads = {side: self._ladder.head(side) for side in Side}
        texts = {side: self._head_texts(head) for side, head in heads.items()}
        height = max(map(len, texts.values()))
        # Half of the middle each: the boxes never touch.
        inner = {side: min(max(map(cell_len, found)), self._middle - 6) for side, found in texts.items()}
        starts = {
            Side.CLIENT: max(0, self._left - (inner[Side.CLIENT] + 4) // 2),
            Side.SERVER: min(
                self._left + self._middle + 1 - (inner[Side.SERVER] + 4) // 2,
                self._width - inner[Side.SERVER] - 4,
            ),
        }
        overlap = starts[Side.CLIENT] + inner[Side.CLIENT] + 5 - starts[Side.SERVER]
        if overlap > 0:
            starts[Side.CLIENT] = max(0, starts[Side.CLIENT] - overlap)
            room = starts[Side.SERVER] - starts[Side.CLIENT] - 5
            inner[Side.CLIENT] = min(inner[Side.CLIENT], room)
        for number in range(-1, height + 1):
            line = Text()
            for side in Side:
                line.append(" " * (starts[side] - line.cell_len))
                line.append(self._box_line(side, number, height, inner[side], texts[side], starts[side]))
            if number == height:
                line = self._with_unit(line)
            yield _stripped(line)

    def _head_texts(self, head: Head) -> list[str]:
        return [self._safe(text) for text in (head.name, head.address, head.owner) if text]

    def _box_line(self, side: Side, number: int, height: int, inner: int, texts: list[str], start: int) -> Text:
        upper_left, upper_right, lower_right, lower_left, flat, upright, tee = tuple(self._glyphs.box)
        if number == -1:
            return Text(upper_left + flat * (inner + 2) + upper_right)
        if number == height:
            column = self._left if side is Side.CLIENT else self._left + self._middle + 1
            bottom = flat * (inner + 2)
            at = column - start - 1
            return Text(lower_left + bottom[:at] + tee + bottom[at + 1 :] + lower_right)
        text = texts[number] if number < len(texts) else ""
        style = "bold" if number == 0 else ""
        return Text(f"{upright} ") + Text(_centred(self._cut(text, inner), inner), style=style) + Text(f" {upright}")

    def _with_unit(self, line: Text) -> Text:
        """`seconds` above the times, where the client's box leaves room."""
        unit = "seconds"
        space = len(line.plain) - len(line.plain.lstrip())
        if space < TIME_WIDTH:
            return line
        return Text.assemble((unit.rjust(TIME_WIDTH), "dim"), line[TIME_WIDTH:])

    # -- rows ------------------------------------------------------------------------------------------------------

    def _row(self, row: Row, time: str) -> Iterator[Text]:
        notes = [Text(_centred(self._cut(self._safe(note), self._middle - 2), self._middle)) for note in row.notes]
        beside = {side: self._beside(row.end(side)) for side in Side}
        yield self._line(row, time, {side: found[0] for side, found in beside.items()}, self._between(row), first=True)
        below = max(len(notes), *(len(found) - 1 for found in beside.values()))
        for number in range(below):
            states = {side: found[number + 1] if number + 1 < len(found) else Text() for side, found in beside.items()}
            middle = notes[number] if number < len(notes) else Text(" " * self._middle)
            middle.stylize("dim")
            yield self._line(row, "", states, middle, first=False)

    def _line(self, row: Row, time: str, states: dict[Side, Text], middle: Text, *, first: bool) -> Text:
        line = Text(time.rjust(TIME_WIDTH)) + Text("  ")
        client = states[Side.CLIENT]
        line.append(" " * (self._state - client.cell_len))
        line.append(client)
        line.append(" ")
        line.append(self._life(row, Side.CLIENT, first=first))
        line.append(middle)
        line.append(self._life(row, Side.SERVER, first=first))
        line.append(" ")
        line.append(states[Side.SERVER])
        return _stripped(line)

    def _beside(self, end: End) -> list[Text]:
        """The state beside a line and what its queue tells, on one line or on two."""
        state = Text()
        if end.changed and end.state is not None:
            gone = end.state is _S.CLOSED
            state = Text("closed" if gone else end.state.value, style="yellow" if end.state is _S.CLOSE_WAIT else "")
        if end.queue is None:
            return [state]
        name, size = end.queue
        queue = Text(f"{name} {short_count(size)}", style="yellow" if end.state is _S.CLOSE_WAIT else "")
        if not state:
            return [queue]
        return [state + Text(" ") + queue] if self._roomy else [state, queue]

    def _life(self, row: Row, side: Side, *, first: bool) -> Text:
        glyphs, end = self._glyphs, row.end(side)
        if not self._ladder.head(side).seen:
            return Text(glyphs.unseen, style="dim")
        if end.state is _S.CLOSED:
            return Text(glyphs.end if first and end.changed else " ")
        kind = 0 if end.state is _S.ESTABLISHED else 2 if end.state is _S.TIME_WAIT else 1
        if row.kind is Kind.SILENCE:
            return Text(glyphs.pause[kind])
        if first and (row.sender is side or row.kind is Kind.CROSSING):
            return Text((glyphs.out_right if side is Side.CLIENT else glyphs.out_left)[kind])
        return Text(glyphs.line[kind])

    # -- between the lines -----------------------------------------------------------------------------------------

    def _between(self, row: Row) -> Text:
        text = self._safe(row.text)
        match row.kind:
            case Kind.SEGMENT | Kind.RETRANSMIT | Kind.REQUEST | Kind.RESPONSE | Kind.UNSERVED:
                return self._arrow(row, text)
            case Kind.CROSSING:
                return self._crossed(text)
            case Kind.ERROR:
                shown = self._cut(f"x {text}", self._middle - 2)
                return Text(set_cell_size(f"{shown}", self._middle), style="red")
            case Kind.STEP:
                label = f" {self._cut(f'step {text}', self._middle - 6)} "
                return Text(_filled(label, self._middle, self._glyphs.step), style="dim")
            case Kind.SILENCE | Kind.END:
                dots = " ".join([self._glyphs.dots] * 3)
                label = f"{dots}  {self._cut(text, self._middle - 16)}  {dots}"
                return Text(_centred(label, self._middle), style="dim" if row.kind is Kind.SILENCE else "")
        return Text(_centred(self._cut(text, self._middle - 2), self._middle))

    def _arrow(self, row: Row, text: str) -> Text:
        """`──── GET / ────►`; one that was not taken up ends in an x."""
        glyphs = self._glyphs
        label = f" {self._cut(text, self._middle - 7)} "
        head = "x" if row.kind is Kind.UNSERVED else glyphs.right if row.sender is Side.CLIENT else glyphs.left
        body = _filled(label, self._middle - 1, glyphs.dash)
        arrow = Text(body + head if row.sender is Side.CLIENT else head + body)
        if row.kind is Kind.SEGMENT and text in ("FIN", "FIN+ACK", "RST"):
            at = arrow.plain.index(label)
            arrow.stylize("bold red" if text == "RST" else "bold", at, at + len(label))
        return arrow

    def _crossed(self, text: str) -> Text:
        """One arrow each way: `◄──── FIN ────╳──── FIN ────►`."""
        glyphs = self._glyphs
        label = f" {self._cut(text, self._middle // 2 - 6)} "
        half = (self._middle - 1) // 2 - 1
        rest = self._middle - 3 - 2 * half
        arrow = glyphs.left + _filled(label, half, glyphs.dash) + glyphs.cross + glyphs.dash * rest
        return Text(arrow + _filled(label, half, glyphs.dash) + glyphs.right)

    # -- text that came from nodes ---------------------------------------------------------------------------------

    def _safe(self, text: str) -> str:
        shown = visible(text)
        return shown.encode("ascii", "backslashreplace").decode("ascii") if self._ascii else shown

    def _cut(self, text: str, width: int) -> str:
        """The text in at most `width` columns, with a mark where something is left out."""
        if cell_len(text) <= width:
            return text
        return set_cell_size(text, max(0, width - 1)).rstrip() + self._glyphs.cut


def _centred(text: str, width: int) -> str:
    return _filled(text, width, " ")


def _filled(text: str, width: int, fill: str) -> str:
    """The text in the middle of `width` columns of `fill`."""
    space = max(0, width - cell_len(text))
    return fill * (space // 2) + text + fill * (space - space // 2)


def _stripped(line: Text) -> Text:
    line.rstrip()
    line.no_wrap = True
    return line
