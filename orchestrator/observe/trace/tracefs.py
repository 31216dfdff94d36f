"""A private tracefs instance: buffers, filters and events of our own, removed on every way out.

An instance is the one thing of a run that the kernel does not take back when a process dies. So its name is written
down before it is made (`recorded`), and the next run or `simctl clean` removes those whose owner is gone.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.system.linux import CLONE_NEWNS, MS_PRIVATE, MS_REC, mount, process_start_time, unshare

TRACEFS = Path("/sys/kernel/tracing")
RECORDS = Path("/run/simctl/trace")
"""On the machine whose kernel has the instances: a probe in a container reaches it through engineside.py."""

_RECORD = re.compile(r"simctl-([0-9]{1,10})-([0-9]{1,20})")
"""Pid and start time of its owner."""

EVENTS = {
    "sock/inet_sock_set_state": "protocol == 6",  # MPTCP and SCTP share the event
    "tcp/tcp_send_reset": None,
    "tcp/tcp_receive_reset": None,
    "tcp/tcp_retransmit_skb": None,
    "tcp/tcp_retransmit_synack": None,
    "tcp/tcp_destroy_sock": None,
    "timer/timer_start": "function.function == tw_timer_handler",
    "timer/timer_expire_entry": "function.function == tw_timer_handler",
}
"""What is traced, and the filter that the kernel applies before anything is written."""

_BUFFER_KB = 8192
"""Per CPU: room for 8000 connections between two reads, at about 1 KB each."""


class Instance:
    """One tracefs instance. Make it with `create`; it records between `start` and `stop`; `close` removes it."""

    def __init__(self, path: Path, record: Path) -> None:
        self.path = path
        self._record = record

    @classmethod
    def create(cls, records: Path = RECORDS) -> Instance:
        """Mount tracefs where only this process sees it, if need be, and make the instance. Raises OSError."""
        root = _mounted()
        name = f"simctl-{os.getpid()}-{process_start_time(os.getpid())}"
        records.mkdir(parents=True, exist_ok=True)
        instance = cls(root / "instances" / name, records / name)
        instance._record.touch()
        try:
            instance.path.mkdir()
            instance._configure()
        except BaseException:
            instance.close()
            raise
        return instance

    def _configure(self) -> None:
        self._write("tracing_on", "0")
        self._write("trace_clock", "mono")
        self._write("buffer_size_kb", str(_BUFFER_KB))
        self._write("buffer_percent", "0")  # whoever polls is woken by one event
        for event, condition in EVENTS.items():
            folder = f"events/{event}"
            if condition:
                self._filter(f"{folder}/filter", condition)
            self._write(f"{folder}/enable", "1")

    def _filter(self, name: str, condition: str) -> None:
        try:
            self._write(name, condition)
        except OSError as error:
            field, by_symbol, symbol = condition.partition(".function == ")
            if error.errno != errno.EINVAL or not by_symbol:
                raise
            self._write(name, f"{field} == {symbol_address(symbol):#x}")  # before Linux 6.4 filters know no symbols

    def formats(self) -> Mapping[str, str]:
        """Event -> the text of its `format` file."""
        return {event: (self.path / "events" / event / "format").read_text() for event in EVENTS}

    def raw_pipes(self) -> list[int]:
        """One descriptor per CPU to read pages from, without waiting."""
        paths = sorted(self.path.glob("per_cpu/cpu*/trace_pipe_raw"), key=lambda path: int(path.parent.name[3:]))
        return [os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) for path in paths]

    def lost(self) -> int:
        """Events that did not fit, on all CPUs, since the beginning."""
        total = 0
        for path in self.path.glob("per_cpu/cpu*/stats"):
            for line in path.read_text().splitlines():
                name, _, value = line.partition(":")
                if name in ("overrun", "commit overrun", "dropped events"):
                    total += int(value)
        return total

    def start(self) -> None:
        self._write("tracing_on", "1")

    def stop(self) -> None:
        self._write("tracing_on", "0")

    def close(self) -> None:
        """Remove the instance; every descriptor into it must be closed. Two may remove one that was left behind."""
        try:
            self.path.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):  # ENODEV: somebody else is about to have removed it
                raise
        self._record.unlink(missing_ok=True)

    def _write(self, name: str, value: str) -> None:
        (self.path / name).write_text(value)


@functools.cache
def symbol_address(name: str) -> int:
    """Where the kernel has a function. Raises OSError when it does not say."""
    with Path("/proc/kallsyms").open() as symbols:
        for line in symbols:
            address, _, found, *_ = line.split()
            if found == name and int(address, 16):
                return int(address, 16)
    raise OSError(errno.ENOENT, f"the kernel does not report where {name} is")


def _mounted() -> Path:
    if not (TRACEFS / "instances").is_dir():
        unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("simctl", str(TRACEFS), "tracefs")
    return TRACEFS


def remove_leftovers(records: Path = RECORDS) -> list[str]:
    """Remove the instances of processes that were killed; returns their names. Raises OSError.

    May move this process into a mount namespace of its own: for the probe, or for `python -m` this file.
    """
    removed: list[str] = []
    for record in sorted(records.iterdir()) if records.is_dir() else []:
        ours = _RECORD.fullmatch(record.name)
        try:
            mode = record.lstat().st_mode
        except FileNotFoundError:  # another simctl has just removed it
            continue
        if ours is None or not stat.S_ISREG(mode):  # no record of ours: it stands for nothing
            if _removed(record):
                removed.append(record.name)
            continue
        if process_start_time(int(ours[1])) == int(ours[2]):
            continue
        Instance(_mounted() / "instances" / record.name, record).close()
        removed.append(record.name)
    return removed


def _removed(stray: Path) -> bool:
    """Whether it is gone, whatever it was."""
    if stray.is_dir() and not stray.is_symlink():
        shutil.rmtree(stray, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            stray.unlink()
    return not os.path.lexists(stray)


if __name__ == "__main__":
    try:
        print(json.dumps(remove_leftovers()))
    except OSError as error:
        sys.exit(str(error))
