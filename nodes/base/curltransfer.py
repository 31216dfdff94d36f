"""A transfer of libcurl's, followed by what it says while it is verbose: for the command and for the library."""

from __future__ import annotations

import re
from dataclasses import dataclass

from curlerrors import died_name, error_name, reason_in
from exchange import Exchange
from headers import add_header

_CONNECTED = re.compile(r"Connected to .* \(#([0-9]+)\)$")
_AGAIN = re.compile(r"Re-using existing connection #([0-9]+) ")
_DIED = "Connection died"
"""A connection from the cache gave no response at all: libcurl retries on a new one."""


@dataclass
class Connection:
    """One in libcurl's cache."""

    sk: str | None = None
    local: str | None = None
    peer: str | None = None
    served: int = 0


@dataclass(frozen=True)
class Outcome:
    """What libcurl knows of a transfer when it is over."""

    code: int
    """A CURLcode; 0 is well."""
    message: str
    local: str | None
    peer: str | None
    size: int
    """Of the body."""
    unsent: bool = False
    """Whether a part of the request's body had not gone out."""


class Transfer:
    """One transfer: one exchange, or several when libcurl retries.

    `connections` are those of its connection cache by libcurl's numbers, and shared by its transfers.
    """

    def __init__(self, connections: dict[int, Connection]) -> None:
        self.exchanges: list[Exchange] = []
        self.cookie: str | None = None
        """Of the last socket that was made for it."""
        self._connections = connections
        self._over: list[Connection | None] = []
        self._reason: str | None = None
        self._tunnelling = False
        """Whether a proxy is being asked for a tunnel: that exchange is not the request."""

    def begins(self, at: float) -> None:
        """At this time, on CLOCK_MONOTONIC."""
        self.exchanges.append(Exchange(at))
        self._over.append(None)
        self._reason = None

    def says(self, line: str, at: float) -> None:
        """An informational line: `*` in the command's output."""
        self._reason = reason_in(line) or self._reason
        if connected := _CONNECTED.match(line):
            self._over[-1] = self._connections[int(connected[1])] = Connection(self.cookie)
        elif again := _AGAIN.match(line):
            self._over[-1] = self._connections[int(again[1])]
        elif line.startswith(_DIED):
            self.exchanges[-1].error = {"name": died_name(self._reason), "text": line}
            self.exchanges[-1].t = at
            self.begins(at)

    def sends(self, line: str) -> None:
        """A line of the request's head."""
        self._tunnelling |= line.startswith("CONNECT ")
        if self._tunnelling:
            return
        exchange, connection = self.exchanges[-1], self._over[-1]
        if exchange.nth is None and connection is not None:
            connection.served += 1
            exchange.nth = connection.served
        _header(exchange.request_headers, line)

    def receives(self, line: str) -> None:
        """A line of a response's head. There may be several responses: 100 Continue comes first."""
        if self._tunnelling:
            self._tunnelling = line != ""
            return
        exchange = self.exchanges[-1]
        if line.startswith("HTTP/"):
            exchange.status, exchange.response_headers = int(line.split()[1]), {}
        elif exchange.response_headers is not None:
            _header(exchange.response_headers, line)

    def ends(self, outcome: Outcome, at: float) -> list[Exchange]:
        """Its exchanges."""
        last, connection = self.exchanges[-1], self._over[-1]
        if connection is not None:
            connection.local, connection.peer = outcome.local or connection.local, outcome.peer or connection.peer
        for exchange, over in zip(self.exchanges, self._over, strict=True):
            if over is not None:
                exchange.local, exchange.peer, exchange.sk = over.local, over.peer, over.sk
        last.t = at
        last.bytes = outcome.size
        if outcome.code:
            name = error_name(outcome.code, outcome.message, reason_in(outcome.message) or self._reason)
            if name == "ReadTimeout" and outcome.unsent and last.status is None:
                name = "WriteTimeout"
            last.error = {"name": name, "text": outcome.message}
        return self.exchanges


def _header(headers: dict[str, str], line: str) -> None:
    name, colon, value = line.partition(":")
    if colon and " " not in name:
        add_header(headers, name, value.strip())
