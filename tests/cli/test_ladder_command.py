"""`simctl show` on stored runs, hand-made ones and a real one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.cells import cell_len

from orchestrator.recording.events import Event
from tests.conftest import Simctl
from tests.support.builders import HOSTS, events, request

TWO = """
    server:8080                   | L L L  L  L L
    client:41000 > server:8080 #a | - E E  E  E E
    server:8080 > client:41000 #b | - E E  E  E E
    client:41001 > server:8080 #c | - - E  CW CW CW
    server:8080 > client:41001 #d | - - E  F2 F2 F2
"""


EXPECTING_NONE = """\
name: test
topology: none.yaml
steps: [{wait: 1s}]
expect:
  - that: it is closed
    client: {ESTABLISHED: 0}
"""


def store(folder: Path, lines: Sequence[Event]) -> Path:
    """A run folder as an interrupted run leaves it: not judged."""
    folder.mkdir()
    (folder / "scenario.yaml").write_text("name: test\n")
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_several_connections_are_listed_and_the_most_telling_is_drawn(simctl: Simctl, tmp_path: Path) -> None:
    run = store(tmp_path / "run", events(TWO, request(1.5)))
    done = simctl("show", run, env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 connections to server:8080\n")
    assert re.search(r"^  c1 +client:41000 +0\.00-1\.00 +1 +- +open$", done.stdout, re.MULTILINE)
    assert "\nc2  server closed first, with a FIN" in done.stdout
    assert "c2 is drawn because an end of it is left in CLOSE_WAIT" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(cell_len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", ["c1", "C1", f"{HOSTS['client']}:41000", "client:41000"])
def test_a_connection_is_chosen_by_name_or_address(simctl: Simctl, tmp_path: Path, name: str) -> None:
    done = simctl("show", store(tmp_path / "run", events(TWO)), "--conn", name)
    assert done.stdout.startswith("c1  open at the end"), done.stderr
    assert "is drawn because" not in done.stdout


def test_what_cannot_be_chosen(simctl: Simctl, tmp_path: Path) -> None:
    run = store(tmp_path / "run", events(TWO))
    missing, several, odd = (
        simctl("show", run, *args) for args in (["--conn", "c7"], ["--conn", "server:8080"], ["--format", "svg"])
    )
    assert [done.returncode for done in (missing, several, odd)] == [2, 2, 2]
    assert "--conn c7: the run has no such connection" in missing.stderr
    assert "one of c1 to c2" in missing.stderr
    assert "2 connections have an end there: c1, c2" in several.stderr
    assert "text, json" in odd.stderr
    assert not missing.stdout


def test_evidence_of_a_failed_expectation_goes_first(simctl: Simctl, tmp_path: Path) -> None:
    run = store(tmp_path / "run", events(TWO))
    (run / "scenario.yaml").write_text(EXPECTING_NONE)
    done = simctl("verify", run)
    assert done.returncode == 1, done.stderr
    assert "c1 is drawn because it is evidence of a failed expectation" in simctl("show", run).stdout


def test_verdicts_of_an_older_simctl_are_judged_again(simctl: Simctl, tmp_path: Path) -> None:
    """They were words alone, which nothing reads back."""
    run = store(tmp_path / "run", events(TWO))
    (run / "scenario.yaml").write_text(EXPECTING_NONE)
    (run / "verdict.json").write_text(json.dumps({"format": 1, "outcome": "pass", "verdicts": []}))
    assert "c1 is drawn because it is evidence of a failed expectation" in simctl("show", run).stdout
    done = simctl("report", run)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 socket in ESTABLISHED on client, expected 0 (end)" in done.stdout
    assert "note: judged again just now" in done.stdout


def test_ascii_when_asked_and_when_the_terminal_has_no_more(simctl: Simctl, tmp_path: Path) -> None:
    lines = events(TWO, request(1.5) | {"url": "http://server:8080/中文\x1b[31m"})
    run = store(tmp_path / "run", lines)
    asked = simctl("show", run, "--conn", "c1", "--ascii")
    needed = simctl("show", run, "--conn", "c1", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert asked.stdout == needed.stdout
    assert asked.stdout.isascii()
    assert r"GET /\u4e2d\u6587\x1b[31m" in asked.stdout
    assert "┃" in simctl("show", run, "--conn", "c1").stdout


def test_json_has_the_rows_and_all_connections(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("show", store(tmp_path / "run", events(TWO)), "--format", "json")
    data = json.loads(done.stdout)
    assert [found["id"] for found in data["connections"]] == ["c1", "c2"]
    assert (data["connection"], data["connections"][1]["first_closer"]) == ("c2", "server")
    fin = next(row for row in data["rows"] if row["text"] == "FIN")
    assert fin["t"] == [2.0, 3.0]
    assert (fin["kind"], fin["from"], fin["node"]) == ("segment", "server", "server")
    assert fin["client"] == {"state": "CLOSE_WAIT", "changed": True, "recv_q": 0}


def test_a_run_without_connections(simctl: Simctl, tmp_path: Path) -> None:
    run = store(tmp_path / "run", events("server:8080 | L L L"))
    assert simctl("show", run).stdout == "No connection was seen.\n"
    assert json.loads(simctl("show", run, "-f", "json").stdout)["connections"] == []
    assert simctl("show", run, "--conn", "c1").returncode == 2
    assert simctl("show", tmp_path / "nowhere").returncode == 2


def test_a_run_that_broke_off(simctl: Simctl, tmp_path: Path) -> None:
    lines = [line for line in events(TWO) if line["ev"] != "end" and line.get("name") != "end"]
    done = simctl("show", store(tmp_path / "run", lines), "--conn", "c1")
    assert "the run is broken off" in done.stdout


def test_thousands_of_connections_are_not_all_listed(simctl: Simctl, tmp_path: Path) -> None:
    table = ["server:8080 | L L L L"]
    for port in range(30000, 33000):
        table += [f"client:{port} > server:8080 | - E T T", f"server:8080 > client:{port} | - E - -"]
    done = simctl("show", store(tmp_path / "run", events("\n".join(table))))
    assert done.returncode == 0, done.stderr
    assert "3000 connections to server:8080" in done.stdout
    assert "... and 2976 more" in done.stdout
    assert len(done.stdout.splitlines()) < 80


@pytest.mark.netns
def test_a_real_run(simctl: Simctl, tmp_path: Path) -> None:
    """The kernel's own story of an idle Session, as samples or as a trace, whichever this machine allows."""
    simctl("run", "session-close", "-r", "netns", "-q", "-o", tmp_path / "runs")
    (run,) = (tmp_path / "runs").iterdir()
    done = simctl("show", run, env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("c1  client closed first, with a FIN")
    assert "TIME_WAIT landed on client" in " ".join(done.stdout.split())
    arrows = [words for line in done.stdout.splitlines() if (words := re.findall(r"[A-Z]+(?:\+[A-Z]+)?(?= ─)", line))]
    flags = [word for words in arrows for word in words]
    assert flags[:3] == ["SYN", "SYN+ACK", "ACK"]
    assert flags.count("FIN") + flags.count("FIN+ACK") == 2
    assert "4 more requests in" in done.stdout
    data = json.loads(simctl("show", run, "-f", "json").stdout)
    assert data["connections"][0]["requests"] == 5
    assert data["rows"][-1]["kind"] == "end"
    assert data["rows"][-1]["client"]["state"] == "TIME_WAIT"
    assert max(map(cell_len, done.stdout.splitlines())) <= 80
