"""Requests about observing: which namespaces, how often, with the kernel's trace or without. And the ticks."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.observe.pace import REAL, Schedule
from orchestrator.observe.requests import Handlers, Message
from orchestrator.observe.requests.machine import Machine
from orchestrator.observe.sampler import Sampler
from orchestrator.observe.sources.sockdiag import SocketRow
from orchestrator.observe.sources.sstext import Place, SocketTexts
from orchestrator.recording.events import Event
from orchestrator.system.linux import CLONE_NEWNET, CLONE_NEWUSER, inside_netns, setns, unshare

if TYPE_CHECKING:
    from orchestrator.observe.sources.filtered import Filtered, Rule
    from orchestrator.observe.sources.segments import Segments
    from orchestrator.observe.trace.tracer import Tracer


class Watching:
    """What is watched, and when the next tick is due. `emit` takes event lines."""

    def __init__(self, machine: Machine, emit: Callable[[Iterable[Event]], None]) -> None:
        self._machine = machine
        self._emit = emit
        self.zero = 0.0
        self._schedule = Schedule(REAL.period, REAL.quiet)
        self._sampler: Sampler | None = None
        self._known_addresses: set[str] = set()
        self._tracer: Tracer | None = None
        self._ready_tracer: Tracer | None = None
        self._segments: Segments | None = None
        self._filtered: Filtered | None = None
        self._rules: dict[int, Rule] = {}
        self._texts: SocketTexts | None = None
        self._sampling = False
        self._at_end = contextlib.ExitStack()
        self.handlers: Handlers = {
            "start": self._start,
            "addresses": lambda message: {"addresses": self._addresses(message["pid"])},
            "watch": self._watch,
            "trace": self._trace,
            "trace_end": self._trace_end,
            "sample": self._sample,
            "mark": self._mark,
            "listening": lambda message: {"ports": self.sampler.listening(message["node"])},
            "tables": lambda message: {"rows": [row._asdict() for row in self._rows(message["node"])]},
        }

    @property
    def sampler(self) -> Sampler:
        if self._sampler is None:
            raise ValueError("the first request must be `start`")
        return self._sampler

    # -- the loop's side -----------------------------------------------------------------------------------------

    def clock(self) -> float:
        return round(time.monotonic() - self.zero, 6)

    def seconds_until_tick(self) -> float | None:
        """How long the loop may wait, None for ever."""
        return max(0.0, self._schedule.due - time.monotonic()) if self._sampling else None

    @property
    def watched(self) -> Sequence[int]:
        """Descriptors that become readable with something new; `news` is to be called then."""
        watches = self._sampling and self._schedule.awaits_news and self._tracer is not None
        filtered = [] if self._filtered is None else [self._filtered.fileno()]
        pipes = self._tracer.pipes if watches and self._tracer is not None else ()
        return [*pipes, *self.sampler.watched, *filtered] if watches else ()

    def news(self) -> None:
        self._schedule.news()

    def tick_if_due(self) -> None:
        if self._sampling and time.monotonic() >= self._schedule.due:
            self._tick()

    def _tick(self, *, moment: bool = False) -> float:
        begun, before = time.monotonic(), time.process_time()
        t = self.sampler.tick(moment=moment)
        took, traced = time.monotonic() - begun, self._tracer is not None
        news = moment or self._tracer is None
        if self._tracer is not None and self._tracer.take():
            news = True
        if self._segments is not None:
            self._segments.take()
        if self._filtered is not None and self._filtered.take():
            news = True
        cpu = time.process_time() - before
        self._schedule.ticked(begun, took, cpu, nodes=len(self.sampler.nodes), traced=traced, news=news)
        return t

    def close(self) -> None:
        """What the kernel would not take back by itself, and what would keep the process."""
        self._at_end.close()

    def ahead(self) -> None:
        """Make now what `start`, `trace` and the first `mark` would make, in the machine's own user namespace."""
        self._make_sampler()
        with contextlib.suppress(OSError):  # `trace` will tell
            self._ready_tracer = self._make_tracer()
        self._make_texts().warm_up()

    def take_segments(self, ports: Mapping[str, str]) -> None:
        """Record what opens and closes connections where it enters the network: interface of ours -> the node at its
        other end. Where the kernel allows no packet socket the recording has no such lines."""
        from orchestrator.observe.sources.segments import Segments

        with contextlib.suppress(PermissionError):
            self._segments = Segments(ports, self.zero)
            self._at_end.callback(self._segments.close)

    def report_filtered(self, group: int, number: int, rule: Rule, ports: Mapping[str, str]) -> None:
        """Record the packets that a rule of ours takes, which it reports to that group of the kernel's log. In the
        fabric's namespace. Raises OSError where the kernel cannot."""
        from orchestrator.observe.sources.filtered import Filtered

        self._rules[number] = rule
        if self._filtered is None:
            self._filtered = Filtered(group, ports, self.zero, self._rules)
            self._at_end.callback(self._filtered.close)

    # -- requests ------------------------------------------------------------------------------------------------

    def _start(self, message: Message) -> Message:
        self.zero = message["zero"]
        self._schedule = Schedule(message["period"], message["quiet"])
        if message.get("userns"):
            fd = os.open(f"/proc/{message['userns']}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            setns(fd, CLONE_NEWUSER)
            os.close(fd)
        if self._sampler is None:
            self._make_sampler()
        self.sampler.start()
        return {}

    def _make_sampler(self) -> None:
        unshare(CLONE_NEWNET)  # nothing of the probe is in any table that it reads
        self._sampler = Sampler(self._emit, self.clock, self._known_addresses)

    def _addresses(self, pid: int) -> list[str]:
        """IPv4 addresses of the network namespace of a process, those of loopback aside."""
        from pyroute2 import IPRoute

        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with inside_netns(namespace, self.sampler.home), IPRoute() as ip:
                found = [message.get_attr("IFA_ADDRESS") for message in ip.get_addr(family=socket.AF_INET)]
        finally:
            os.close(namespace)
        return [address for address in found if address and not address.startswith("127.")]

    def _watch(self, message: Message) -> Message:
        for node, pid in message["pids"].items():
            self.sampler.add(node, pid, nat=node in message["nats"])
        return {}

    def _trace(self, message: Message) -> Message:
        """Tracing is the machine's own: not for the root of a user namespace, and not on every kernel."""
        self._known_addresses.update(message["addresses"])
        if message["unprivileged"]:
            return {"untraced": "it needs root"}
        try:
            self._tracer = self._ready_tracer or self._make_tracer()
            self._tracer.start()
        except OSError as error:
            return {"untraced": error.strerror or str(error)}
        return {"untraced": None}

    def _make_tracer(self) -> Tracer:
        from orchestrator.observe.trace.tracefs import remove_leftovers
        from orchestrator.observe.trace.tracer import Tracer

        records = self._machine.records
        with contextlib.suppress(OSError):  # what others have left there does not cost this run its trace
            remove_leftovers(records)
        made = Tracer(self._known_addresses, records)
        self._at_end.callback(made.close)  # which takes the kernel 30 ms: when nobody waits for an answer
        return made

    def _trace_end(self, message: Message) -> Message:
        if self._tracer is not None:
            tracer, self._tracer = self._tracer, None
            self._emit(tracer.finish(self.zero))
        if self._segments is not None:
            segments, self._segments = self._segments, None
            self._emit(segments.finish())
        if self._filtered is not None:
            filtered, self._filtered = self._filtered, None
            self._emit(filtered.finish())
        return {}

    def _sample(self, message: Message) -> Message:
        self._sampling = message["on"]
        self._schedule.due = time.monotonic()
        return {}

    def _mark(self, message: Message) -> Message:
        t = self._tick(moment=True)
        if not message["texts"]:
            return {"t": t, "texts": {}}
        places = {node.name: Place(node.netns, node.pid) for node in self.sampler.nodes.values()}
        texts = self._texts or self._make_texts()
        found = texts.read(places, self.tick_if_due)
        return {"t": t, "texts": found, "took": round(time.monotonic() - self.zero - t, 6)}

    def _make_texts(self) -> SocketTexts:
        self._texts = SocketTexts(self.sampler.home)
        self._at_end.callback(self._texts.close)
        return self._texts

    def _rows(self, node: str) -> Iterable[SocketRow]:
        return self.sampler.nodes[node].table.rows()
