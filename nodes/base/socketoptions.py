"""Options of a program's TCP sockets, by knobs that mean the same in every kind: keep-alive with its three numbers,
TCP_USER_TIMEOUT, SO_LINGER, and where a client's connections come from. socket(7) and tcp(7) say what each does.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

from knobs import KnobError, Knobs

Option = tuple[int, int, "int | bytes"]

_PROBING = {
    "TCP_KEEPALIVE_TIME": (socket.TCP_KEEPIDLE, 32767),
    "TCP_KEEPALIVE_INTERVAL": (socket.TCP_KEEPINTVL, 32767),
    "TCP_KEEPALIVE_PROBES": (socket.TCP_KEEPCNT, 127),
}
"""Knob -> the option, and the most that the kernel takes."""


@dataclass(frozen=True)
class Keepalive:
    """SO_KEEPALIVE. Of the three numbers None is what the kernel has: tcp_keepalive_time, _intvl, _probes."""

    on: bool = False
    time: int | None = None
    """Seconds of silence before the first probe."""
    interval: int | None = None
    """Seconds from probe to probe."""
    probes: int | None = None
    """How many may stay unanswered."""

    def options(self) -> list[Option]:
        values = (self.time, self.interval, self.probes)
        numbers = [
            (socket.IPPROTO_TCP, option, value)
            for (option, _), value in zip(_PROBING.values(), values, strict=True)
            if value is not None
        ]
        return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(self.on)), *numbers]


def read_keepalive(knobs: Knobs, default: bool = False) -> Keepalive:
    """TCP_KEEPALIVE and the three numbers. Raises KnobError: also for a number that has no effect."""
    return keepalive_numbers(knobs, on=knobs.truth("TCP_KEEPALIVE", default))


def keepalive_numbers(knobs: Knobs, *, on: bool) -> Keepalive:
    """The three numbers, for what is on. Raises KnobError."""
    given = [name for name in _PROBING if knobs.given(name)]
    if given and not on:
        raise KnobError(f"{given[0]}: it is of no effect without TCP_KEEPALIVE=true")
    values: dict[str, int | None] = dict.fromkeys(_PROBING)
    for name in given:
        most = _PROBING[name][1]
        if name == "TCP_KEEPALIVE_PROBES":
            values[name] = knobs.number(name, 0, at_least=1, at_most=most)
        else:
            values[name] = knobs.whole_seconds(name, 0, at_most=most)
    return Keepalive(on, *values.values())


@dataclass(frozen=True)
class SocketOptions:
    """All of them. `source`: address and port of one's own, an empty address and port 0 where the kernel chooses."""

    keepalive: Keepalive = Keepalive()
    user_timeout: int = 0
    """Milliseconds after which sent data that nobody acknowledged ends the connection; 0: the kernel's own retries."""
    linger: int | None = None
    """Seconds that close() waits for what is unsent; 0: it sends RST, and throws that away."""
    source: tuple[str, int] | None = None

    def options(self) -> list[Option]:
        """For setsockopt(), before bind() and connect()."""
        found = self.keepalive.options()
        if self.source is not None and self.source[1]:
            # A port of one's own would else be taken as long as its last connection is in TIME_WAIT.
            found.append((socket.SOL_SOCKET, socket.SO_REUSEADDR, 1))
        if self.user_timeout:
            found.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.user_timeout))
        if self.linger is not None:
            found.append((socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, self.linger)))
        return found

    def numbers(self) -> str:
        """The same as text, for a program in another language: `1:9:1,6:4:60`, level, option and value. Of SO_LINGER
        the value is its seconds."""
        options = self.options()
        values = [
            (level, option, self.linger if isinstance(value, bytes) else value) for level, option, value in options
        ]
        return ",".join(":".join(map(str, each)) for each in values)

    def apply(self, sock: socket.socket) -> None:
        for level, option, value in self.options():
            sock.setsockopt(level, option, value)


def read_server_options(knobs: Knobs, keepalive: bool = False) -> SocketOptions:
    """Of what a server accepts; `keepalive`: the default of TCP_KEEPALIVE. Raises KnobError."""
    return SocketOptions(
        read_keepalive(knobs, keepalive),
        knobs.milliseconds("TCP_USER_TIMEOUT", 0, at_least=0),
        knobs.whole_seconds("LINGER", 0, at_least=0, at_most=65535) if knobs.given("LINGER") else None,
    )


def read_client_options(knobs: Knobs, keepalive: bool = False) -> SocketOptions:
    """Of what a client opens; `keepalive`: the default of TCP_KEEPALIVE. Raises KnobError."""
    found = read_server_options(knobs, keepalive)
    return SocketOptions(found.keepalive, found.user_timeout, found.linger, read_source(knobs))


def read_source(knobs: Knobs) -> tuple[str, int] | None:
    """SOURCE_ADDRESS and SOURCE_PORT; None when neither is set. Raises KnobError."""
    address, port = knobs.host("SOURCE_ADDRESS"), knobs.port("SOURCE_PORT", 0, at_least=0)
    return (address, port) if address or port else None
