"""The program that measures: plain sockets to one server. With wire.py and h11 it stands alone, for it also runs where
simctl is not.

Standard input: one line, the task (see plan.py). Standard output: one JSON object a line, `say` is what it is:

| say | fields |
|---|---|
| `progress` | text |
| `failed` | text: nothing can be measured; usage: because the target is a wrong one |
| `farewell` | a request with `Connection: close`: connect, answer, and the end that followed |
| `requests` | one request after the other: first (an answer or null), answered, announced, stopped (`closed`: by the server, `asked`: none was left, `time`), end or null |
| `idle` | silence after an answer: connect, answer, end, reaction to a request after a FIN or null |
| `silent` | silence from the start: connect, end |
| `broken` | of what (`idle`, `silent`, `requests`), text: that connection showed nothing |
| `done` | connections, requests: how many; late: how late this process was woken, at most |

An answer: {status, version, persistent, says_close, keep_alive: the field's value or null, first_byte}. An end: {how:
`fin`, `rst` or `none`, after: since the connection fell silent, said: the status of an unasked response or null}. A
reaction: {how: `rst` or `nothing`, after}. Times are seconds. It ends when its input does: who asked is gone then.
"""  # noqa: E501 - a table

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import h11

from orchestrator.measure.wire import Broken, Message, NotMeasurable, Wire

CONNECT_TIMEOUT = 5.0
FAREWELL = 2.0
"""Seconds that a server gets to close after its last response, before it is the client that has to."""

_STEP = 0.05
"""Seconds between two looks at how late this process is woken."""


class Prober:
    """One measurement of one server. Connections are opened one after the other, until those that only wait."""

    def __init__(self, task: Message, tell: Callable[..., None]) -> None:
        self._task = task
        self._tell = tell
        self._connections = 0
        self._requests = 0
        self._counting = threading.Lock()
        self._late = 0.0
        self._address: tuple[str, int] = ("", 0)

    def run(self) -> None:
        """Raises NotMeasurable."""
        self._farewell()
        self._try("requests", self._one_after_the_other)
        jobs: list[tuple[str, Callable[[], None]]] = [("idle", self._idle)] * self._task["samples"]
        jobs.append(("silent", self._silent))
        self._tell("progress", text=f"{len(jobs)} connections are silent now, for {self._task['timeout']:g} s at most")
        waits = [threading.Thread(target=self._try, args=job, daemon=True) for job in jobs]
        for wait in waits:
            wait.start()
        for wait in waits:
            while wait.is_alive():
                begun = time.monotonic()
                time.sleep(_STEP)
                self._late = max(self._late, time.monotonic() - begun - _STEP)
        self._tell("done", connections=self._connections, requests=self._requests, late=self._late)

    def _try(self, of: str, job: Callable[[], None]) -> None:
        try:
            job()
        except (Broken, NotMeasurable) as error:
            self._tell("broken", of=of, text=str(error))
        except OSError as error:
            self._tell("broken", of=of, text=f"cannot connect: {error.strerror or error}")

    # -- connections ---------------------------------------------------------------------------------------------

    def _first(self) -> Wire:
        """The first of the target's addresses that takes connections is the one that is measured."""
        why = ""
        for host in self._task["hosts"]:
            try:
                found = socket.getaddrinfo(host, self._task["port"], type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                why = f"{host}: {getattr(error, 'strerror', None) or error}"
                continue
            for *_, address in found:
                self._address = (str(address[0]), int(address[1]))
                try:
                    return self._open()
                except OSError as error:
                    why = f"{self._address[0]} port {self._address[1]}: {error.strerror or error}"
        raise NotMeasurable(f"cannot connect to {why}")

    def _open(self) -> Wire:
        begun = time.monotonic()
        opened = socket.create_connection(self._address, timeout=min(CONNECT_TIMEOUT, self._task["timeout"]))
        now = time.monotonic()
        with self._counting:
            self._connections += 1
        return Wire(opened, now - begun, now + self._task["timeout"])

    def _request(self, *, close: bool = False) -> h11.Request:
        """The next request, which is counted."""
        with self._counting:
            self._requests += 1
        headers = [("Host", self._task["host"]), ("Accept", "*/*"), ("User-Agent", self._task["agent"])]
        headers.append(("Connection", "close" if close else "keep-alive"))
        return h11.Request(method="GET", target=self._task["path"], headers=headers)

    # -- what is measured ----------------------------------------------------------------------------------------

    def _farewell(self) -> None:
        """It is first, because it also shows whether this is an HTTP server at all."""
        with self._first() as wire:
            try:
                answer = wire.ask(self._request(close=True))
            except Broken as broken:
                why = str(broken) if broken.begun else f"a request got no HTTP response: {broken}"
                raise NotMeasurable(why) from None
            self._tell("farewell", connect=wire.connect, answer=answer, end=wire.end(FAREWELL))

    def _one_after_the_other(self) -> None:
        asked, answered, told = self._task["requests"], 0, time.monotonic()
        first: Message | None = None
        end: Message | None = None
        stopped, announced = "asked", False
        with self._open() as wire:
            while answered < asked and stopped == "asked":
                if answered and wire.closing():
                    stopped, end = "closed", wire.end(FAREWELL)
                    break
                try:
                    answer = wire.ask(self._request())
                except Broken as broken:
                    stopped = "time" if broken.how == "time" else "closed"
                    end = None if stopped == "time" else {"how": broken.how, "after": 0.0, "said": None}
                    break
                first, answered = first or answer, answered + 1
                if not answer["persistent"]:
                    stopped, announced, end = "closed", True, wire.end(FAREWELL)
                if time.monotonic() > told + 1:
                    told = time.monotonic()
                    self._tell("progress", text=f"{answered} of {asked} requests on one connection")
        self._tell("requests", first=first, answered=answered, announced=announced, stopped=stopped, end=end)

    def _idle(self) -> None:
        with self._open() as wire:
            answer = wire.ask(self._request())
            end = wire.end(self._task["timeout"] if answer["persistent"] else FAREWELL)
            reaction = wire.reaction(self._request()) if answer["persistent"] and end["how"] == "fin" else None
            self._tell("idle", connect=wire.connect, answer=answer, end=end, reaction=reaction)

    def _silent(self) -> None:
        with self._open() as wire:
            self._tell("silent", connect=wire.connect, end=wire.end(self._task["timeout"]))


_writing = threading.Lock()


def tell(say: str, **fields: Any) -> None:
    data = json.dumps({"say": say, **fields}).encode() + b"\n"
    with _writing:
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError:  # nobody listens any more
            os._exit(1)


def main() -> NoReturn:
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_leave_with_input, daemon=True).start()
    try:
        Prober(task, tell).run()
    except NotMeasurable as error:
        tell("failed", text=str(error), usage=error.usage)
    os._exit(0)


def _leave_with_input() -> None:
    while sys.stdin.buffer.read(1):
        continue
    os._exit(1)


if __name__ == "__main__":
    main()
