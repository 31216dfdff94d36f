"""What all clients in Python share: workers, sessions by name, events on standard output.

A client is a `Library`, made by what is given to main(). nodes/README.md has the protocol.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from commands import FIELDS, OPTIONS, PACE, RAW, Command, CommandError, read_request
from events import Event, emit
from knobs import KnobError, Knobs
from pacing import pace

S = TypeVar("S")


class Library(Protocol[S]):
    """What a client is made of: a library, and `S`, what it calls a session (a pool, a client, a handle)."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """Those of the URLs that it takes, in lower case: ("http",)."""

    @property
    def options(self) -> tuple[str, ...]:
        """What it can do of commands.OPTIONS, as its node.yaml has it."""

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

Work = Callable[[], None]
"""The rest of a command, which takes its time."""


class Client(Protocol[S]):
    """For what carries out a whole command at once, such as a program that is started with all its URLs."""

    @property
    def schemes(self) -> tuple[str, ...]: ...

    @property
    def options(self) -> tuple[str, ...]: ...

    def open(self) -> S: ...

    def check(self, command: Command) -> None: ...

    @property
    def paces(self) -> bool:
        """Whether it takes a command with fields of PACE."""

    def carry_out(self, command: Command, session: S | None, report: Report) -> None:
        """Make all requests of the command, and report each exchange when it is over. Several threads call it at a
        time."""

    def close(self, session: S) -> None: ...


def main(kind: str, make: Callable[[Knobs], Library[Any]]) -> int:
    """A client's whole life: `make` it from the knobs (it may raise KnobError), then carry out commands, beside each
    other, until standard input ends; returns the exit status."""
    return main_of_client(kind, lambda knobs: _Workers(make(knobs)))


def main_of_client(kind: str, make: Callable[[Knobs], Client[Any]], verb: str = "request") -> int:
    """As main(). `verb`: the command that it carries out."""
    forget_environment()
    try:
        client = make(Knobs())
    except KnobError as error:
        print(f"{kind}: {error}", file=sys.stderr)
        return 2
    return _serve(kind, client, verb)


def forget_environment() -> None:
    """Nothing of the environment may come between client and server: no proxies, no passwords."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ["NETRC"] = "/nonexistent"


def _serve(kind: str, client: Client[Any], verb: str) -> int:
    "warm".encode("idna")  # the first name would import the codec in the middle of a measured request
    sessions = _Sessions(client, verb)
    emit({"ev": "ready", "t": time.monotonic(), "kind": kind, "pid": os.getpid()})
    at_work: list[threading.Thread] = []
    for line in sys.stdin.buffer:
        done: Event = {"ev": "done", "id": None}
        try:
            command = json.loads(line)
            if not isinstance(command, dict):
                raise CommandError("a command is one JSON object")
            done["id"] = command.get("id")
            work = sessions.begin(command)
        except ValueError as error:
            emit(done | {"error": str(error), "t": time.monotonic()})
            continue
        at_work = [thread for thread in at_work if thread.is_alive()]
        at_work.append(threading.Thread(target=_finish, args=(work, done)))
        at_work[-1].start()
    for thread in at_work:
        thread.join()
    return 0


def _finish(work: Work, done: Event) -> None:
    try:
        work()
    except ValueError as error:
        done["error"] = str(error)
    emit(done | {"t": time.monotonic()})


class _Sessions(Generic[S]):
    """The sessions by name, and what can be done with them. Commands begin in the order in which they came, and then
    go on beside each other."""

    def __init__(self, client: Client[S], verb: str) -> None:
        self._client, self._verb = client, verb
        self._sessions: dict[str, S] = {}

    def begin(self, command: dict[str, Any]) -> Work:
        """Check one command, and do what later ones build on. Raises CommandError when it is wrong."""
        fields = (*FIELDS, *(PACE if self._client.paces else ()), *(RAW if self._verb == "raw" else ()))
        fields = (*fields, *dict.fromkeys(OPTIONS[option] for option in self._client.options))
        if unknown := sorted(set(command) - set(fields)):
            raise CommandError(f"unknown field {unknown[0]!r}; there are: {', '.join(fields)}")
        verbs = {self._verb: self._request, "close": self._close}
        verb = verbs.get(str(command.get("do")))
        if verb is None:
            raise CommandError(f"unknown command {command.get('do')!r}; there are: {', '.join(verbs)}")
        return verb(command)

    def _close(self, raw: dict[str, Any]) -> Work:
        name = raw.get("session")
        if not isinstance(name, str) or name not in self._sessions:
            raise CommandError(f"no session {name!r} is open; open are: {', '.join(self._sessions) or 'none'}")
        session = self._sessions.pop(name)
        return lambda: self._client.close(session)

    def _request(self, raw: dict[str, Any]) -> Work:
        command = read_request(raw, self._client.schemes)
        for name in command.timeouts:
            if f"timeout.{name}" not in self._client.options:
                raise CommandError(f"timeouts: this client has no `{name}` of its own")
        self._client.check(command)
        if command.session is not None and command.session not in self._sessions:
            self._sessions[command.session] = self._client.open()
        session = None if command.session is None else self._sessions[command.session]
        about = {"ev": "request", "id": command.id}

        def report(n: int, event: Event) -> None:
            emit({**about, "n": n, "session": command.session, **event})

        return lambda: self._client.carry_out(command, session, report)


class _Workers(Generic[S]):
    """A command's requests, each a call of the library, when its pace wants it."""

    paces = True

    def __init__(self, library: Library[S]) -> None:
        self._library = library
        self.schemes, self.options, self.open = library.schemes, library.options, library.open
        self.check, self.close = library.check, library.close

    def carry_out(self, command: Command, session: S | None, report: Report) -> None:
        def send(n: int) -> None:
            for event in self._library.perform(command, session):
                report(n, event)

        if (load := pace(command, send)) is not None:
            emit(load)
