"""Tables on narrow terminals: words are broken after underscores only, and where that does not do, there is a list."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from orchestrator.report.text.terminal import listing, put

HEADERS = ["CLIENT", "", "idle for", "closed by", "with", "Keep-Alive", "TIME_WAIT", "answers"]
ROWS = [
    [
        "aiohttp-client",
        "pass 1/1",
        "0.00s to 12.00s",
        "server 49, client 1",
        "FIN 23, RST 2",
        "none",
        "nowhere",
        "25x200",
    ],
    ["go", "fail 0/1", "5.00s", "server", "FIN", "timeout=5", "server", "1xRemoteDisconnected, 2xConnectionResetError"],
]


def printed(width: int, headers: list[str], rows: list[list[str]], flexible: list[str]) -> str:
    console = Console(file=io.StringIO(), width=width)
    put(console, listing(width, headers, [[Text(cell) for cell in row] for row in rows], flexible))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_word_is_broken_inside(width: int) -> None:
    shown = printed(width, HEADERS, ROWS, HEADERS[2:])
    assert max(map(len, shown.splitlines())) <= width
    words = {word for row in ROWS for cell in row for word in re.split(r"\s+", cell)}
    for word in words | {"CLIENT"} if width > 90 else words:
        assert word in shown, word


def test_a_word_with_underscores_is_broken_after_one() -> None:
    headers = ["POOL_MAX_SIZE", "TIME_WAIT", "x"]
    shown = printed(26, headers, [["1", "server", "abcdefghijk"]], ["x"])
    pieces = re.findall(r"\w+", "".join(shown.splitlines()[:2]))
    assert set(pieces) <= {
        "POOL_",
        "MAX_",
        "SIZE",
        "TIME_",
        "WAIT",
        "POOL_MAX_",
        "MAX_SIZE",
        "TIME_WAIT",
        "x",
        "POOL_MAX_SIZE",
    }
    assert "abcdefghijk" in shown


def test_a_list_names_what_it_shows() -> None:
    shown = " ".join(printed(50, HEADERS, ROWS, HEADERS[2:]).split())
    assert (
        "aiohttp-client pass 1/1 idle for 0.00s to 12.00s; closed by server 49, client 1; with FIN 23, RST 2" in shown
    )
