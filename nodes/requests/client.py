"""The client node: real requests and urllib3, unmodified, told what to do on standard input.

recorder.py sees what happens on the wire; every request is told with it. The protocol is in nodes/README.md.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import recorder
import requests
import urllib3.exceptions
from recorder import Exchange, cause_name, tape

_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
FIELDS = ("id", "do", "url", "session", "count", "concurrency", "interval", "method", "headers", "body", "timeout")


class CommandError(ValueError):
    """The command itself is wrong; nothing was sent."""


@dataclass(frozen=True)
class Command:
    """A `request` command, checked."""

    id: Any
    url: str
    session: str | None
    count: int
    concurrency: int
    interval: float
    method: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float


class Client:
    """The Sessions by name, and what can be done with them."""

    def __init__(self) -> None:
        self._sessions: dict[str, requests.Session] = {}

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
        session = self._sessions.pop(name, None) if isinstance(name, str) else None
        if session is None:
            raise CommandError(f"no session {name!r} is open; open are: {', '.join(self._sessions) or 'none'}")
        session.close()

    def _request(self, raw: dict[str, Any]) -> None:
        command = read_request(raw)
        if command.session is not None and command.session not in self._sessions:
            self._sessions[command.session] = requests.Session()
        session = self._sessions[command.session] if command.session is not None else None
        call: Callable[..., requests.Response] = session.request if session else requests.request
        numbers = _Numbers(command.count)
        workers = [
            threading.Thread(target=_work, args=(command, call, numbers))
            for _ in range(min(command.concurrency, command.count) - 1)
        ]
        for worker in workers:
            worker.start()
        _work(command, call, numbers)
        for worker in workers:
            worker.join()


class _Numbers:
    """1 .. count, each taken by one worker."""

    def __init__(self, count: int) -> None:
        self._left: Iterator[int] = iter(range(1, count + 1))
        self._lock = threading.Lock()

    def take(self) -> int | None:
        with self._lock:
            return next(self._left, None)


def read_request(raw: dict[str, Any]) -> Command:
    """The command with its defaults. Raises CommandError; what requests itself would refuse is refused here, unsent."""
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
    if not command.url.lower().startswith("http://"):
        raise CommandError(f"url: expected an absolute http:// URL, not {command.url!r}")
    if command.timeout <= 0:
        raise CommandError(f"timeout: expected seconds, more than 0, not {command.timeout!r}")
    try:
        request = requests.Request(command.method, command.url, headers=command.headers, data=command.body)
        requests.Session().prepare_request(request)
    except (requests.exceptions.RequestException, ValueError, TypeError, AttributeError) as error:
        raise CommandError(f"requests refuses it: {type(error).__name__}: {error}") from None
    return command


def _get(raw: dict[str, Any], name: str, wanted: type | tuple[type, ...], default: Any, at_least: float = 0) -> Any:
    value = raw.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, wanted):
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        raise CommandError(f"{name}: expected {' or '.join(kind.__name__ for kind in kinds)}, not {value!r}")
    if isinstance(value, int | float) and not at_least <= value < float("inf"):
        raise CommandError(f"{name}: expected {at_least} or more, not {value!r}")
    return value


def _work(command: Command, call: Callable[..., requests.Response], numbers: _Numbers) -> None:
    while (n := numbers.take()) is not None:
        for event in perform(command, call):
            tell({"ev": "request", "id": command.id, "n": n, "session": command.session, **event})
        if command.interval and n < command.count:
            time.sleep(command.interval)


def perform(command: Command, call: Callable[..., requests.Response]) -> list[dict[str, Any]]:
    """One call of the library; the events of its exchanges. No Response outlives this function."""
    tape.exchanges = []
    t0 = time.monotonic()
    error = None
    sizes: list[int] = []
    try:
        response = call(
            command.method, command.url, headers=command.headers, data=command.body, timeout=command.timeout
        )
        sizes = [len(each.content) for each in (*response.history, response)]
        del response
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as caught:
        error = {"name": cause_name(caught), "text": str(caught)}
    exchanges, tape.exchanges = tape.exchanges or [Exchange(t0)], []
    exchanges[0].t0 = t0
    exchanges[-1].t = time.monotonic()
    return [
        exchange.event()
        | {
            "method": command.method,
            "url": command.url,
            "error": error if exchange is exchanges[-1] else None,
            "bytes": sizes[index] if index < len(sizes) else 0,
        }
        for index, exchange in enumerate(exchanges)
    ]


_writing = threading.Lock()


def tell(event: dict[str, Any]) -> None:
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


def wants_keepalive(environment: Mapping[str, str]) -> bool:
    """The knob TCP_KEEPALIVE. Raises ValueError."""
    text = environment.get("TCP_KEEPALIVE", "").strip() or "false"
    if text.lower() not in _WORDS:
        raise ValueError(f"TCP_KEEPALIVE: expected true or false, not {text!r}")
    return _WORDS[text.lower()]


def main() -> int:
    """Carry out commands until standard input ends."""
    forget_environment()
    try:
        recorder.install(tcp_keepalive=wants_keepalive(os.environ))
    except ValueError as error:
        print(f"requests: {error}", file=sys.stderr)
        return 2
    "warm".encode("idna")  # the first name would import the codec in the middle of a measured request
    client = Client()
    tell({"ev": "ready", "t": time.monotonic(), "kind": "requests", "pid": os.getpid()})
    for line in sys.stdin.buffer:
        done: dict[str, Any] = {"ev": "done", "id": None}
        try:
            command = json.loads(line)
            if not isinstance(command, dict):
                raise CommandError("a command is one JSON object")
            done["id"] = command.get("id")
            client.run(command)
        except ValueError as error:
            done["error"] = str(error)
        tell(done | {"t": time.monotonic()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
