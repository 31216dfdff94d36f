"""Captures every network of the lab into a file of its own, `NETWORK.pcapng`.

Each frame is taken once: when it enters the fabric, at the far end of the leg of the node that sent it. So the
interface of a frame names its sender, and its time is the kernel's for that moment. The kernel puts frames into shared
memory; a child of the probe writes them to the files, so neither a burst nor a slow disk holds up the sampling.

The probe's side writes the files itself, into the folder of the request: the run's own, or, in a container, one of the
container's, from which simctl copies them. Frames that the kernel had to drop are counted. A file that cannot be
written any further ends after its last whole block, and the run goes on.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import socket
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from ipaddress import IPv4Interface
from pathlib import Path
from typing import NoReturn

from orchestrator import __version__
from orchestrator.fabric.wiring import Leg, mac
from orchestrator.observe.capture import pcapng
from orchestrator.observe.capture.packetring import BLOCK, HANDOVER, PacketRing, only_from
from orchestrator.system.linux import readable
from orchestrator.text.record import record

_MEMORY = 32 << 20
"""Bytes of kernel memory for the rings of all networks: some 200 000 small frames, or 5 s without a reader."""

_LEAST_BLOCKS = 16
_LAST_FRAMES = 1.0
"""Seconds that the last frames may take from the kernel to us: each block comes after `HANDOVER` at the latest."""

_FINISH_TIMEOUT = 10.0
"""Seconds that the child may take to write what it has: a disk that hangs must not hang the run."""


@record
class Captured:
    """What became of one network's capture. `error`: why the file ends before the run did, None when it does not.

    `frames` are those in the file, `dropped` those that the kernel had no room for; None when nobody knows.
    """

    frames: int | None
    dropped: int | None
    error: str | None

    def summary(self, file: str) -> str:
        """One line for the reader of the run; `file` is what to call the file."""
        if self.error is None:
            return f"capture: {self.frames} frames in {file}, {self.dropped or 'none'} dropped by the kernel"
        holds = "" if self.frames is None else f" ({self.frames} frames)"
        return f"capture: {file}{holds} ends before the run: {self.error}"


class Capture:
    """A capture that runs until `finish`, or until this process ends: then the files are finished too.

    `ports`: interface of the current network namespace -> the leg whose far end it is. `zero`: what `time.monotonic()`
    was at t = 0. Raises OSError when the kernel allows no capture; what the file system refuses `finish` reports.
    """

    def __init__(self, folder: Path, ports: Mapping[str, Leg], zero: float) -> None:
        networks: dict[str, dict[int, Leg]] = {}
        for port, leg in ports.items():
            networks.setdefault(leg.network, {})[socket.if_nametoindex(port)] = leg
        self.folder = folder
        self._networks = list(networks)
        blocks = max(_LEAST_BLOCKS, _MEMORY // BLOCK // max(1, len(networks)))
        zero_ns = _wall_clock_at(zero)
        recorders: list[_Recorder] = []
        try:
            for network, legs in networks.items():
                ring = PacketRing(only_from(legs, pcapng.SNAP), blocks=blocks)
                recorders.append(_Recorder(ring, _File(folder / f"{network}.pcapng"), legs, _header(network, zero_ns)))
            self._fork(recorders)
        finally:
            for recorder in recorders:
                recorder.close()

    def _fork(self, recorders: Sequence[_Recorder]) -> None:
        stop, self._stop = os.pipe()
        self._result, result = os.pipe()
        parent = os.pidfd_open(os.getpid())
        self._child = os.fork()
        if self._child == 0:
            _be_the_child(recorders, stop, parent, result)
        for fd in (stop, parent, result):
            os.close(fd)

    def finish(self) -> dict[str, Captured]:
        """Take no more frames, write what was taken, and report by network what is in its file."""
        with contextlib.suppress(BrokenPipeError):  # the child is gone: its status says why
            os.write(self._stop, b"\n")
        answer = self._await_answer()
        os.close(self._stop)
        os.close(self._result)
        _, status = os.waitpid(self._child, 0)
        if answer:
            return {network: Captured(**fields) for network, fields in json.loads(answer).items()}
        error = f"the process that writes it died ({os.waitstatus_to_exitcode(status)})"
        return dict.fromkeys(self._networks, Captured(None, None, error))

    def _await_answer(self) -> bytes:
        answer = b""
        deadline = time.monotonic() + _FINISH_TIMEOUT
        while readable([self._result], max(0.0, deadline - time.monotonic())):
            chunk = os.read(self._result, 1 << 16)
            if not chunk:
                return answer
            answer += chunk
        os.kill(self._child, 9)
        return b""


class _File:
    """Appends whole blocks. The first failure is kept; the file then ends after the last block that is whole in it."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.error: str | None = None
        self.fd = -1
        self._size = 0
        try:
            self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self.error = _reason(error)

    def write(self, blocks: bytes) -> bool:
        """Whether it is all in the file."""
        if self.error is not None:
            return False
        rest = memoryview(blocks)
        try:
            while rest:
                rest = rest[os.write(self.fd, rest) :]
        except OSError as error:
            self.error = _reason(error)
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self._size)
            return False
        self._size += len(blocks)
        return True


class _Recorder:
    """One network: from its ring into its file."""

    def __init__(self, ring: PacketRing, file: _File, legs: Mapping[int, Leg], header: bytes) -> None:
        self.ring = ring
        self.file = file
        self._interfaces = {ifindex: number for number, ifindex in enumerate(legs)}
        self._written = [0] * len(legs)
        self._began = time.time_ns()
        interfaces = b"".join(_interface(leg) for leg in legs.values())
        file.write(header + interfaces + pcapng.names({leg.address: leg.node for leg in legs.values()}))

    def close(self) -> None:
        """Give up this process's hold on both."""
        self.ring.close()
        if self.file.fd >= 0:
            os.close(self.file.fd)

    def take(self) -> None:
        """Write every frame that the kernel has handed over."""
        interfaces = self._interfaces
        for frames in self.ring.read():
            blocks = [
                pcapng.packet(interfaces[frame.ifindex], frame.time_ns, frame.data, frame.length) for frame in frames
            ]
            if self.file.write(b"".join(blocks)):
                for frame in frames:
                    self._written[interfaces[frame.ifindex]] += 1
            else:
                self.ring.refuse()

    def finish(self) -> Captured:
        """Write the last frames, once the ring refuses more, and the statistics."""
        deadline = time.monotonic() + _LAST_FRAMES
        while not self.ring.all_read() and time.monotonic() < deadline:
            readable([self.ring.fileno()], HANDOVER)
            self.take()
        dropped = self.ring.dropped()
        self.file.write(b"".join(self._statistics(dropped)))
        return Captured(sum(self._written), dropped, self.file.error)

    def _statistics(self, dropped: int) -> Iterable[bytes]:
        """The kernel counts drops by ring, not by interface: the first interface shows those of the network."""
        now = time.time_ns()
        comment = "dropped: of all interfaces of this network"
        for number, written in enumerate(self._written):
            yield pcapng.statistics(
                number,
                now,
                began_ns=self._began,
                written=written,
                dropped=0 if number else dropped,
                comment=comment if dropped and not number else "",
            )


def _be_the_child(recorders: Sequence[_Recorder], stop: int, parent: int, result: int) -> NoReturn:
    """Until it has to stop, or until the parent is gone, however it went. Nothing else of the parent is kept open."""
    status = 1
    try:
        gc.disable()
        kept = [2, stop, parent, result, *(recorder.ring.fileno() for recorder in recorders)]
        _close_all_but({*kept, *(recorder.file.fd for recorder in recorders)})
        answer = _record(recorders, (stop, parent))
        with contextlib.suppress(BrokenPipeError):
            os.write(result, json.dumps(answer).encode())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _record(recorders: Sequence[_Recorder], ends: Sequence[int]) -> dict[str, dict[str, object]]:
    poll = select.poll()
    for recorder in recorders:
        recorder.ring.attach()
        poll.register(recorder.ring, select.POLLIN)
    for end in ends:
        poll.register(end, select.POLLIN)
    ended = False
    while not ended:
        ended = any(fd in ends for fd, _ in poll.poll())
        for recorder in recorders:
            recorder.take()
    for recorder in recorders:
        recorder.ring.refuse()
    return {recorder.file.name: asdict(recorder.finish()) for recorder in recorders}


def _close_all_but(kept: set[int]) -> None:
    """Above all the probe's output, and the nodes' namespaces, which would live as long as this process."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in {int(entry.name) for entry in Path("/proc/self/fd").iterdir()} - kept - {0, 1, null}:
        with contextlib.suppress(OSError):  # the one with which the folder was listed
            os.close(fd)
    for fd in (0, 1):
        os.dup2(null, fd)


def _header(network: str, zero_ns: int) -> bytes:
    seconds, nanoseconds = divmod(zero_ns, 1_000_000_000)
    date = datetime.fromtimestamp(seconds, UTC)
    zero = f"{seconds}.{nanoseconds:09d} s since the epoch, {date:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
    system = os.uname()
    return pcapng.section(
        application=f"simctl {__version__}",
        system=f"{system.sysname} {system.release}",
        comment=f"network {network}; t = 0 of events.jsonl is {zero}",
    )


def _interface(leg: Leg) -> bytes:
    return pcapng.interface(
        name=f"{leg.node}:{leg.name}",
        description=f"what {leg.node} sends into the network {leg.network}",
        address=IPv4Interface(f"{leg.address}/{leg.prefix}"),
        mac=mac(leg.address),
    )


def _wall_clock_at(monotonic: float) -> int:
    """What the wall clock showed, ns since the epoch, when `time.monotonic()` was that: the quickest of five looks."""
    looks = [(time.monotonic_ns(), time.time_ns(), time.monotonic_ns()) for _ in range(5)]
    before, wall, after = min(looks, key=lambda look: look[2] - look[0])
    return wall - ((before + after) // 2 - round(monotonic * 1e9))


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
