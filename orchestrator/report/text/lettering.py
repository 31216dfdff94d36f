"""Text between the two lines of a ladder: made harmless, wrapped, cut, put in the middle."""

from __future__ import annotations

import io

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from orchestrator.text.safe import visible

PLAIN = Console(file=io.StringIO(), width=120)
"""What `Text.wrap` asks for; nothing is printed on it."""

_LINES = 5
"""Lines that a text takes at most: a URL may be as long as a book."""


class Lettering:
    """Fits text that came from nodes into columns. `mark` stands where something is left out."""

    def __init__(self, mark: str, *, ascii_only: bool) -> None:
        self._mark = mark
        self._ascii = ascii_only

    def safe(self, text: str) -> str:
        shown = visible(text)
        return shown.encode("ascii", "backslashreplace").decode("ascii") if self._ascii else shown

    def wrapped(self, text: str, width: int) -> list[str]:
        """The text in lines of at most `width` columns, at least one, and no more than _LINES."""
        lines = [line.plain.rstrip() for line in Text(self.safe(text)).wrap(PLAIN, width)] or [""]
        if len(lines) > _LINES:
            lines[_LINES - 1] = set_cell_size(lines[_LINES - 1], width - 1).rstrip() + self._mark
        return lines[:_LINES]

    def cut(self, text: str, width: int) -> str:
        """The text in at most `width` columns."""
        if cell_len(text) <= width:
            return text
        return set_cell_size(text, max(0, width - 1)).rstrip() + self._mark


def centred(text: Text, width: int) -> Text:
    space = max(0, width - text.cell_len)
    return Text(" " * (space // 2)) + text + Text(" " * (space - space // 2))


def filled(text: str, width: int, fill: str) -> str:
    """The text in the middle of `width` columns of `fill`."""
    space = max(0, width - cell_len(text))
    return fill * (space // 2) + text + fill * (space - space // 2)
