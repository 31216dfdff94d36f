"""However a run with a capture ends, its files can be read, and the run never ends because of them."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.system.linux import descendants
from orchestrator.system.resources import COMPOSE
from tests.support.pcapreader import FIN, SYN, read, segments, tcpdump

pytestmark = pytest.mark.netns


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A run with a capture while it waits; its requests are on the wire, the connection stays open."""
    scenario = tmp_path / "idle.yaml"
    scenario.write_text(
        f"name: idle\ntopology: {COMPOSE}/client-server.yaml\nset: {{KEEPALIVE_TIMEOUT: 60s}}\nexpect: []\nsteps:\n"
        '  - {name: load, request: {from: client, url: "http://server:8080/", session: s, count: 5}}\n'
        "  - {name: idle, wait: 4s}\n"
    )
    argv = [sys.executable, "-m", "orchestrator", "run", str(scenario), "-r", "netns", "--capture", "-o", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert any("] idle:" in line for line in process.stderr)
            (file,) = tmp_path.glob("*/captures/lab.pcapng")
            yield process, file
        finally:
            process.kill()


def writer_of(file: Path, family: list[int]) -> int:
    """The process of the run that writes the capture."""
    return next(pid for pid in family if file in open_files(pid))


def open_files(pid: int) -> set[Path]:
    try:
        return {entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def await_size(file: Path, size: int) -> None:
    """The writer gets frames from the kernel some milliseconds late."""
    deadline = time.monotonic() + 20
    while file.stat().st_size < size:
        assert time.monotonic() < deadline, "nothing is written"
        time.sleep(0.01)


def await_end(pid: int) -> None:
    deadline = time.monotonic() + 20
    while open_files(pid):
        assert time.monotonic() < deadline, "the writer did not end"
        time.sleep(0.01)


def test_ctrl_c_leaves_whole_files(idle: tuple[subprocess.Popen[str], Path]) -> None:
    process, file = idle
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    contents = read(file.read_bytes())
    assert len(contents.statistics) == 2
    assert sum(each.has(SYN) for each in segments(contents)) == 2
    assert not any(each.has(FIN) for each in segments(contents)), "the teardown is no part of the story"
    events = [json.loads(line) for line in (file.parent.parent / "events.jsonl").read_text().splitlines()]
    assert any(event["ev"] == "note" and event["text"].startswith("capture: ") for event in events)


def test_kill_minus_nine_of_simctl_leaves_whole_files(idle: tuple[subprocess.Popen[str], Path]) -> None:
    process, file = idle
    writer = writer_of(file, descendants(process.pid))
    process.kill()
    process.wait()
    await_end(writer)
    contents = read(file.read_bytes())
    assert len(contents.statistics) == 2
    assert sum(each.has(SYN) for each in segments(contents)) == 2
    assert len(tcpdump(file)) == len(contents.packets)


def test_a_writer_that_is_killed_does_not_end_the_run(idle: tuple[subprocess.Popen[str], Path]) -> None:
    process, file = idle
    await_size(file, 2000)
    os.kill(writer_of(file, descendants(process.pid)), signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "captures/lab.pcapng ends before the run: the process that writes it died (-9)" in " ".join(stdout.split())
    assert len(tcpdump(file)) > 10, "what was written before is there"


def test_nothing_of_the_lab_is_held_by_the_writer(idle: tuple[subprocess.Popen[str], Path]) -> None:
    process, file = idle
    held = open_files(writer_of(file, descendants(process.pid)))
    assert not [path for path in held if path.name.startswith(("net:", "user:", "mnt:"))]


def test_a_file_that_may_not_grow_ends_early_and_the_run_does_not(tmp_path: Path) -> None:
    """A limit on the size of files meets the capture first: 200 answers of 20 kB, and a short recording."""
    limit = 1_000_000
    (tmp_path / "scenario.yaml").write_text(
        f"name: big\ntopology: {COMPOSE}/client-server.yaml\nexpect: []\nsteps:\n"
        '  - {name: load, request: {from: client, url: "http://server:8080/bytes/20000", session: s, count: 200}}\n'
    )
    argv = [sys.executable, "-m", "orchestrator", "run", "scenario.yaml", "-r", "netns", "--capture", "-o", "runs"]
    done = subprocess.run(
        argv,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 0, done.stderr + done.stdout
    told = " ".join(done.stdout.split())
    assert re.search(r"captures/lab.pcapng \(\d+ frames\) ends before the run: File too large", told)
    (file,) = (tmp_path / "runs").glob("*/captures/lab.pcapng")
    assert 0 < file.stat().st_size <= limit
    contents = read(file.read_bytes())
    assert len(tcpdump(file)) == len(contents.packets) > 0
    assert contents.statistics == {}
