"""The server on Go's net/http, and how programs in Go are compiled: once, all or nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.system.resources import NODES
from tests.conftest import Simctl
from tests.support.kindserver import ended, listening
from tests.support.node_process import Wire

sys.path.append(str(NODES / "base"))
import golang

pytestmark = pytest.mark.kinds("go")

# What is compiled is kept for the next test, as it is for the next run.
CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")


@contextmanager
def go(folder: Path, **knobs: str) -> Iterator[int]:
    with listening("go", folder, XDG_CACHE_HOME=CACHE, **knobs) as port:
        yield port


def test_what_it_answers(tmp_path: Path) -> None:
    with go(tmp_path) as port, Wire(port) as wire:
        line = wire.get("/")
        assert (line.status, line.body) == (200, b"simctl go\n")
        assert not {"connection", "keep-alive"} & set(line.headers)
        for size in (0, 1000, 1_000_000):
            assert len(wire.get(f"/bytes/{size}").body) == size
        assert wire.get("/delay/1").body == b"waited\n"
        assert wire.get("/status/418").status == 418
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/x\r\nContent-Length: 5\r\n\r\nhello")
        echo = wire.response()
        assert (echo.body, echo.headers["content-type"]) == (b"hello", "text/x")
        wrong = [wire.get(path).status for path in ("/nothing", "/bytes/-1", "/bytes/x", "/status/99", "/delay/1e9")]
        assert wrong == [404, 400, 400, 400, 400]


def test_a_limit_of_one_request_and_a_client_that_says_close(tmp_path: Path) -> None:
    with go(tmp_path, KEEPALIVE_REQUESTS="1") as port, Wire(port) as wire:
        assert wire.get("/").headers["connection"] == "close"
        assert wire.read_end() == b""
    with go(tmp_path) as port, Wire(port) as wire:
        assert wire.get("/", "Connection: close").headers["connection"] == "close"
        assert wire.read_end() == b""


def test_an_idle_connection_is_closed_by_a_timer_in_milliseconds(tmp_path: Path) -> None:
    with go(tmp_path, KEEPALIVE_TIMEOUT="250ms") as port, Wire(port) as wire:
        wire.get("/")
        assert wire.read_end() == b""


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"KEEPALIVE_REQUESTS": "3"}, "KEEPALIVE_REQUESTS: expected 0 or 1, not '3'"),
        ({"KEEPALIVE_TIMEOUT": "soon"}, "KEEPALIVE_TIMEOUT: expected a duration"),
        ({"HTTP_PORT": "0"}, "HTTP_PORT: expected a whole number from 1 to 65535"),
    ],
)
def test_a_wrong_knob_is_one_line(tmp_path: Path, knobs: dict[str, str], said: str) -> None:
    status, log = ended("go", tmp_path, **knobs)
    assert status == 2
    assert said in log
    assert log.count("\n") == 1


def test_a_port_that_is_taken_is_told_in_the_programs_words(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with go(tmp_path) as port:
        status, log = ended("go", tmp_path / "second", XDG_CACHE_HOME=CACHE, HTTP_PORT=str(port))
    assert (status, log) == (1, f"go: listen tcp4 0.0.0.0:{port}: bind: address already in use\n")


# -- compiling --------------------------------------------------------------------------------------------------------

PROGRAM = "package main\n\nfunc main() { println(%s) }\n"


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kind called `little`, whose program says `one`; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "little"
    folder.mkdir()
    (folder / "go.mod").write_text("module little\n\ngo 1.19\n")
    (folder / "main.go").write_text(PROGRAM % '"one"')
    return folder


def says(program: Path) -> str:
    return subprocess.run([program], capture_output=True, text=True, timeout=30, check=True).stderr.strip()


def test_sources_are_compiled_once_and_again_when_they_change(sources: Path) -> None:
    both: list[Path] = []
    threads = [threading.Thread(target=lambda: both.append(golang.program(sources))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, same = both
    assert first == same
    assert (says(first), first.name) == ("one", "little")
    assert [path.name for path in first.parent.iterdir()] == ["little"], "nothing is left of the compiler's work"
    compiled = first.stat().st_mtime_ns
    assert golang.program(sources) == first
    assert first.stat().st_mtime_ns == compiled

    (sources / "main.go").write_text(PROGRAM % '"two"')
    second = golang.program(sources)
    assert second != first
    assert (says(first), says(second)) == ("one", "two")


def test_an_image_has_the_program_and_no_compiler(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golang.compile_to(golang.in_image(sources), sources)
    monkeypatch.setenv("PATH", "/nonexistent")
    program = golang.program(sources)
    assert program == sources / "compiled" / "little"
    assert says(program) == "one"


def test_what_cannot_be_compiled_is_told_and_leaves_nothing(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (sources / "main.go").write_text(PROGRAM % "nothing")
    with pytest.raises(SystemExit, match="little: the Go compiler failed, see above"):
        golang.program(sources)
    assert "main.go:3:" in capfd.readouterr().err
    assert not [path for path in (tmp_path / "cache").rglob("little") if path.is_file()]
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SystemExit, match="install the Debian package golang-go"):
        golang.program(sources)


# -- in a lab ---------------------------------------------------------------------------------------------------------


@pytest.mark.netns
def test_it_closes_what_is_idle(simctl: Simctl, tmp_path: Path) -> None:
    """By close(): an orphan in FIN_WAIT2, on which only the kernel's timer counts."""
    (tmp_path / "compose.yaml").write_text(
        "services:\n  client: {image: simctl/requests}\n"
        "  server: {image: simctl/go, environment: {KEEPALIVE_TIMEOUT: 1s}}\n"
        "  forever: {image: simctl/go}\n"
    )
    story = tmp_path / "idle.yaml"
    story.write_text(
        "name: idle\ntopology: compose.yaml\nsteps:\n"
        '  - request: {from: client, url: "http://server:8080/", session: a, count: 2}\n'
        '  - request: {from: client, url: "http://forever:8080/", session: b, count: 2}\n'
        "  - {name: idle, wait: 2s}\n"
        "expect:\n  - that: it closes first\n    at: idle.end\n"
        "    server: {FIN_WAIT2: 1, first_fin: 1, others: 0}\n"
        "    forever: {ESTABLISHED: 1, others: 0}\n"
        "    client: {CLOSE_WAIT: 1, ESTABLISHED: 1, others: 0}\n"
    )
    done = simctl("run", story, "-r", "netns", "-q", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr + done.stdout
    (table,) = (tmp_path / "runs").glob("*/ss/idle.end/server.ss.txt")
    (line,) = (line for line in table.read_text().splitlines() if "FIN-WAIT-2" in line)
    assert "timer:(timewait," in line
    assert "users:" not in line
