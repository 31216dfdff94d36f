"""One QEMU process: started, frozen or thawed, watched, ended. It never outlives us, however we end."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from orchestrator.errors import EnvironmentFailure
from orchestrator.text.progress import Progress
from orchestrator.vm import icount
from orchestrator.vm.exchange import Exchange
from orchestrator.vm.machine import MEMORY, Machine
from orchestrator.vm.qmp import Qmp, QmpClosed, QmpError, QmpTimeout

SILENCE = 120.0
"""Seconds. A guest that gives no sign while its QEMU computes for so long hangs, and so does one that stands still for
so long: it beats every few seconds of its own time. On a machine that is busy with other things it may take longer."""

_LOOK_EVERY = 5.0
_STANDS_STILL = 0.02
"""The share of a core below which nothing is going on: a guest that idles without a timer."""

_START_TIMEOUT = 60.0
_FREEZE_TIMEOUT = 120.0
_CONSOLE_LINES = 12
_PANIC = "Kernel panic"
_HINT = "without virtual time: --runtime netns"
MEMORY_NEEDED = MEMORY // 2
"""Bytes that must be available to start a guest."""


class Emulator:
    """A context manager: QEMU runs inside it. `fresh` as in Machine.command."""

    def __init__(
        self, machine: Machine, exchange: Exchange, *, fresh: bool, progress: Progress, silence: float = SILENCE
    ) -> None:
        self._machine = machine
        self._exchange = exchange
        self._fresh = fresh
        self._silence = silence
        self._progress = progress
        self._said = 0
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Emulator:
        _check_memory()
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _start(self) -> None:
        # In memory, so that nothing is left behind whoever is killed.
        console, errors = (os.memfd_create(f"simctl-{name}") for name in ("console", "errors"))
        for fd in (console, errors):
            self._cleanup.callback(os.close, fd)
        self._console, self._errors = (Path(f"/proc/self/fd/{fd}") for fd in (console, errors))
        ours, theirs = socket.socketpair()
        self._qmp = Qmp(ours)
        self._cleanup.callback(self._qmp.close)
        command = self._machine.command(
            qmp=theirs.fileno(), exchange_=self._exchange.descriptor, console=self._console, fresh=self._fresh
        )
        setpriv = shutil.which("setpriv")
        bound = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
        with theirs:
            self._process = subprocess.Popen(
                [*bound, *command],
                pass_fds=[theirs.fileno(), self._exchange.descriptor, console],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )
        self._cleanup.callback(self._end)
        with self._told("start"):
            self._qmp.negotiate(_START_TIMEOUT)
            capabilities = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]
            self._qmp.command("migrate-set-capabilities", capabilities=capabilities)

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    # -- freeze and thaw -----------------------------------------------------------------------------------------

    def freeze(self, state: Path) -> None:
        """Write the stopped machine's state, all but its memory: that is in the memory's file already."""
        descriptor = os.open(state, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with self._told("be frozen"):
                self._qmp.command("getfd", fdname="state", descriptor=descriptor)
                self._qmp.command("migrate", uri="fd:state")
                self._await_migration()
                icount.restart(state, self._machine.shift)
        except icount.UnknownState as error:
            raise EnvironmentFailure(f"this version of QEMU is not known: {error}", hint=_HINT) from None
        finally:
            os.close(descriptor)

    def thaw(self, state: Path) -> None:
        """Take over the state of a frozen machine. It stays stopped."""
        descriptor = os.open(state, os.O_RDONLY)
        try:
            with self._told("be thawed"):
                self._qmp.command("getfd", fdname="state", descriptor=descriptor)
                self._qmp.command("migrate-incoming", uri="fd:state")
                self._await_migration()
        finally:
            os.close(descriptor)

    def _await_migration(self) -> None:
        deadline = time.monotonic() + _FREEZE_TIMEOUT
        while True:
            event = self._qmp.event(deadline - time.monotonic())
            status = event["data"]["status"] if event["event"] == "MIGRATION" else ""
            if status == "completed":
                return
            if status == "failed":
                raise QmpError("the state could not be moved")

    # -- run -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Let time run until the guest rings. What it says meanwhile goes to `progress`. Raises EnvironmentFailure."""
        with self._told("go on"):
            self._qmp.command("cont")
        while True:
            try:
                event = self._await_sign()
            except QmpClosed:
                raise self._failure("QEMU ended while the guest ran") from None
            self._pass_on()
            if event == "GUEST_PANICKED":
                return
            if event == "SHUTDOWN":
                raise self._failure("the guest broke down")

    def _await_sign(self) -> str:
        """The name of the next event. Raises EnvironmentFailure when the guest hangs, QmpClosed."""
        began, computed = time.monotonic(), self._computed()
        while True:
            try:
                return str(self._qmp.event(min(_LOOK_EVERY, self._silence))["event"])
            except QmpTimeout:
                passed, cpu = time.monotonic() - began, self._computed() - computed
                if cpu >= self._silence or (passed >= self._silence and cpu < _STANDS_STILL * passed):
                    raise self._failure(f"the guest hangs: it gave no sign for {passed:.0f} s") from None

    def _computed(self) -> float:
        """Seconds of processor time that QEMU took so far."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            raise QmpClosed from None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _pass_on(self) -> None:
        text = self._exchange.said(self._said)
        self._said += len(text.encode())
        for line in text.splitlines():
            self._progress(line)

    # -- what is told of failures ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except QmpClosed:
            raise self._failure(f"QEMU ended when it was to {what}") from None
        except QmpTimeout:
            raise self._failure(f"QEMU hangs: it was to {what}") from None
        except QmpError as error:
            raise self._failure(f"QEMU could not {what} ({error})") from None

    def _failure(self, message: str) -> EnvironmentFailure:
        """With what QEMU complained of, and the last lines of the guest's console."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        lines = [line for path in (self._errors, self._console) for line in _last_lines(path)]
        return EnvironmentFailure(message, detail=lines, hint=_HINT)


def _last_lines(path: Path) -> list[str]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    before, panic, after = text.partition(_PANIC)
    lines = (before + panic + after.partition("\n")[0]).splitlines()  # the rest are registers
    return [line.rstrip() for line in lines if line.strip()][-_CONSOLE_LINES:]


def _check_memory() -> None:
    """A guest that the machine has no memory for would be killed in the middle."""
    available = available_memory()
    if available < MEMORY_NEEDED:
        raise EnvironmentFailure(
            f"too little memory for a virtual machine: {available >> 20} MB are available, "
            f"{MEMORY_NEEDED >> 20} MB are needed",
            hint="free some memory, or use --runtime netns",
        )


def available_memory() -> int:
    """Bytes that programs can still take."""
    text = Path("/proc/meminfo").read_text()
    return int(text.partition("MemAvailable:")[2].split()[0]) * 1024
