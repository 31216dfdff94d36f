"""A session of observing: a probe, the file that its lines go into, and a clock. It needs no lab.

    with Session(lambda: LocalProbe(log), SessionFiles(events, log, texts)) as session:
        session.start()                                  # time starts here
        addresses = session.addresses(pid)
        session.begin([declare("server", addresses)])    # the first line of the recording
        session.trace(addresses)                         # as root: every change of state, not samples alone
        session.watch({"server": pid})                   # from here on each tick reads that network namespace
        session.sample(on=True)
        session.mark("end")
        session.finish("done")

Whoever makes the nodes himself, as a lab does, wires them between `watch` and `sample`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from orchestrator.errors import EnvironmentFailure
from orchestrator.observe.client import ProbeClient
from orchestrator.observe.pace import REAL, Pace
from orchestrator.observe.process import ProbeProcess
from orchestrator.recording.events import FORMAT, Event
from orchestrator.recording.writer import EventWriter
from orchestrator.text.record import record

if TYPE_CHECKING:
    from orchestrator.recording.lines import BeginNode


@record
class SessionFiles:
    """Where a session writes: the recording, the probe's log, folders MOMENT/NODE.TOOL.txt of what tools printed."""

    events: Path
    log: Path
    texts: Path


def declare(name: str, addresses: Iterable[str], *, shared: bool = True) -> BeginNode:
    """A node of the `begin` line that is no lab's: a network namespace with its IPv4 addresses.

    `shared`: processes that are not the node's may be in it, or come into it. False only for whoever made it.
    """
    return {
        "name": name, "service": name, "kind": None, "role": "foreign", "addresses": list(addresses), "events": False,
        "shared": shared,
    }  # fmt: skip


class Session:
    """One recording, from its first line to its last. `probe` starts the probe: it ends with the session."""

    def __init__(self, probe: Callable[[], ProbeProcess], files: SessionFiles, pace: Pace = REAL) -> None:
        self.pace = pace
        self._files = files
        self._start_probe = probe
        self._zero: float | None = None
        self._zero_of_nodes = 0.0
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Session:
        try:
            self._writer = EventWriter(self._files.events)
            self._cleanup.callback(self._writer.close)
            self.probe = ProbeClient(self._start_probe(), self._files.log, self._writer.write_lines)
            self._cleanup.callback(self.probe.close)
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    # -- the beginning -------------------------------------------------------------------------------------------

    def begin(self, nodes: Sequence[BeginNode], *, scenario: str = "", runtime: str = "") -> None:
        """Write the first line: who is going to be watched. Time starts here, unless it has started."""
        self._set_clock()
        self._writer.write(
            {"t": 0, "ev": "begin", "format": FORMAT, "scenario": scenario, "runtime": runtime,
             "clock": self.pace.clock, "period": self.pace.period, "quiet": self.pace.quiet, "nodes": list(nodes)}
        )  # fmt: skip

    def start(self, user_namespace: int | None = None) -> None:
        """Set the probe's clock; time starts here, unless it has started. `user_namespace`: a process in the one that
        owns what is to be watched, if that is not the probe's own."""
        self._set_clock()
        self.probe.call(
            "start",
            userns=user_namespace,
            zero=self._zero_of_nodes,
            period=self.pace.period,
            quiet=self.pace.quiet,
        )

    def _set_clock(self) -> None:
        if self._zero is None:
            self._zero = time.monotonic()
            self._zero_of_nodes = self.probe.clock_at(self._zero)

    def addresses(self, pid: int) -> list[str]:
        """IPv4 addresses of a process's network namespace, loopback aside. After `start`."""
        return list(self.probe.call("addresses", pid=pid)["addresses"])

    def trace(self, addresses: Iterable[str], *, unprivileged: bool = False) -> None:
        """Have the kernel report what happens to sockets of these addresses, as root. A note says why it cannot."""
        untraced = self.probe.call("trace", addresses=list(addresses), unprivileged=unprivileged)["untraced"]
        if untraced:
            self.note(f"no kernel trace ({untraced}): samples {self.pace.period * 1000:g} ms apart are all there is")

    def watch(self, pids: Mapping[str, int], nats: Iterable[str] = ()) -> None:
        """Sample the network namespaces of these processes, node -> pid, from the next tick on. `nats`: nodes whose
        translations are recorded too. Raises EnvironmentFailure."""
        self.probe.call("watch", pids=dict(pids), nats=list(nats))

    # -- use -----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the start of the recording."""
        return time.monotonic() - (self._zero or 0.0)

    def on_our_clock(self, theirs: float) -> float:
        """Seconds since the start of the recording, of a reading of the nodes' monotonic clock."""
        return round(theirs - self._zero_of_nodes, 6)

    def write(self, event: Event) -> None:
        """A line of the recording. It gets the time of now when it has none."""
        event.setdefault("t", round(self.now(), 6))
        self._writer.write(event)

    def note(self, text: str) -> None:
        """Something that the reader should know."""
        self._writer.write({"t": round(self.now(), 6), "ev": "note", "text": text})

    def sample(self, *, on: bool) -> None:
        """Begin or end sampling."""
        self.probe.call("sample", on=on)

    def mark(self, *names: str, texts: bool = True) -> float:
        """A named moment: one sample of all nodes, and the real ss and netstat of each. Several names may share it."""
        self.check()
        answer = self.probe.call("mark", texts=texts)
        took = {"took": answer["took"]} if texts else {}
        for name in names:
            self._writer.write({"t": answer["t"], "ev": "moment", "name": name} | took)
        if texts and names:
            self._keep_texts(names, answer["texts"])
        return float(answer["t"])

    def socket_texts(self) -> dict[str, dict[str, str]]:
        """What ss and netstat print now: node -> tool -> text."""
        texts: dict[str, dict[str, str]] = self.probe.call("mark", texts=True)["texts"]
        return texts

    def check(self) -> None:
        """Raise EnvironmentFailure when something could not be written, or the probe is gone."""
        self._writer.check()
        if not self.probe.alive:
            self.probe.call("sample", on=False)

    def close_recording(self) -> None:
        """What comes from here on is no part of the recording."""
        self._writer.close()

    def check_written(self) -> None:
        """After the end: raise when not all of the recording could be written."""
        self._writer.check()

    # -- the end -------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """No more samples; what the kernel reported is written."""
        with contextlib.suppress(EnvironmentFailure):  # the probe may be what failed
            self.sample(on=False)
            self.probe.call("trace_end")

    def finish(self, outcome: str, detail: str = "") -> None:
        """Stop, and write the last line: `done`, `interrupted` or `failed`."""
        self.stop()
        self.end(outcome, detail)

    def end(self, outcome: str, detail: str = "") -> None:
        """After `stop`: write the last line."""
        self._writer.write({"t": round(self.now(), 6), "ev": "end", "outcome": outcome, "detail": detail})

    def _keep_texts(self, names: Sequence[str], texts: Mapping[str, Mapping[str, str]]) -> None:
        first = self._files.texts / names[0]
        first.mkdir(parents=True, exist_ok=True)
        for node, by_tool in texts.items():
            for tool, text in by_tool.items():
                (first / f"{node}.{tool}.txt").write_text(text)
        for other in names[1:]:
            (self._files.texts / other).symlink_to(names[0], target_is_directory=True)
