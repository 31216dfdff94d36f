"""A run's folder that a stranger made: what lies in it is not followed, and nothing that never ends is read."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.recording.folder import RunFolder
from orchestrator.text.files import read_regular


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "events.jsonl").write_text("")
    (folder / "scenario.yaml").write_text("")
    return RunFolder.open(folder)


def test_a_link_in_the_place_of_the_verdicts_is_not_written_through(run: RunFolder, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in ("verdict.partial", "verdict.json"):
        (run.path / name).symlink_to(victim)
    run.write_verdicts([])
    assert victim.read_text() == "mine"
    assert run.verdict.is_file() and not run.verdict.is_symlink()
    assert run.read_verdicts() == []


def test_a_folder_in_the_place_of_the_verdicts(run: RunFolder) -> None:
    run.verdict.mkdir()
    (run.verdict / "x").write_text("")
    with pytest.raises(EnvironmentFailure, match=r"cannot write .*verdict\.json"):
        run.write_verdicts([])


@pytest.mark.parametrize("name", ["verdict.json", "env.json", "variables.json"])
def test_what_never_ends_is_not_read(run: RunFolder, name: str) -> None:
    os.mkfifo(run.path / name)
    for read in (run.read_verdicts, run.variables, run.wall_seconds):
        with contextlib.suppress(InputError):
            read()


def test_only_regular_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("abc")
    assert read_regular(tmp_path / "file") == b"abc"
    assert read_regular(tmp_path / "file", 2) == b"ab"
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(OSError):
            read_regular(path)
