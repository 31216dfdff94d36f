"""What all clients in Python share: commands on standard input, workers, events on standard output.

A client is a `Library`, given to serve(). nodes/README.md has the protocol.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

S = TypeVar("S")
Event = dict[str, Any]

FIELDS = ("id", "do", "url", "session", "count", "concurrency", "interval", "method", "headers", "body", "timeout")
SO_COOKIE = 57
"""From asm-generic/socket.h; Python has no name for it."""


class CommandError(ValueError):
    """The command itself is wrong; nothing was sent."""


@dataclass(frozen=True)
class Command:
    """A `request` command, its types and ranges checked, with its defaults."""

    id: Any
    url: str
    session: str | None
    count: int
    concurrency: int
    interval: float
    """A worker's pause between two requests, in seconds."""
    method: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float
    """Seconds, more than 0."""


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


Tell = Callable[[int, Event], None]
"""Takes a request's number n and the event of one of its exchanges."""


class Client(Protocol[S]):
    """For what carries out a whole command at once, such as a program that is started with all its URLs."""

    @property
    def schemes(self) -> tuple[str, ...]: ...

    def open(self) -> S: ...

    def check(self, command: Command) -> None: ...

    def carry_out(self, command: Command, session: S | None, tell: Tell) -> None:
        """Make all requests of the command, and tell each exchange when it is over."""

    def close(self, session: S) -> None: ...


def serve(kind: str, library: Library[Any]) -> int:
    """Say `ready`, then carry out commands, one at a time, until standard input ends; returns the exit status."""
    return serve_client(kind, _Workers(library))


def serve_client(kind: str, client: Client[Any]) -> int:
    """As serve()."""
    "warm".encode("idna")  # the first name would import the codec in the middle of a measured request
    sessions = _Sessions(client)
    tell({"ev": "ready", "t": time.monotonic(), "kind": kind, "pid": os.getpid()})
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
        tell(done | {"t": time.monotonic()})
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
            command, session, lambda n, event: tell({**about, "n": n, "session": command.session, **event})
        )


class _Workers(Generic[S]):
    """Threads that share a command's count and its session, each making one call of the library after the other."""

    def __init__(self, library: Library[S]) -> None:
        self._library = library
        self.schemes, self.open = library.schemes, library.open
        self.check, self.close = library.check, library.close

    def carry_out(self, command: Command, session: S | None, tell: Tell) -> None:
        numbers = Numbers(command.count)
        in_threads(min(command.concurrency, command.count), lambda worker: self._work(command, session, numbers, tell))

    def _work(self, command: Command, session: S | None, numbers: Numbers, tell: Tell) -> None:
        while (n := numbers.take()) is not None:
            for event in self._library.perform(command, session):
                tell(n, event)
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


def read_request(raw: Mapping[str, Any], schemes: tuple[str, ...]) -> Command:
    """The command with its defaults. Raises CommandError for a wrong type, value or scheme."""
    body = _get(raw, "body", str, None)
    command = Command(
        id=raw.get("id"),
        url=_get(raw, "url", str, ""),
        session=_get(raw, "session", str, None),
        count=_get(raw, "count", int, 1, at_least=1),
        concurrency=_get(raw, "concurrency", int, 1, at_least=1),
        interval=_get(raw, "interval", (int, float), 0.0, at_least=0),
        method=_get(raw, "method", str, "GET"),
        headers=_get(raw, "headers", dict, {}),
        body=None if body is None else body.encode(),
        timeout=_get(raw, "timeout", (int, float), 10.0),
    )
    if not command.url.lower().startswith(tuple(f"{scheme}://" for scheme in schemes)):
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        raise CommandError(f"url: expected an absolute {expected} URL, not {command.url!r}")
    if command.timeout <= 0:
        raise CommandError(f"timeout: expected seconds, more than 0, not {command.timeout!r}")
    return command


def _get(raw: Mapping[str, Any], name: str, wanted: type | tuple[type, ...], default: Any, at_least: float = 0) -> Any:
    value = raw.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, wanted):
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        raise CommandError(f"{name}: expected {' or '.join(kind.__name__ for kind in kinds)}, not {value!r}")
    if isinstance(value, int | float) and not at_least <= value < float("inf"):
        raise CommandError(f"{name}: expected {at_least} or more, not {value!r}")
    return value


_writing = threading.Lock()


def tell(event: Event) -> None:
    """One event, whole, on standard output. Ends the process when nobody listens any more."""
    data = json.dumps(event, separators=(",", ":")).encode() + b"\n"
    with _writing:
        try:
            while data:
                data = data[os.write(1, data) :]
        except BrokenPipeError:
            os._exit(1)


def forget_environment() -> None:
    """Nothing of the environment may come between client and server: no proxies, no passwords."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    os.environ["NETRC"] = "/nonexistent"


def socket_facts(sock: socket.socket) -> dict[str, str | None]:
    """local, peer and sk of a connected socket, to be asked once while it is open."""
    try:
        peer = address(sock.getpeername())
    except OSError:  # it was reset in the meantime; what follows will tell
        peer = None
    return {"local": address(sock.getsockname()), "peer": peer, "sk": cookie(sock)}


def address(pair: tuple[Any, ...]) -> str:
    return f"{pair[0]}:{pair[1]}"


def cookie(sock: socket.socket) -> str | None:
    """The kernel's name for this socket, made now: a minisocket inherits it only if it was made before the close."""
    try:
        return f"{int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), sys.byteorder):x}"
    except OSError:
        return None


def cause_name(error: BaseException, special: Callable[[list[BaseException]], str | None] = lambda chain: None) -> str:
    """The name of the innermost cause, which tells the side of the race, out of what libraries wrapped around it.

    An errno that Python has no class for stands for itself (EADDRNOTAVAIL: out of ephemeral ports; ETIMEDOUT: the
    kernel gave up). `special` gets all causes, the outermost first, and may know a better name than that of the last
    one's class: which of a library's timeouts it was.
    """
    chain = causes(error)
    last = chain[-1]
    if isinstance(last, socket.gaierror):
        return "NameResolutionError"
    if type(last) in (OSError, TimeoutError) and isinstance(number := getattr(last, "errno", None), int):
        return errno_name(number)
    return special(chain) or type(last).__name__


def errno_name(number: int) -> str:
    """Python's class for it, or the errno itself where Python has none, or one that a library's timeouts have too."""
    known = type(OSError(number, ""))
    return errno.errorcode.get(number, "OSError") if known in (OSError, TimeoutError) else known.__name__


def causes(error: BaseException) -> list[BaseException]:
    """The error and what it was made from, the outermost first."""
    chain = [error]
    while (inner := _inner(chain[-1])) is not None and inner not in chain:
        chain.append(inner)
    return chain


def _inner(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    inside = [value for value in (reason, *reversed(error.args)) if isinstance(value, BaseException)]
    if inside:
        return inside[0]
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)
