"""Draws a ladder: time, the client's state and life line, what went between them, the server's life line and state.

The line of a life is heavy while the end is ESTABLISHED, light while it opens or closes, dotted in TIME_WAIT, and no
line at all when the socket is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from orchestrator.analysis.ladder.flags import Flags
from orchestrator.analysis.ladder.model import End, Head, Ladder, Row, RowKind
from orchestrator.history.model import Side
from orchestrator.report.text.lettering import PLAIN, Lettering, centred, filled
from orchestrator.report.words.headline import headline
from orchestrator.report.words.ladder import beneath, owner, said
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import TIME_WIDTH, time_between
from orchestrator.text.numbers import short_count
from orchestrator.text.record import record

_S = TcpState

NARROWEST = 64
WIDEST = 120
"""Terminal columns: a ladder is never narrower or wider, however the terminal is."""

_STATE = 11
_STATE_AND_QUEUE = 22
_ROOMY = 104
"""Columns of a state (ESTABLISHED), of one with its queue beside it, and from which width there is room for that."""


@record
class Glyphs:
    """Characters of a drawing. The three of a line: ESTABLISHED, opening or closing, TIME_WAIT."""

    line: str
    pause: str
    out_right: str
    out_left: str
    unobserved: str
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
        "".join(getattr(UNICODE, field.name) for field in fields(UNICODE)).encode(encoding)
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
        self._glyphs = ASCII if ascii_only else UNICODE
        self._text = Lettering(self._glyphs.cut, ascii_only=ascii_only)
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
            time = "" if row.kind is RowKind.SILENCE else time_between(row.after, row.before)
            yield from self._row(row, "" if time == last_time else time)
            last_time = time or last_time
        if self._ladder.footnotes:
            yield Text()
        for note in beneath(self._ladder.footnotes):
            for part in Text(self._text.safe(note), style="dim").wrap(PLAIN, self._width - 2):
                yield _stripped(Text("  ") + part)

    def _headline(self) -> Iterator[Text]:
        name = f"{self._ladder.name}  "
        sentence = Text(self._text.safe(headline(self._ladder.headline)), style="bold")
        for number, part in enumerate(sentence.wrap(PLAIN, self._width - len(name))):
            yield _stripped(Text(name if number == 0 else " " * len(name)) + part)

    # -- the two heads ---------------------------------------------------------------------------------------------

    def _heads(self) -> Iterator[Text]:
        heads = {side: self._ladder.head(side) for side in Side}
        texts = {side: self._head_texts(head) for side, head in heads.items()}
        height = max(map(len, texts.values()))
        # Half of the middle each: the boxes never touch.
        inner = {side: max(text.cell_len for text in found) for side, found in texts.items()}
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

    def _head_texts(self, head: Head) -> list[Text]:
        """The lines in a box, none wider than half of the middle: boxes never touch."""
        styled = ((head.name, "bold"), (head.address, ""), (owner(head), ""))
        return [
            Text(part, style=style)
            for text, style in styled
            if text
            for part in self._text.wrapped(text, self._middle - 6)
        ]

    def _box_line(self, side: Side, number: int, height: int, inner: int, texts: list[Text], start: int) -> Text:
        upper_left, upper_right, lower_right, lower_left, flat, upright, tee = tuple(self._glyphs.box)
        if number == -1:
            return Text(upper_left + flat * (inner + 2) + upper_right)
        if number == height:
            column = self._left if side is Side.CLIENT else self._left + self._middle + 1
            bottom = flat * (inner + 2)
            at = column - start - 1
            return Text(lower_left + bottom[:at] + tee + bottom[at + 1 :] + lower_right)
        text = texts[number].copy() if number < len(texts) else Text()
        text.truncate(inner)
        return Text(f"{upright} ") + centred(text, inner) + Text(f" {upright}")

    def _with_unit(self, line: Text) -> Text:
        """`seconds` above the times, where the client's box leaves room."""
        unit = "seconds"
        space = len(line.plain) - len(line.plain.lstrip())
        if space < TIME_WIDTH:
            return line
        return Text.assemble((unit.rjust(TIME_WIDTH), "dim"), line[TIME_WIDTH:])

    # -- rows ------------------------------------------------------------------------------------------------------

    def _row(self, row: Row, time: str) -> Iterator[Text]:
        between, *more = self._between(row)
        notes = [
            Text(part, style="dim")
            for note in beneath(row.notes)
            for part in self._text.wrapped(note, self._middle - 2)
        ]
        below = [*more, *(centred(note, self._middle) for note in notes)]
        beside = {side: self._beside(row.end(side)) for side in Side}
        yield self._line(row, time, {side: found[0] for side, found in beside.items()}, between, first=True)
        for number in range(max(len(below), *(len(found) - 1 for found in beside.values()))):
            states = {side: found[number + 1] if number + 1 < len(found) else Text() for side, found in beside.items()}
            middle = below[number] if number < len(below) else Text(" " * self._middle)
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
            return Text(glyphs.unobserved, style="dim")
        if end.state is _S.CLOSED:
            return Text(glyphs.end if first and end.changed else " ")
        kind = 0 if end.state is _S.ESTABLISHED else 2 if end.state is _S.TIME_WAIT else 1
        if row.kind is RowKind.SILENCE:
            return Text(glyphs.pause[kind])
        if first and ((row.sender is side and row.by is None) or row.kind is RowKind.CROSSING):
            return Text((glyphs.out_right if side is Side.CLIENT else glyphs.out_left)[kind])
        return Text(glyphs.line[kind])

    # -- between the lines -----------------------------------------------------------------------------------------

    def _between(self, row: Row) -> list[Text]:
        """What stands between the two lines; what one line has no room for goes on below it."""
        match row.kind:
            case RowKind.SEGMENT | RowKind.RETRANSMIT | RowKind.REQUEST | RowKind.RESPONSE | RowKind.UNSERVED:
                sent_by = f" by {row.by}" if row.by else ""
                text, *more = self._text.wrapped(said(row) + sent_by, self._middle - 7)
                return [self._arrow(row, text), *(centred(Text(part), self._middle) for part in more)]
            case RowKind.CROSSING:
                return [self._crossed(self._text.safe(said(row)))]
            case RowKind.ERROR:
                parts = self._text.wrapped(said(row), self._middle - 2)
                marks = ["x", *(" " for _ in parts[1:])]
                return [
                    Text(set_cell_size(f"{mark} {part}", self._middle), style="red")
                    for mark, part in zip(marks, parts, strict=True)
                ]
            case RowKind.STEP:
                text, *more = self._text.wrapped(f"step {said(row)}", self._middle - 6)
                line = Text(filled(f" {text} ", self._middle, self._glyphs.step), style="dim")
                return [line, *(centred(Text(part, style="dim"), self._middle) for part in more)]
            case RowKind.SILENCE | RowKind.END:
                return self._pause(row)
        return [centred(Text(part), self._middle) for part in self._text.wrapped(said(row), self._middle - 2)]

    def _pause(self, row: Row) -> list[Text]:
        """`· · ·  5.0 s idle  · · ·`, with fewer dots where there is no room for them, or none."""
        style = "dim" if row.kind is RowKind.SILENCE else ""
        text = self._text.safe(said(row))
        count = min(3, (self._middle - 4 - cell_len(text)) // 4)
        if count < 1:
            parts = self._text.wrapped(said(row), self._middle - 2)
        else:
            dots = " ".join([self._glyphs.dots] * count)
            parts = [f"{dots}  {text}  {dots}"]
        return [centred(Text(part, style=style), self._middle) for part in parts]

    def _arrow(self, row: Row, text: str) -> Text:
        """`──── GET / ────►`; one that was not taken up ends in an x, one that got lost ends before the other line, one
        of which nothing shows that it arrived ends in a question mark, one that a node in between sent begins behind
        the line."""
        glyphs, to_right = self._glyphs, row.sender is Side.CLIENT
        label = f" {text} "
        short = min(self._middle // 6, self._middle - 3 - cell_len(label)) if row.lost or row.by else 0
        body = filled(label, self._middle - 1 - short, glyphs.dash)
        head = glyphs.right if to_right else glyphs.left
        if row.lost or row.kind is RowKind.UNSERVED:
            head = "x"
        elif row.unproven:
            head = "?"
        gap = " " * short
        before, after = (gap, "") if row.by else ("", gap)
        arrow = Text(before + body + head + after if to_right else after + head + body + before)
        if row.kind is RowKind.SEGMENT and row.flags in (Flags.FIN, Flags.FIN_ACK, Flags.RST):
            at = arrow.plain.index(label)
            arrow.stylize("bold red" if row.flags is Flags.RST else "bold", at, at + len(label))
        return arrow

    def _crossed(self, text: str) -> Text:
        """One arrow each way: `◄──── FIN ────╳──── FIN ────►`."""
        glyphs = self._glyphs
        label = f" {self._text.cut(text, self._middle // 2 - 6)} "
        half = (self._middle - 1) // 2 - 1
        rest = self._middle - 3 - 2 * half
        arrow = glyphs.left + filled(label, half, glyphs.dash) + glyphs.cross + glyphs.dash * rest
        return Text(arrow + filled(label, half, glyphs.dash) + glyphs.right)


def _stripped(line: Text) -> Text:
    line.rstrip()
    line.no_wrap = True
    return line
