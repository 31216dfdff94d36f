"""The runtime vm with a real guest: stories pass, time is virtual, what breaks is said, nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.scenario.loader import load_scenario
from orchestrator.system import resources
from orchestrator.system.linux import descendants
from orchestrator.vm.machine import QEMU
from tests.conftest import Simctl
from tests.support.reports import in_short
from tests.support.stories import QUICK as STORIES

pytestmark = pytest.mark.vm

QUICK = ["idle-close", "session-close", "time-wait-ends", "keepalive-probes"]
WITH_JETTY = [*STORIES, "close-wait-stays", "peer-vanishes", "peer-vanishes-soon", "time-wait-ends"]


def run_json(simctl: Simctl, *args: str | Path, timeout: float = 110) -> tuple[int, dict[str, Any]]:
    done = simctl("run", *args, "-r", "vm", "--format", "json", timeout=timeout)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


@pytest.mark.parametrize("name", QUICK)
def test_story_in_virtual_time(simctl: Simctl, name: str) -> None:
    code, report = run_json(simctl, name)
    assert (code, report["outcome"]) == (0, "pass"), in_short(report)
    assert (report["runtime"], report["clock"]) == ("vm", "virtual")
    assert report["wall"] > 0
    assert report["notes"] == [], "the kernel's trace is there, and agrees with the counters"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_bundled_story_holds_as_it_does_on_a_real_clock(simctl: Simctl) -> None:
    """But for matrices: test_matrix_kinds.py has these."""
    names = [
        path.stem for path in sorted(resources.SCENARIOS.glob("*.yaml")) if not load_scenario(path).scenario.matrix
    ]
    done = simctl("run", *names, "-r", "vm", "-q", timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stories_with_a_real_jetty(simctl: Simctl) -> None:
    done = simctl("run", *WITH_JETTY, "-r", "vm", "--set", "SERVER=jetty", "-q", timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sampling_follows_what_happens(simctl: Simctl, tmp_path: Path) -> None:
    """While nothing happens hours pass without a sample; what happens is looked at in the same instant."""
    steps: list[dict[str, Any]] = [
        {"name": "load", "request": {"from": "client", "url": "http://server:8080/", "session": "pool"}},
        {"name": "hours", "wait": "10h"},
    ]
    path = write_scenario(tmp_path, steps)
    done = simctl("run", path, "-r", "vm", "-q", "-o", tmp_path / "runs", timeout=110)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    ticks = [event["t"] for event in events if event["ev"] == "tick"]
    assert ticks[-1] > 36000 and len(ticks) < 60
    (closed,) = [e["t"] for e in events if e["ev"] == "state" and e["new"] == "CLOSE_WAIT"]
    assert closed < 10, "the server's idle timer"
    after = min(t for t in ticks if t > closed)
    assert after - closed < 0.01, "a sample was taken when the trace told of it"
    (reading,) = [e for e in events if e["ev"] == "socket" and e["state"] == "CLOSE_WAIT"]
    assert (reading["t"], reading["recv_q"]) == (after, 1)


def test_the_run_folder_is_that_of_any_run(simctl: Simctl, tmp_path: Path) -> None:
    first = simctl("run", "idle-close", "-r", "vm", "-o", tmp_path / "runs", timeout=110)
    assert first.returncode == 0, first.stderr
    assert "s of virtual time in" in first.stdout
    assert "[" in first.stderr and "idle: wait 8s" in first.stderr, "progress comes out of the guest"
    (run,) = (tmp_path / "runs").iterdir()
    assert "CLOSE-WAIT" in (run / "ss" / "reuse.start" / "client.ss.txt").read_text()
    facts = json.loads((run / "env.json").read_text())
    assert facts["kernel"].endswith("-cloud-amd64")
    assert facts["virtual"]["seconds"] > 8
    again = simctl("verify", run)
    assert again.returncode == 0, again.stderr


SLEEPS = """
import random, time
random.seed(4)
for _ in range(100):
    asked = random.choice([0.001, 0.01, 0.1, 1, 5]) * random.uniform(0.5, 2)
    begun = time.monotonic()
    time.sleep(asked)
    print(asked, time.monotonic() - begun)
"""

TWO_NODES = "services: {client: {image: simctl/requests}, server: {image: simctl/origin}}\n"


def write_scenario(folder: Path, steps: list[dict[str, Any]]) -> Path:
    (folder / "topology.yaml").write_text(TWO_NODES)
    path = folder / "made.yaml"
    path.write_text(json.dumps({"name": "made", "topology": "topology.yaml", "steps": steps}))
    return path


def test_a_sleep_takes_what_was_asked(simctl: Simctl, tmp_path: Path) -> None:
    """Idle time is skipped, but not more of it than there is: a guest that waited for a disk would show here."""
    step = {"name": "sleeps", "exec": {"node": "client", "command": ["python3", "-c", SLEEPS], "timeout": "2h"}}
    done = simctl("run", write_scenario(tmp_path, [step]), "-r", "vm", "-o", tmp_path / "runs", timeout=110)
    assert done.returncode == 0, done.stderr
    (output,) = (tmp_path / "runs").glob("*/logs/exec-sleeps-client.txt")
    sleeps = [tuple(map(float, line.split())) for line in output.read_text().splitlines()]
    assert len(sleeps) == 100
    assert [(asked, took) for asked, took in sleeps if not 0 <= took - asked < 0.005] == []


def test_a_step_that_fails_inside_is_one_message_and_the_recording_stays(simctl: Simctl, tmp_path: Path) -> None:
    step = {"name": "broken", "exec": {"node": "client", "command": ["ls", "/nowhere"]}}
    done = simctl("run", write_scenario(tmp_path, [step]), "-r", "vm", "-o", tmp_path / "runs", timeout=110)
    assert done.returncode == 3
    assert "step broken: ls in client ended with status 2" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert '"outcome":"failed"' in (run / "events.jsonl").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_qemu_never_outlives_simctl(tmp_path: Path, number: int) -> None:
    scenario = write_scenario(tmp_path, [{"name": "long", "wait": "8000h"}])
    command = [sys.executable, "-m", "orchestrator", "run", str(scenario), "-r", "vm", "-o", str(tmp_path / "runs")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as simctl:
        assert simctl.stderr is not None
        for line in simctl.stderr:
            if "long: wait" in line:
                break
        guests = [pid for pid in descendants(simctl.pid) if QEMU in Path(f"/proc/{pid}/cmdline").read_text()]
        assert guests
        simctl.send_signal(number)
        simctl.wait(30)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in guests):
        assert time.monotonic() < deadline, "QEMU goes on without simctl"
        time.sleep(0.01)
    if number == signal.SIGINT:
        assert simctl.returncode == 130


def test_without_qemu_the_package_is_named(simctl: Simctl) -> None:
    done = simctl("run", "idle-close", "-r", "vm", env={"PATH": "/nowhere"})
    assert done.returncode == 3
    assert "needs qemu-system-x86_64" in done.stderr
    assert "qemu-system-x86" in done.stderr.partition("hint:")[2]


def test_a_standing_lab_is_refused(simctl: Simctl) -> None:
    done = simctl("up", "client-server", "-r", "vm")
    assert done.returncode == 2, done.stderr
    assert "a standing lab needs real time" in done.stderr


def test_the_rights_of_root_are_not_needed(simctl: Simctl, tmp_path: Path, as_root: None) -> None:
    """With image and snapshot made, a run needs nothing but to read them: all of root's capabilities are dropped."""
    code = (
        "import os, sys; from orchestrator.system import linux; linux.limit_capabilities(frozenset()); "
        "os.execv(sys.executable, [sys.executable, '-m', 'orchestrator', *sys.argv[1:]])"
    )
    command = [sys.executable, "-c", code, "run", "session-close", "-r", "vm", "-o", str(tmp_path / "runs")]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
