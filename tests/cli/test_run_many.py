"""Several scenarios in one command, and what else the command meets outside of a tidy terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from orchestrator.runtimes.processes import TIMED_OUT, execute, nsenter
from orchestrator.system.linux import descendants
from tests.conftest import Simctl

pytestmark = pytest.mark.netns

COMPOSE = "services:\n  client: {image: simctl/requests}\n  server: {image: simctl/origin}\n"


def write(folder: Path, name: str, *, steps: str = "[{wait: 50ms}]", **changes: str) -> Path:
    (folder / "compose").mkdir(exist_ok=True)
    (folder / "compose" / "c.yaml").write_text(COMPOSE)
    (folder / "stories").mkdir(exist_ok=True)
    path = folder / "stories" / f"{name}.yaml"
    keys = {"name": name, "topology": "../compose/c.yaml", "steps": steps} | changes
    path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
    return path


def test_a_broken_scenario_keeps_no_other_from_running_and_is_not_forgotten(simctl: Simctl, tmp_path: Path) -> None:
    write(tmp_path, "good")
    write(tmp_path, "lost", topology="nowhere.yaml")
    done = simctl("run", "stories", "-r", "netns", "-q", "--junit", "report.xml")
    assert done.returncode == 2, done.stderr
    assert "lost.yaml:2:" in done.stderr
    assert "NOT RUN  lost" in done.stdout
    assert "2 scenarios: 1 not run, 1 passed" in done.stdout
    suites = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert {suite.get("name"): suite.get("errors") for suite in suites} == {"good": "0", "lost": "1"}


def test_what_was_run_before_an_interruption_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a-short")
    write(tmp_path, "b-long", steps="[{name: long, wait: 1h}]")
    argv = [sys.executable, "-m", "orchestrator", "run", "stories", "-r", "netns"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "long: wait" not in (line := process.stderr.readline()):
            assert line, "it ended too early"
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "PASS  a-short" in stdout


def test_a_locale_without_the_characters_of_a_title(simctl: Simctl, tmp_path: Path) -> None:
    scenario = write(tmp_path, "odd", title='"caf\\xe9 \\u05e9 \\e[31mred"')
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = simctl("run", scenario, "-r", "netns", env=ascii_only)
    assert done.returncode == 0, done.stderr
    assert "caf\\xe9 \\u05e9 \\x1b[31mred" in done.stdout


@pytest.mark.usefixtures("as_root")
def test_a_server_that_dies_by_itself_is_told(tmp_path: Path) -> None:
    steps = '[{name: load, request: {from: client, url: "http://server:8080/delay/100", count: 20, timeout: 2s}}]'
    argv = [sys.executable, "-m", "orchestrator", "run", str(write(tmp_path, "crash", steps=steps)), "-r", "netns"]
    with subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "load: 20 requests" not in (line := process.stderr.readline()):
            assert line, "it ended too early"
        (server,) = (pid for pid in descendants(process.pid) if b"origin/server.py" in command_line(pid))
        os.kill(server, signal.SIGKILL)
        stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "server's program ended by itself" in " ".join(stdout.split())
    assert "killed by SIGKILL" in " ".join(stdout.split())


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.usefixtures("as_root")
def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    before = set(descendants(os.getpid()))
    command = ["sh", "-c", "echo begun; sleep 300; true"]
    argv = [*nsenter(os.getpid(), user_namespace=False), *command]
    result = execute(argv, 0.5, environment=dict(os.environ))
    assert result.status == TIMED_OUT
    assert result.output.startswith("begun\n")
    assert set(descendants(os.getpid())) <= before
