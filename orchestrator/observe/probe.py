"""The probe: the process that wires, observes and (for faults) acts on node namespaces.

`python -m orchestrator.observe.probe` reads requests from standard input and writes events and answers to standard
output, one JSON object a line. It samples by itself between requests. It ends when its input ends, and all that it made
in the kernel lives in its own namespaces, so nothing is left however it ends.

In a container (`--container`) it shares the pids of the engine's machine, and reaches what else belongs to that machine
through engineside.py.

| do | fields | answer |
|---|---|---|
| `log` | path | standard error goes there from here on; for a probe that was begun before there was a folder |
| `ahead` | | before `start`, and not in a user namespace: what others would make is made now |
| `clock` | | now: this process's monotonic clock, s |
| `claim` | sizes, fixed (as SubnetClaim.claim) | in a container, before `start`: subnets, or refused, hint, usage |
| `leftovers` | | removed: trace instances whose owner was gone |
| `abilities` | | outcome: as abilities.try_lab has it |
| `faults` | names | before `start`; outcome: as abilities.try_faults has it |
| `start` | userns (pid or null), zero (monotonic s that is t = 0), period and quiet (s, see pace.py) | |
| `trace` | addresses of the lab, unprivileged (in a user namespace) | untraced: why there is none, or null |
| `trace_end` | | its events are emitted before the answer |
| `addresses` | pid | addresses: of the network namespace of that process, loopback aside |
| `watch` | pids {node: pid}, nats [node] | samples the network namespace of each from the next tick on |
| `wire` | networks [name], legs [a wiring.Leg], sysctls, routes as Fabric.add_legs | after `watch` |
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
from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator.observe.requests import Message
from orchestrator.observe.requests.machine import Machine
from orchestrator.observe.requests.watching import Watching
from orchestrator.observe.requests.wiring import Wiring
from orchestrator.recording.events import Event
from orchestrator.system.linux import die_with_parent, keep_freed_memory

if TYPE_CHECKING:
    from orchestrator.observe.engineside import EngineSide

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Probe:
    """State of the process; `handle` does one request. `engine`: for a probe in a container."""

    def __init__(self, engine: EngineSide | None = None) -> None:
        machine = Machine(engine)
        self.watching = Watching(machine, _emit)
        self._wiring = Wiring(self.watching)
        self._handlers = {
            "log": _log,
            "ahead": self._ahead,
            **machine.handlers,
            **self.watching.handlers,
            **self._wiring.handlers,
        }

    def handle(self, request: Message) -> Message:
        return self._handlers[request["do"]](request)

    def _ahead(self, message: Message) -> Message:
        self.watching.ahead()
        self._wiring.ahead()
        return {}


def _log(message: Message) -> Message:
    file = os.open(message["path"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.dup2(file, 2)
    os.close(file)
    return {}


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
        answer = {"error": _words(error)}
    _emit([{"re": request["id"], **answer}])


def _words(error: Exception) -> str:
    """What went wrong, for a user; the class only where it is a mistake of ours."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


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
            probe.watching.close()


def _leave(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit


def _serve(probe: Probe) -> None:
    """Until the input ends."""
    pending = b""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while True:
        wait = probe.watching.seconds_until_tick()
        watched = probe.watching.watched
        for descriptor in watched:
            poll.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(None if wait is None else wait * 1000)]
        for descriptor in watched:
            poll.unregister(descriptor)
        if not {*ready}.isdisjoint(watched):
            probe.watching.news()
        if 0 in ready:
            chunk = os.read(0, 1 << 16)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                _answer(probe, line)
        probe.watching.tick_if_due()


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, SystemExit):  # simctl is gone: there is nothing left to do
        main()
    os._exit(0)  # nothing is buffered, and taking an interpreter apart costs 50 ms
