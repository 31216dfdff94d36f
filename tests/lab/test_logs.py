"""Logs of nodes as lines of the recording: each line once, bounded, whatever the program writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.bounds import LOG_LINES
from orchestrator.kinds.logrules import LogRule
from orchestrator.lab.logs import NodeLogs
from orchestrator.recording.events import Event

RULES = (LogRule(line="^E (?P<says>.*)"),)


class Log:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "proxy.log"
        self.events: list[Event] = []
        self.notes: list[str] = []
        self.now = 0.0
        self.logs = NodeLogs(self.events.append, lambda: self.now, self.notes.append)
        self.logs.add("proxy", self.path, RULES)

    def read(self, t: float) -> list[str]:
        """What was told at that time."""
        before = len(self.events)
        self.now = t
        self.logs.read()
        return [str(event["says"]) for event in self.events[before:]]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_each_line_is_told_once_with_the_times_of_its_readings(log: Log) -> None:
    assert log.read(1) == []
    log.path.write_text("hello\nE one\nE tw")
    assert log.read(2) == ["one"]
    with log.path.open("a") as file:
        file.write("o\nE three\n")
    assert log.read(3.5) == ["two", "three"]
    assert log.read(4) == []
    assert [(event["after"], event["t"]) for event in log.events] == [(1, 2), (2, 3.5), (2, 3.5)]


def test_what_no_text_is_harms_nothing(log: Log) -> None:
    log.path.write_bytes(b"\xff\xfe\nE \x1b[31m\xff\n" + b"E " + b"a" * 5_000 + b"\n")
    first, second = log.read(1)
    assert first == "\x1b[31m\ufffd"
    assert len(second) == 300


def test_a_line_without_an_end_does_not_keep_the_next_from_being_read(log: Log) -> None:
    log.path.write_bytes(b"a" * (2 << 20) + b"\nE next\n")
    assert [line for t in range(1, 5) for line in log.read(t)] == ["next"]


def test_a_flood_is_cut_off_and_that_is_told_once(log: Log) -> None:
    log.path.write_text("E x\n" * (LOG_LINES.limit + 50))
    assert len(log.read(1)) == LOG_LINES.limit
    with log.path.open("a") as file:
        file.write("E y\n" * 10)
    assert log.read(2) == []
    assert log.notes == [f"proxy: only the first {LOG_LINES.limit} lines of its log that explain something are told"]


def test_a_kind_without_rules_is_not_read(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.logs.add("server", tmp_path / "server.log", ())
    (tmp_path / "server.log").write_text("E one\n")
    assert log.read(1) == []
