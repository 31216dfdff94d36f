"""The probe: the process that wires, observes and (for faults) acts on node namespaces.

`python -m orchestrator.observe.probe` reads requests from standard input and writes events and answers to standard
output, one JSON object a line. It samples by itself between requests. It ends when its input ends, and all that it made
in the kernel lives in its own namespaces, so nothing is left however it ends.

In a container (`--container`) it shares the pids of the engine's machine, and reaches what else belongs to that machine
through engineside.py.

| do | fields | answer |
|---|---|---|
| `clock` | | now: this process's monotonic clock, s |
| `claim` | sizes, fixed (as SubnetClaim.claim) | in a container, before `start`: subnets, or refused, hint, usage |
| `leftovers` | | removed: trace instances whose owner was gone |
| `abilities` | | outcome: as kernelprobe.try_lab has it |
| `start` | userns (pid or null), zero (monotonic s that is t = 0), period and quiet (s, see pace.py) | |
| `trace` | addresses of the lab, unprivileged (in a user namespace) | untraced: why there is none, or null |
| `trace_end` | | its events are emitted before the answer |
| `wire` | networks [name], legs [a wiring.Leg], pids {node: pid}, sysctls, routes as Fabric.add_legs; nats [node] | |
| `capture` | folder | after `wire`: a file for each network |
| `capture_end` | | notes: a line for each file, what is in it |
| `fault` | name, action (`apply` or `heal`), node, settings, see fabric/faults | after `wire` |
| `listening` | node | ports |
| `sample` | on | |
| `mark` | texts (also run ss and netstat) | t, texts {node: {tool: text}} |
| `tables` | node | rows as the socket table has them now |

An answer is `{"re": id, ...}` or `{"re": id, "error": text}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.observe.pace import REAL, Schedule
from orchestrator.observe.sampler import Sampler
from orchestrator.observe.sources.sstext import Place, SocketTexts
from orchestrator.recording.events import Event
from orchestrator.system.linux import CLONE_NEWNET, CLONE_NEWUSER, die_with_parent, keep_freed_memory, setns, unshare

if TYPE_CHECKING:
    from orchestrator.fabric.faults import Faults
    from orchestrator.observe.capture.capture import Capture
    from orchestrator.observe.engineside import EngineSide
    from orchestrator.observe.trace.tracer import Tracer

Message = dict[str, Any]

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Probe:
    """State of the process; `handle` does one request. `engine`: for a probe in a container."""

    def __init__(self, engine: EngineSide | None = None) -> None:
        self._engine = engine
        self._zero = 0.0
        self._schedule = Schedule(REAL.period, REAL.quiet)
        self._sampler: Sampler | None = None
        self._fabric: Any = None
        self._faults: Faults | None = None
        self._tracer: Tracer | None = None
        self._capture: Capture | None = None
        self._texts: SocketTexts | None = None
        self._sampling = False

    def clock(self) -> float:
        return round(time.monotonic() - self._zero, 6)

    @property
    def sampler(self) -> Sampler:
        if self._sampler is None:
            raise ValueError("the first request must be `start`")
        return self._sampler

    def handle(self, request: Message) -> Message:
        handlers: dict[str, Callable[[Message], Message]] = {
            "clock": lambda message: {"now": time.monotonic()},
            "claim": self._claim,
            "leftovers": self._leftovers,
            "abilities": self._abilities,
            "start": self._start,
            "wire": self._wire,
            "fault": self._fault,
            "listening": lambda message: {"ports": self.sampler.listening(message["node"])},
            "trace": self._trace,
            "trace_end": self._trace_end,
            "capture": self._start_capture,
            "capture_end": self._end_capture,
            "sample": self._sample,
            "mark": self._mark,
            "tables": lambda message: {"rows": [row._asdict() for row in self._rows(message["node"])]},
        }
        return handlers[request["do"]](request)

    def seconds_until_tick(self) -> float | None:
        """How long the loop may wait, None for ever."""
        return max(0.0, self._schedule.due - time.monotonic()) if self._sampling else None

    @property
    def watched(self) -> Sequence[int]:
        """Descriptors that become readable with something new; `news` is to be called then."""
        watches = self._sampling and self._schedule.awaits_news and self._tracer is not None
        return [*self._tracer.pipes, *self.sampler.watched] if watches and self._tracer is not None else ()

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
        cpu = time.process_time() - before
        self._schedule.ticked(begun, took, cpu, nodes=len(self.sampler.nodes), traced=traced, news=news)
        return t

    def _claim(self, message: Message) -> Message:
        assert self._engine is not None
        return self._engine.claim(message["sizes"], message["fixed"])

    def _leftovers(self, message: Message) -> Message:
        from orchestrator.observe.trace.tracefs import remove_leftovers

        return {"removed": remove_leftovers(self._records)}

    def _abilities(self, message: Message) -> Message:
        from orchestrator.observe.abilities import try_lab

        return {"outcome": try_lab(user_namespace=False).outcome()}

    @property
    def _records(self) -> Path:
        from orchestrator.observe.trace.tracefs import RECORDS

        return RECORDS if self._engine is None else self._engine.path(RECORDS)

    def _start(self, message: Message) -> Message:
        self._zero = message["zero"]
        self._schedule = Schedule(message["period"], message["quiet"])
        if message.get("userns"):
            fd = os.open(f"/proc/{message['userns']}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            setns(fd, CLONE_NEWUSER)
            os.close(fd)
        unshare(CLONE_NEWNET)
        from orchestrator.fabric.wiring import Fabric

        self._fabric = Fabric()
        self._sampler = Sampler(_emit, self.clock)
        return {}

    def _wire(self, message: Message) -> Message:
        from orchestrator.fabric.wiring import Leg

        for network in message["networks"]:
            self._fabric.add_network(network)
        for node, pid in message["pids"].items():
            self.sampler.add(node, pid, nat=node in message.get("nats", ()))
        legs = [Leg(**leg) for leg in message["legs"]]
        self._fabric.add_legs(legs, self.sampler.namespaces(), message["sysctls"], message.get("routes", {}))
        return {}

    def _fault(self, message: Message) -> Message:
        from orchestrator.fabric.faults import Faults
        from orchestrator.fabric.faults.base import Wired

        if self._faults is None:
            self._faults = Faults(Wired(self._fabric, self.sampler.namespaces(), self.sampler.home))
        self._faults.act(message["name"], message["action"], message["node"], message["settings"])
        return {}

    def _trace(self, message: Message) -> Message:
        """Tracing is the machine's own: not for the root of a user namespace, and not on every kernel."""
        from orchestrator.observe.trace.tracefs import remove_leftovers
        from orchestrator.observe.trace.tracer import Tracer

        if message["unprivileged"]:
            return {"untraced": "it needs root"}
        try:
            remove_leftovers(self._records)
            self._tracer = Tracer(frozenset(message["addresses"]), self._zero, self._records)
        except OSError as error:
            return {"untraced": error.strerror or str(error)}
        return {"untraced": None}

    def _trace_end(self, message: Message) -> Message:
        if self._tracer is not None:
            tracer, self._tracer = self._tracer, None
            _emit(tracer.finish())
        return {}

    def _start_capture(self, message: Message) -> Message:
        from orchestrator.observe.capture.capture import Capture

        folder = Path(message["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        self._capture = Capture(folder, self._fabric.ports, self._zero)
        return {}

    def _end_capture(self, message: Message) -> Message:
        assert self._capture is not None
        capture, self._capture = self._capture, None
        files = capture.finish()
        return {"notes": [captured.told(f"{capture.folder.name}/{name}.pcapng") for name, captured in files.items()]}

    def close(self) -> None:
        """What the kernel would not take back by itself, and what would keep the process."""
        if self._texts is not None:
            self._texts.close()
        if self._tracer is not None:
            self._tracer.close()

    def _sample(self, message: Message) -> Message:
        self._sampling = message["on"]
        self._schedule.due = time.monotonic()
        return {}

    def _mark(self, message: Message) -> Message:
        t = self._tick(moment=True)
        if not message["texts"]:
            return {"t": t, "texts": {}}
        places = {node.name: Place(node.netns, node.pid) for node in self.sampler.nodes.values()}
        if self._texts is None:
            self._texts = SocketTexts(self.sampler.home)
        return {"t": t, "texts": self._texts.read(places, self.tick_if_due)}

    def _rows(self, node: str) -> Iterable[Any]:
        return self.sampler.nodes[node].table.rows()


def _emit(events: Iterable[Event]) -> None:
    _write("".join([f"{_encode(event)}\n" for event in events]))


def _write(text: str) -> None:
    data = text.encode()
    while data:
        data = data[os.write(1, data) :]


def _answer(probe: Probe, line: bytes) -> None:
    request = json.loads(line)
    try:
        answer = probe.handle(request)
    except Exception as error:  # whatever the kernel refuses must reach the user, not end the observer
        answer = {"error": f"{type(error).__name__}: {error}"}
    _emit([{"re": request["id"], **answer}])


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    keep_freed_memory()
    engine = None
    if "--container" in sys.argv:  # its parent is the engine, and the end of its input is all that it waits for
        from orchestrator.observe.engineside import EngineSide

        engine = EngineSide()
    else:
        die_with_parent(signal.SIGTERM)  # not SIGKILL: the trace instance has to be removed
    probe = Probe(engine)
    try:
        _serve(probe)
    finally:
        # A simctl that dies closes our input and has us sent SIGTERM, in any order: the one must not break off what the
        # other began. _leave() ignores the signal first, so nothing can come in between any more.
        try:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        finally:
            probe.close()


def _leave(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit


def _serve(probe: Probe) -> None:
    """Until the input ends."""
    pending = b""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        wait = probe.seconds_until_tick()
        watched = probe.watched
        for descriptor in watched:
            poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(None if wait is None else wait * 1000)]
        for descriptor in watched:
            poll.unregister(descriptor)
        if not {*ready}.isdisjoint(watched):
            probe.news()
        if 0 in ready:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                _answer(probe, line)
        probe.tick_if_due()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, SystemExit):  # simctl is gone: nothing to do and nobody to tell
        main()
    os._exit(0)  # nothing is buffered, and taking an interpreter apart costs 50 ms
