"""Run folders that are damaged, incomplete or not ours to write, through `simctl verify` and `simctl report`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.refusals import assert_refused


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that passed. Copy it before you damage it."""
    folder = tmp_path_factory.mktemp("recorded")
    subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", "session-close", "-r", "netns", "-q", "-o", str(folder)],
        stdout=subprocess.DEVNULL, timeout=60, check=True,
    )  # fmt: skip
    (run,) = folder.iterdir()
    return run


@pytest.fixture
def run(recording: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recording, tmp_path / "run", symlinks=True))


def replace_line(events: Path, number: int, line: bytes) -> None:
    lines = events.read_bytes().splitlines(keepends=True)
    lines[number - 1] = line
    events.write_bytes(b"".join(lines))


@pytest.mark.netns
@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        (b"{oops\n", "7:2", "not a line of JSON"),
        (b"[1]\n", "7", "expected a JSON object, not a list"),
        (b"\x00\xff\n", "7", "not a line of JSON"),
        (b'{"t":1,"ev":"tick","counters":7}\n', "7", "counters"),
        (b'{"t":"soon","ev":"note","text":"x"}\n', "7", "`t`"),
    ],
)
def test_a_damaged_line(simctl: Simctl, run: Path, line: bytes, place: str, message: str) -> None:
    replace_line(run / "events.jsonl", 7, line)
    for verb in ("verify", "report"):
        done = simctl(verb, "run")
        assert_refused(done, 2)
        assert done.stderr.startswith(f"simctl: run/events.jsonl:{place}: "), done.stderr
        assert message in done.stderr


@pytest.mark.netns
@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("state", {"new": "CLOSE_WAITT"}, "no TCP state is called CLOSE_WAITT"),
        ("state", {"old": "FOO"}, "no TCP state is called FOO"),
        ("state", {"local": "198.18.0.2:938618"}, "`local` must be an address with a port"),
        ("timer", {"what": "resurrected"}, "timer: `what` must be one of start, expire, not resurrected"),
        ("destroy", {"cpu": None}, "destroy: `cpu` must be a whole number, not nothing"),
        ("traced", {"lost": -1}, "`lost` must be 0 or more, not -1"),
        (
            "traced",
            {"loopback": {"RST sent": "many"}},
            "traced: loopback: `RST sent` must be a whole number, not the text 'many'",
        ),
    ],
)
def test_a_trace_that_was_edited(simctl: Simctl, run: Path, kind: str, change: dict[str, object], message: str) -> None:
    events = run / "events.jsonl"
    lines = [json.loads(line) for line in events.read_bytes().splitlines()]
    number = next(number for number, line in enumerate(lines, 1) if line["ev"] == kind)
    replace_line(events, number, json.dumps(lines[number - 1] | change).encode() + b"\n")
    for verb in ("verify", "report", "show"):
        done = simctl(verb, "run")
        assert_refused(done, 2)
        assert f"run/events.jsonl:{number}: {message}" in done.stderr


@pytest.mark.netns
def test_a_recording_that_is_cut_off(simctl: Simctl, run: Path) -> None:
    events = run / "events.jsonl"
    events.write_bytes(events.read_bytes()[:-20])
    done = simctl("verify", "run")
    assert_refused(done, 2)
    assert f"run/events.jsonl:{len(events.read_bytes().splitlines())}: the last line is cut off" in done.stderr
    events.write_bytes(b"")
    done = simctl("verify", "run")
    assert_refused(done, 2)
    assert "the recording is empty" in done.stderr


@pytest.mark.netns
def test_a_recording_of_another_format(simctl: Simctl, run: Path) -> None:
    events = run / "events.jsonl"
    begin = json.loads(events.read_bytes().splitlines()[0])
    replace_line(events, 1, json.dumps(begin | {"format": 99}).encode() + b"\n")
    done = simctl("verify", "run")
    assert_refused(done, 2)
    assert "run/events.jsonl:1: " in done.stderr
    assert "format 99" in done.stderr


@pytest.mark.netns
@pytest.mark.parametrize("missing", ["events.jsonl", "scenario.yaml"])
def test_a_run_folder_that_lacks_a_file(simctl: Simctl, run: Path, missing: str) -> None:
    (run / missing).unlink()
    done = simctl("verify", "run")
    assert_refused(done, 2)
    assert f"it has no {missing}" in done.stderr


@pytest.mark.netns
def test_a_run_that_was_not_judged(simctl: Simctl, run: Path) -> None:
    (run / "verdict.json").unlink()
    done = simctl("report", "run")
    assert_refused(done, 2)
    assert "was not judged yet" in done.stderr
    assert "simctl verify" in done.stderr
    assert simctl("verify", "run").returncode == 0
    assert simctl("report", "run").returncode == 0


@pytest.mark.netns
@pytest.mark.usefixtures("as_root")
def test_a_run_folder_that_cannot_be_written_can_be_judged(run: Path) -> None:
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 99; shift; exec "$@"'
    command = [sys.executable, "-m", "orchestrator", "verify", str(run)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(run), *command],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PASS")
    assert "the verdicts are not kept" in done.stderr
    assert "Read-only file system" in done.stderr
