"""What all clients in Python share: workers, sessions by name, events on standard output.

A client is a `Library`, made by what is given to main(). nodes/README.md has the protocol.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from commands import FIELDS, Command, CommandError, read_request
from events import Event, emit
from knobs import KnobError, Knobs

S = TypeVar("S")


class Library(Protocol[S]):
    """What a client is made of: a library, and `S`, what it calls a session (a pool, a client, a handle)."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """Those of the URLs that it takes, in lower case: ("http",)."""

    def open(self) -> S:
        """A session that a command named for the first time."""

    def check(self, command: Command) -> None:
        """Raises CommandError for what the library would refuse before it sent anything."""

    def perform(self, command: Command, session: S | None) -> list[Event]:
        """One call of the library; one event per exchange that came of it, without ev, id, n and session.

        Several threads call it at a time. Must not raise for anything that went wrong on the wire.
        """

    def close(self, session: S) -> None:
        """End the session with all that it keeps open."""


Report = Callable[[int, Event], None]
"""Takes a request's number n and the event of one of its exchanges."""


class Client(Protocol[S]):
    """For what carries out a whole command at once, such as a program that is started with all its URLs."""

    @property
    def schemes(self) -> tuple[str, ...]: ...

    def open(self) -> S: ...

    def check(self, command: Command) -> None: ...

    def carry_out(self, command: Command, session: S | None, report: Report) -> None:
        """Make all requests of the command, and report each exchange when it is over."""

    def close(self, session: S) -> None: ...


def main(kind: str, make: Callable[[Knobs], Library[Any]]) -> int:
    """A client's whole life: `make` it from the knobs (it may raise KnobError), then carry out commands, one at a time,
    until standard input ends; returns the exit status."""
    return main_of_client(kind, lambda knobs: _Workers(make(knobs)))


def main_of_client(kind: str, make: Callable[[Knobs], Client[Any]]) -> int:
    """As main()."""
    forget_environment()
    try:
        client = make(Knobs())
    except KnobError as error:
        print(f"{kind}: {error}", file=sys.stderr)
        return 2
    return _serve(kind, client)


def forget_environment() -> None:
    """Nothing of the environment may come between client and server: no proxies, no passwords."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ["NETRC"] = "/nonexistent"


def _serve(kind: str, client: Client[Any]) -> int:
    "warm".encode("idna")  # the first name would import the codec in the middle of a measured request
    sessions = _Sessions(client)
    emit({"ev": "ready", "t": time.monotonic(), "kind": kind, "pid": os.getpid()})
    for line in sys.stdin.buffer:
        done: Event = {"ev": "done", "id": None}
        try:
            command = json.loads(line)
            if not isinstance(command, dict):
                raise CommandError("a command is one JSON object")
            done["id"] = command.get("id")
            sessions.run(command)
        except ValueError as error:
            done["error"] = str(error)
        emit(done | {"t": time.monotonic()})
    return 0


class _Sessions(Generic[S]):
    """The sessions by name, and what can be done with them."""

    def __init__(self, client: Client[S]) -> None:
        self._client = client
        self._sessions: dict[str, S] = {}

    def run(self, command: dict[str, Any]) -> None:
        """Carry out one command. Raises CommandError when it is wrong."""
        if unknown := sorted(set(command) - set(FIELDS)):
            raise CommandError(f"unknown field {unknown[0]!r}; there are: {', '.join(FIELDS)}")
        verbs = {"request": self._request, "close": self._close}
        verb = verbs.get(str(command.get("do")))
        if verb is None:
            raise CommandError(f"unknown command {command.get('do')!r}; there are: {', '.join(verbs)}")
        verb(command)

    def _close(self, raw: dict[str, Any]) -> None:
        name = raw.get("session")
        if not isinstance(name, str) or name not in self._sessions:
            raise CommandError(f"no session {name!r} is open; open are: {', '.join(self._sessions) or 'none'}")
        self._client.close(self._sessions.pop(name))

    def _request(self, raw: dict[str, Any]) -> None:
        command = read_request(raw, self._client.schemes)
        self._client.check(command)
        if command.session is not None and command.session not in self._sessions:
            self._sessions[command.session] = self._client.open()
        session = None if command.session is None else self._sessions[command.session]
        about = {"ev": "request", "id": command.id}
        self._client.carry_out(
            command, session, lambda n, event: emit({**about, "n": n, "session": command.session, **event})
        )


class _Workers(Generic[S]):
    """Threads that share a command's count and its session, each making one call of the library after the other."""

    def __init__(self, library: Library[S]) -> None:
        self._library = library
        self.schemes, self.open = library.schemes, library.open
        self.check, self.close = library.check, library.close

    def carry_out(self, command: Command, session: S | None, report: Report) -> None:
        numbers = Numbers(command.count)
        in_threads(
            min(command.concurrency, command.count), lambda worker: self._work(command, session, numbers, report)
        )

    def _work(self, command: Command, session: S | None, numbers: Numbers, report: Report) -> None:
        while (n := numbers.take()) is not None:
            for event in self._library.perform(command, session):
                report(n, event)
            if command.interval and n < command.count:
                time.sleep(command.interval)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """work(0) in this thread beside work(1), ... in threads of their own; until all are done."""
    workers = [threading.Thread(target=work, args=(number,)) for number in range(1, count)]
    for worker in workers:
        worker.start()
    work(0)
    for worker in workers:
        worker.join()


class Numbers:
    """1 .. count, each taken by one worker."""

    def __init__(self, count: int) -> None:
        self._left: Iterator[int] = iter(range(1, count + 1))
        self._lock = threading.Lock()

    def take(self) -> int | None:
        with self._lock:
            return next(self._left, None)
