"""Disks that are full, output that nobody takes, engines that do not answer: one message, and bounded in time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.refusals import assert_refused, contents

# -- folders that cannot be written ----------------------------------------------------------------------------------


def test_a_file_where_the_run_folders_should_go(simctl: Simctl, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")
    for output in ("runs", "runs/deeper"):
        done = simctl("run", "session-close", "-r", "netns", "-q", "-o", output)
        assert_refused(done, 3)
        assert output in done.stderr
    assert contents(tmp_path) == {"runs"}
    assert (tmp_path / "runs").read_text() == "mine"


def test_a_junit_file_that_cannot_be_written_is_told_before_the_run(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("run", "session-close", "-r", "netns", "--junit", "nowhere/report.xml")
    assert_refused(done, 3)
    assert "there is no folder nowhere" in done.stderr
    assert not contents(tmp_path)


def on_a_small_disk(tmp_path: Path, options: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`simctl run --output DISK ...` where DISK is a file system of the command's own, gone with it."""
    disk = tmp_path / "disk"
    disk.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "orchestrator", "run", "-r", "netns", "-o", str(disk), *arguments]
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" || exit 99; shift 2; exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", options, str(disk), *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.netns
@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("options", ["size=4k", "size=16k", "size=32k", "size=64k", "nr_inodes=8", "nr_inodes=14"])
def test_a_full_disk(tmp_path: Path, options: str) -> None:
    """Whichever write is the first that fails: the sources, a log, the recording, the output of ss."""
    done = on_a_small_disk(tmp_path, options, "session-close")
    assert_refused(done, 3)
    assert "No space left on device" in done.stderr
    assert "--output" in done.stderr


@pytest.mark.netns
@pytest.mark.usefixtures("as_root")
def test_a_file_system_that_is_read_only(tmp_path: Path) -> None:
    done = on_a_small_disk(tmp_path, "ro", "session-close")
    assert_refused(done, 3)
    assert "Read-only file system" in done.stderr
    assert "--output" in done.stderr


# -- a result that cannot be printed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [["scenarios"], ["--help"], ["--version"], ["schema"]])
def test_output_to_a_full_disk(tmp_path: Path, verb: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *verb],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        3, "simctl: cannot write to standard output: No space left on device\n",
    )  # fmt: skip


@pytest.mark.parametrize("verb", [["scenarios"], ["--help"], ["schema"], ["nodes"]])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, verb: list[str]) -> None:
    """`simctl ... | head`: as a program that SIGPIPE ends, and never the status of a failed expectation."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *verb],
            stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.netns
def test_a_run_whose_progress_nobody_reads_goes_on(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "run", "session-close", "-r", "netns", "-o", str(tmp_path)],
            stdout=subprocess.PIPE, stderr=closed, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.startswith("PASS")


# -- what is not permitted -------------------------------------------------------------------------------------------

POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
"""Root without any capability, as in a strict container: the kernel refuses what it refuses to everyone."""


@pytest.mark.usefixtures("as_root")
def test_namespaces_that_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*POWERLESS, sys.executable, "-m", "orchestrator", "run", "session-close", "-r", "netns", "-o", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert_refused(done, 3)
    assert "namespaces are refused: unshare: Operation not permitted" in done.stderr
    assert "simctl doctor" in done.stderr
    assert not contents(tmp_path), "no node was started, so there is nothing to keep"


@pytest.mark.usefixtures("as_root")
def test_an_engine_that_is_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        os.chown(path, 4242, 4242)
        path.chmod(0o600)
        done = subprocess.run(
            [*POWERLESS, sys.executable, "-m", "orchestrator", "run", "session-close", "-r", "docker"],
            cwd=tmp_path, env={**os.environ, "DOCKER_HOST": f"unix://{path}"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert_refused(done, 3)
    assert "no permission to use the Docker engine" in done.stderr
    assert "join the group docker" in done.stderr
    assert contents(tmp_path) == {"engine.sock"}


# -- engines that do not answer --------------------------------------------------------------------------------------


@pytest.fixture
def silent_engine(tmp_path: Path) -> Iterator[str]:
    """The address of something that accepts connections and never says a word."""
    path = tmp_path / "engine.sock"
    accepted: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def accept() -> None:
            try:
                while True:
                    accepted.append(server.accept()[0])
            except OSError:  # the end of the test
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"unix://{path}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in accepted:
        connection.close()


@pytest.mark.parametrize("arguments", [["run", "session-close", "-r", "docker"], ["images", "build"]])
def test_an_engine_that_never_answers(simctl: Simctl, tmp_path: Path, silent_engine: str, arguments: list[str]) -> None:
    done = simctl(*arguments, env={"DOCKER_HOST": silent_engine}, timeout=30)
    assert_refused(done, 3)
    assert "did not answer within" in done.stderr
    assert "--runtime netns" in done.stderr
    assert contents(tmp_path) == {"engine.sock"}


@pytest.mark.parametrize("arguments", [["run", "session-close", "-r", "docker"], ["images", "build"]])
def test_no_engine_at_all(simctl: Simctl, tmp_path: Path, arguments: list[str]) -> None:
    done = simctl(*arguments, env={"DOCKER_HOST": "unix:///nonexistent"})
    assert_refused(done, 3)
    assert "there is no /nonexistent" in done.stderr
    assert "--runtime netns" in done.stderr
    assert not contents(tmp_path)


@pytest.mark.netns
def test_auto_without_an_engine_runs_on_netns_and_says_why(simctl: Simctl, silent_engine: str) -> None:
    for address, why in [("unix:///nonexistent", "there is no /nonexistent"), (silent_engine, "did not answer within")]:
        done = simctl("run", "session-close", env={"DOCKER_HOST": address})
        assert done.returncode == 0, done.stderr
        first = done.stderr.splitlines()[0]
        assert "runtime netns: " in first
        assert why in first
        assert "--runtime docker" in first, "how to get the other"
