"""What all tests share: requirements by marker, the command, the engine, and a check that nothing is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import hypothesis
import pytest

from orchestrator.engine import client as dockerengine
from orchestrator.errors import EnvironmentFailure
from orchestrator.runtimes.docker import containers as dockercontainers
from orchestrator.system.linux import descendants
from tests.support import signals
from tests.support.components import COMPONENTS, lack, require, require_images, require_kinds
from tests.support.needs import made, named
from tests.support.slowones import is_slow
from tests.support.twonodes import TwoNodes, two_nodes

if TYPE_CHECKING:
    from docker import APIClient

_T = TypeVar("_T")
Simctl = Callable[..., subprocess.CompletedProcess[str]]

_SESSION = "SIMCTL_TEST_SESSION"
"""Every process that a test starts inherits this variable, so that it is known after its parents are gone."""

_GRACE = 10.0
"""Seconds that the last processes and containers get to end by themselves."""

_BEGAN = int(time.time())
_LOCK = Path(tempfile.gettempdir(), f"simctl-tests-{os.getuid()}.lock").open("a")  # noqa: SIM115 - held to the end
_left_behind: list[str] = []

# Before pytest-xdist starts its workers, and in each of them.
signals.heed()

# What a developer's shell says to pytest and to programs that print is not meant for those that tests start.
for _name in ("PYTEST_ADDOPTS", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS", "MAKEFLAGS"):
    os.environ.pop(_name, None)

# Examples are never timed: the machine decides how long one takes.
hypothesis.settings.register_profile("simctl", deadline=None)
hypothesis.settings.load_profile("simctl")


# -- requirements ----------------------------------------------------------------------------------------------------

PURE = (
    "analysis",
    "history",
    "judge",
    "kinds",
    "recording",
    "report",
    "run",
    "scenario",
    "tcp",
    "text",
    "topology",
    "truth",
)
"""Rooms whose tests need nothing but Python: those of them that ask for nothing by marker or fixture are pure."""

_NEEDY = ("netns", "docker", "java", "vm", "kinds", "images", "processes", "slow")
_MACHINE = {"simctl", "as_root", "nodes", "engine"}


@pytest.hookimpl(tryfirst=True)  # before the markers select
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests are pure, and what may run beside what: tests mostly wait. Those that make labs on this machine look
    at it as a whole (is anything left?), so they come one after the other; so do those that start virtual machines,
    which need a core."""
    for item in items:
        if is_slow(item.nodeid):
            item.add_marker(pytest.mark.slow)
        room, fixtures = _room(item), set(getattr(item, "fixturenames", ()))
        needy = any(map(item.get_closest_marker, _NEEDY)) or _MACHINE & fixtures
        if room in PURE and not needy:
            item.add_marker(pytest.mark.pure)
        if room == "vm" or item.get_closest_marker("vm"):
            item.add_marker(pytest.mark.xdist_group("virtual"))
        elif any(map(item.get_closest_marker, ("netns", "docker"))) or _MACHINE & fixtures:
            item.add_marker(pytest.mark.xdist_group("machine"))


def _room(item: pytest.Item) -> str:
    """The folder below tests/ in which a test stands."""
    parts = item.path.parts
    return parts[parts.index("tests") + 1] if "tests" in parts[:-1] else ""


@pytest.hookimpl(tryfirst=True)  # before any fixture
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Markers are requirements: no test needs a fixture for that."""
    for component in COMPONENTS:
        if item.get_closest_marker(component):
            require(component)
    for marker in item.iter_markers("kinds"):
        require_kinds(*marker.args)
    if images := named(item, "images"):
        require("docker")
        require_images(images)
    item.stash[_READY] = _made(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """With CI=true a test fails that built what takes long: the time of a build belongs to no test, and a cache would
    hide it everywhere but on a fresh machine."""
    result = yield
    before: set[str] = item.stash.get(_READY, set())
    if new := _made(item) - before:
        pytest.fail(
            f"made inside of a test: {', '.join(sorted(new))}; say by marker (images, kinds, java, vm) that the test "
            "needs it, then tests/support/needs.py makes it before the tests",
            pytrace=False,
        )
    return result


_READY = pytest.StashKey[set[str]]()


def _made(item: pytest.Item) -> set[str]:
    """What stands ready, where it matters."""
    if os.environ.get("CI") != "true" or item.get_closest_marker("pure"):
        return set()
    return made(docker=item.get_closest_marker("docker") is not None and lack("docker") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A pure test starts no process and opens no socket: it is refused."""
    if not item.get_closest_marker("pure"):
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((subprocess.Popen, "__init__"), (socket.socket, "__init__"), (os, "fork")):
            patch.setattr(owner, name, _not_pure)
        return (yield)


def _not_pure(*_: object, **__: object) -> NoReturn:
    pytest.fail("a pure test starts no process and opens no socket: ask for what it needs by marker (pyproject.toml)")


@pytest.fixture
def as_root() -> None:
    """For tests that give up rights, or take those of the machine."""
    require("root")


@pytest.fixture
def nodes(as_root: None, tmp_path: Path) -> Iterator[TwoNodes]:
    """Two nodes whose sockets the test drives, traced: that needs root."""
    with two_nodes(tmp_path) as made:
        yield made


# -- the command and the engine --------------------------------------------------------------------------------------


@pytest.fixture
def simctl(tmp_path: Path) -> Simctl:
    """Runs the command: `simctl("run", file, timeout=60, cwd=..., env={...}, input=...)`; in tmp_path without `cwd`."""

    def run(
        *args: str | Path,
        timeout: float = 60,
        cwd: Path = tmp_path,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "orchestrator", *map(str, args)]
        environment = {**os.environ, **(env or {})}
        return subprocess.run(
            command, cwd=cwd, env=environment, input=input, timeout=timeout, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def engine() -> Iterator[APIClient]:
    """A client of the Docker engine."""
    require("docker")
    with contextlib.closing(dockerengine.connect()) as client:
        yield client


# -- nothing is left behind ------------------------------------------------------------------------------------------


def pytest_sessionstart() -> None:
    os.environ[_SESSION] = uuid.uuid4().hex
    fcntl.flock(_LOCK, fcntl.LOCK_SH)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Processes and containers of the tests that outlive them fail the session; they are named, processes ended."""
    pids = _after_grace(_surviving_processes)
    for pid in pids:
        _left_behind.append(f"process {pid}: {_command_line(pid)}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not lack("docker") and _alone():
        _left_behind.extend(_after_grace(_surviving_containers))
    if _left_behind and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _alone() -> bool:
    """Whether no other session runs on this machine: a container does not show to which of them it belongs."""
    try:
        fcntl.flock(_LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _after_grace(find: Callable[[], list[_T]]) -> list[_T]:
    """What `find` still finds when everything had time to end by itself. Nothing is nothing at two looks: a process
    that is just being executed has neither command line nor environment."""
    deadline = time.monotonic() + _GRACE
    found = find()
    while True:
        time.sleep(0.1)
        before, found = found, find()
        if not (before or found) or time.monotonic() > deadline:
            return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _left_behind:
        terminalreporter.section("left behind by the tests: this fails the session", red=True)
        terminalreporter.write_line("\n".join(_left_behind))


def _surviving_processes() -> list[int]:
    mark = f"{_SESSION}={os.environ[_SESSION]}".encode()
    marked = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and mark in _environ(entry)}
    return sorted(pid for pid in marked | set(descendants(os.getpid())) if _command_line(pid))


def _environ(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it ended while we looked, or it belongs to somebody else
        return []


def _command_line(pid: int) -> str:
    """Empty for a process that is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def _surviving_containers() -> list[str]:
    """Containers of runs whose simctl is dead, made since the session began."""
    try:
        with contextlib.closing(dockerengine.connect()) as client:
            found = client.containers(all=True, filters={"label": dockercontainers.RUN_LABEL})
    except EnvironmentFailure:  # the engine went away, and its containers with it
        return []
    return [
        f"container {item['Names']} of the image {item['Image']}"
        for item in found
        if item["Created"] >= _BEGAN and dockercontainers.starter_is_dead(item["Labels"])
    ]
