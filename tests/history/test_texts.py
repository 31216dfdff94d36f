"""What `ss` printed at the last moment of a recording, after its last sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.history.build import build_history
from orchestrator.history.texts import against_texts
from tests.support.builders import events, history

OPEN = """
    ticks 0 1 2 5 6
    client:41000 > server:8080 | - E E E E
    server:8080 > client:41000 | - E E E E
    moment early 2
"""


@pytest.mark.parametrize(
    ("moment", "printed", "contradicts"),
    [
        ("end", "ESTAB", False),
        ("end", "FIN-WAIT-2", False),
        ("end", "TIME-WAIT", False),
        ("end", "SYN-SENT", True),
        ("early", "ESTAB", False),
        ("early", "FIN-WAIT-2", True),
    ],
)
def test_what_can_have_happened_since_the_last_sample(
    tmp_path: Path, moment: str, printed: str, contradicts: bool
) -> None:
    run = history(OPEN)
    end = next(socket for socket in run.sockets if socket.node == "client")
    (tmp_path / moment).mkdir()
    (tmp_path / moment / "client.ss.txt").write_text(f"{printed}  0  0  {end.local}  {end.peer}\n")
    assert bool(against_texts(run, tmp_path)) is contradicts


@pytest.mark.parametrize(("took", "contradicts"), [(2.5, True), (3.5, False), (None, True)])
def test_tools_may_be_as_late_as_the_moment_says(tmp_path: Path, took: float | None, contradicts: bool) -> None:
    """On a busy machine they print what the sockets did seconds after the moment."""
    table = """
        ticks 0 1 2 4.9 5
        client:41000 > server:8080 | - E E E F1
        server:8080 > client:41000 | - E E E E
    """
    told = {} if took is None else {"took": took}
    run = build_history(events(table, {"t": 2.0, "ev": "moment", "name": "early"} | told))
    end = next(socket for socket in run.sockets if socket.node == "client")
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "client.ss.txt").write_text(f"FIN-WAIT-1  0  0  {end.local}  {end.peer}\n")
    assert bool(against_texts(run, tmp_path)) is contradicts
