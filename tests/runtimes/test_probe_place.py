"""Where the probe lives, what its container is made of, and whose clock counts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.engine import client as dockerengine
from orchestrator.errors import InputError
from orchestrator.observe.client import ProbeClient
from orchestrator.observe.localprobe import LocalProbe
from orchestrator.runtimes.docker.probeplace import VARIABLE, probe_place
from orchestrator.runtimes.docker.probesources import probe_sources

SAY = (
    "from orchestrator.engine import client; from orchestrator.runtimes.docker import probeplace\n"
    "print(probeplace.probe_place(client.connect()).why)"
)


class Engine:
    """An engine that tells its kernel."""

    def __init__(self, kernel: str) -> None:
        self._kernel = kernel

    def version(self) -> dict[str, Any]:
        return {"KernelVersion": self._kernel}


def place(kernel: str | None = None) -> tuple[bool, str]:
    found = probe_place(cast(Any, Engine(kernel or os.uname().release)))
    return found.container, found.why


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def elsewhere(*before: str) -> str:
    """What is said with the real engine, behind a command that takes something away."""
    argv = [*before, sys.executable, "-c", SAY]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.docker
def test_root_on_the_engine_s_machine(as_root: None) -> None:
    with closing(dockerengine.connect()) as client:
        assert not probe_place(client).container


@pytest.mark.docker
def test_the_engine_s_processes_are_outside_of_our_pid_namespace(as_root: None) -> None:
    assert elsewhere("unshare", "--pid", "--fork", "--mount-proc") == "the engine's processes are not visible here"


@pytest.mark.docker
@pytest.mark.parametrize(
    "before",
    [
        ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
        ["unshare", "--user", "--map-root-user"],
        ["unshare", "--user", "--map-user=1000"],
    ],
    ids=["without a capability", "root of a user namespace", "not root"],
)
def test_less_than_root_of_the_machine(as_root: None, before: list[str]) -> None:
    assert elsewhere(*before) == "simctl is not root here"


@pytest.mark.docker
def test_another_kernel_is_another_machine(as_root: None) -> None:
    assert place("6.6.31-linuxkit") == (True, "the engine runs on another kernel (6.6.31-linuxkit)")


def test_a_remote_engine(as_root: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine.invalid:2376")
    assert place() == (True, "the engine is reached over tcp")


@pytest.mark.parametrize(("asked", "container"), [("process", False), ("container", True)])
def test_what_is_asked_for(monkeypatch: pytest.MonkeyPatch, asked: str, container: bool) -> None:
    monkeypatch.setenv(VARIABLE, asked)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    assert place() == (container, f"{VARIABLE}={asked}")


def test_a_place_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "vm")
    with pytest.raises(InputError, match="SIMCTL_PROBE is 'vm'"):
        place()


def test_the_image_has_all_that_its_programs_import_and_no_more(tmp_path: Path) -> None:
    sources = probe_sources()
    assert not [name for name in sources if name.split("/")[1] in ("cli", "judge", "report", "lab.py")]
    for name, path in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / name)
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in sources]
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import " + ", ".join(modules)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class FarProbe(LocalProbe):
    """A real probe whose monotonic clock is 100 000 s ahead of ours, as on a machine that was started earlier."""

    here = False
    command = ("unshare", "--time", "--monotonic", "100000", "--fork", "--kill-child", *LocalProbe.command)


def test_the_clock_that_counts_is_the_probe_s(as_root: None, tmp_path: Path) -> None:
    if not Path("/proc/self/ns/time").exists():
        pytest.skip("this kernel has no time namespaces")
    log = tmp_path / "probe.log"
    now = time.monotonic()
    for kind, ahead in ((LocalProbe, 0.0), (FarProbe, 100_000.0)):
        probe = ProbeClient(kind(log), log, lambda lines: None)
        try:
            there = probe.clock_at(now)
        finally:
            probe.close()
        assert abs(there - now - ahead) < 1, kind
