"""An orphan in FIN_WAIT2, whose socket was closed, differs from one that a program still has open."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from orchestrator.history.index import orphaned_at
from orchestrator.recording.events import Event
from orchestrator.recording.evidence import SocketSeen
from orchestrator.recording.folder import RunFolder
from orchestrator.report.json.run import pieces
from orchestrator.run.judge import judge_folder
from orchestrator.system import resources
from orchestrator.tcp.states import TcpState
from tests.support.builders import fact, history

OWNED = "server:80 > client:1 {origin/7} | - E E F2 F2 F2 T"
ORPHAN = "server:80 > client:1            | - E E F2 F2 F2 T"


def closed_later(t: float) -> Event:
    """The last descriptor of the socket is closed before the tick at `t`: its inode is gone."""
    return {"t": t, "ev": "socket", "node": "server", "sk": "0", "local": "198.18.0.3:80", "peer": "198.18.0.2:1",
            "state": "FIN_WAIT2", "recv_q": 0, "send_q": 0}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "more", "at", "orphaned"),
    [
        (OWNED, [], 4.0, False),
        (ORPHAN, [], 4.0, True),
        (ORPHAN, [], 2.0, None),  # ESTABLISHED without a descriptor: not accepted yet
        (ORPHAN, [], 2.5, None),  # a gap
        (OWNED, [], 6.0, None),  # TIME_WAIT has never an owner
        (OWNED, [closed_later(4.0)], 3.0, False),
        (OWNED, [closed_later(4.0)], 4.0, True),
        (OWNED, [closed_later(4.0)], 5.0, True),
    ],
)
def test_whether_a_closing_socket_has_an_owner(table: str, more: list[Event], at: float, orphaned: bool | None) -> None:
    (socket,) = history(table, *more).sockets
    assert orphaned_at(socket, at) is orphaned


@pytest.mark.parametrize(("table", "orphaned"), [(OWNED, False), (ORPHAN, True)])
def test_evidence_says_it(table: str, orphaned: bool) -> None:
    (seen,) = fact(history(table), "{at: start + 4s, server: {FIN_WAIT2: 0}}").evidence
    assert isinstance(seen, SocketSeen)
    assert (seen.state, seen.orphaned) == (TcpState.FIN_WAIT2, orphaned)


def test_the_report_says_it_of_a_real_run(tmp_path: Path) -> None:
    """origin closes its idle connection: an orphan until the client closes, too."""
    run = shutil.copytree(resources.ROOT / "tests" / "data" / "format1" / "idle-close", tmp_path / "run")
    document: dict[str, Any] = json.loads("".join(pieces(judge_folder(RunFolder.open(Path(run))))))
    server = document["connections"][0]["server"]
    assert [(stay["state"], stay["orphaned"]) for stay in server["stays"] if stay["state"] == "FIN_WAIT2"] == [
        ("FIN_WAIT2", True)
    ]
    client = document["connections"][0]["client"]
    assert {stay["orphaned"] for stay in client["stays"] if stay["state"] in ("ESTABLISHED", "CLOSE_WAIT")} == {None}
