"""When a client's requests are sent: by workers, one after the other, or by the clock, whatever became of those before.

What a clock asked for and how the client kept to it is told as a `load` event. Clients in other languages do the same:
go-client/pacing.go, pacing.js and javasrc/simctl/Pacing.java.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count

from commands import Command
from events import Event

Send = Callable[[int], None]
"""Makes the request of that number, and reports it. Several threads call it at a time."""

_LATE = 0.01
"""Seconds after its time from which a request counts as sent late."""


def pace(command: Command, send: Send) -> Event | None:
    """Have all requests of the command sent, and return when the last has ended: with the `load` event of a rate."""
    if command.rate is not None:
        return _Clock(command, command.rate, send).run()
    _Workers(command, send).run()
    return None


class _Workers:
    """Threads that share a command's count, each making one request after the other."""

    def __init__(self, command: Command, send: Send) -> None:
        self._command, self._send = command, send
        self._numbers = Numbers(command.count)
        self._over = None if command.duration is None else time.monotonic() + command.duration

    def run(self) -> None:
        in_threads(min(self._command.concurrency, self._command.count), self._work)

    def _work(self, worker: int) -> None:
        command = self._command
        drawn = count()
        while self._left() > 0 and (n := self._numbers.take()) is not None:
            self._send(n)
            pause = command.interval
            if command.interval_most is not None:
                pause = _between(command.interval, command.interval_most, f"{command.seed} {worker} {next(drawn)}")
            if pause and n < command.count:
                time.sleep(max(0.0, min(pause, self._left())))

    def _left(self) -> float:
        """Seconds in which requests may begin."""
        return threading.TIMEOUT_MAX if self._over is None else self._over - time.monotonic()


class _Clock:
    """Sends each request at its time: a worker that is free takes it, or a new one. When as many as there may be are
    busy, it waits, and is late."""

    def __init__(self, command: Command, rate: float, send: Send) -> None:
        self._command, self._rate, self._send = command, rate, send
        self._changed = threading.Condition()
        self._due: deque[tuple[int, float]] = deque()
        self._free = 0
        self._over = False
        self._workers: list[threading.Thread] = []
        self._sent = self._late = 0
        self._lateness = 0.0
        self._last = 0.0

    def run(self) -> Event:
        t0 = time.monotonic()
        for n in range(1, self._command.count + 1):
            due = t0 + (n - 1) / self._rate
            if (left := due - time.monotonic()) > 0:
                time.sleep(left)
            self._hand_over(n, due)
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()
        return {
            "ev": "load",
            "t0": t0,
            "t": time.monotonic(),
            "id": self._command.id,
            "session": self._command.session,
            "rate": self._rate,
            "asked": self._command.count,
            "sent": self._sent,
            "late": self._late,
            "lateness": round(self._lateness, 6),
            "seconds": round(self._last - t0, 6),
        }

    def _hand_over(self, n: int, due: float) -> None:
        with self._changed:
            self._due.append((n, due))
            if self._free >= len(self._due):
                self._changed.notify()
                return
            if len(self._workers) >= self._command.concurrency:
                return
        worker = threading.Thread(target=self._work)
        self._workers.append(worker)
        worker.start()

    def _work(self) -> None:
        for n, due in iter(self._take, None):
            self._note(time.monotonic(), due)
            self._send(n)

    def _take(self) -> tuple[int, float] | None:
        with self._changed:
            self._free += 1
            while not self._due and not self._over:
                self._changed.wait()
            self._free -= 1
            return self._due.popleft() if self._due else None

    def _note(self, now: float, due: float) -> None:
        with self._changed:
            self._sent += 1
            self._late += now - due > _LATE
            self._lateness = max(self._lateness, now - due)
            self._last = max(self._last, now)


def _between(least: float, most: float, of: str) -> float:
    """A number that is drawn, in a way that every language has: clients of all kinds pause alike."""
    share = (int.from_bytes(sha256(of.encode()).digest()[:8], "big") >> 11) / 2**53
    return least + (most - least) * share


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
