"""Records of standing labs and of trace instances that are none: broken, hostile, or of one that was killed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.lab.standing import registry
from orchestrator.observe.trace.tracefs import remove_leftovers
from orchestrator.system.linux import process_start_time

DEEP = "[" * 100_000
NOT_THERE = 2**22 - 1
"""No process has this pid: it is above what kernels give."""


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(registry.STATE, str(tmp_path / "s"))
    return registry.home()


def fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["starter", "lab.json"])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff\x00 \xb2"),
        lambda path: path.write_text("\u00b2 \u00b3"),
        lambda path: path.write_text("9" * 5000),
        lambda path: path.write_text(DEEP),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/dev/zero"),
        fifo,
    ],
    ids=["missing", "empty", "binary", "superscripts", "long", "deep", "folder", "device", "fifo"],
)
def test_a_broken_record_is_no_lab_and_is_removed(state: Path, name: str, make: Callable[[Path], None]) -> None:
    """A lab that was being made when its simctl was killed left such; its name is free again."""
    (state / "x").mkdir()
    make(state / "x" / name)
    assert registry.labs() == []
    assert registry.remove_dead() == ["x"]
    assert registry.reserve("x", exact=True) == state / "x"


def test_who_makes_a_lab_now_keeps_its_folder(state: Path) -> None:
    folder = registry.reserve("x", exact=True)
    assert registry.remove_dead() == []
    assert (folder / "starter").read_text() == f"{os.getpid()} {process_start_time(os.getpid())}"
    assert registry.reserve("x", exact=False) == state / "x-2"
    assert sorted(path.name for path in state.iterdir()) == ["x", "x-2"], "nothing half made"


def test_a_file_that_is_no_folder_is_left_alone(state: Path) -> None:
    (state / "stray").write_text("")
    (state / "link").symlink_to(state)
    assert (registry.labs(), registry.remove_dead()) == ([], [])
    assert registry.reserve("stray", exact=False) == state / "stray-2"


def test_a_lab_whose_daemon_is_gone_is_removed(state: Path) -> None:
    folder = registry.reserve("x", exact=True)
    facts = {"name": "x", "topology": "", "runtime": "netns", "folder": str(folder), "nodes": {}}
    (folder / "lab.json").write_text(json.dumps({**facts, "daemon_pid": NOT_THERE, "daemon_start": 1}))
    assert [lab.alive for lab in registry.labs()] == [False]
    assert registry.remove_dead() == ["x"]


@pytest.mark.parametrize(
    "name", ["simctl-\u00b2-1", "simctl-1-\u0663", "x", "simctl--", "a b", "\x1b[2J", "simctl-1-1-1"]
)
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_stray_record_of_a_trace_is_removed_and_stops_nobody(tmp_path: Path, name: str, folder: bool) -> None:
    records = tmp_path / "trace"
    records.mkdir()
    stray = records / name
    if folder:
        stray.mkdir()
        (stray / "inside").write_text("")
    else:
        stray.write_text("")
    assert remove_leftovers(records) == [name]
    assert list(records.iterdir()) == []
