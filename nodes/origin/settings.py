"""The knobs of the reference server: environment variables, and Winstone's flags, which win over two of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from knobs import KnobError, Knobs
from socketoptions import SocketOptions, read_server_options

_FLAGS = ("--httpPort", "--httpKeepAliveTimeout")


class CloseHow(StrEnum):
    """How the server closes where it is the first to close."""

    CLOSE = "close"
    """close(): a FIN. The socket is an orphan in FIN_WAIT2 that the kernel takes away after tcp_fin_timeout."""
    HALF_CLOSE = "half-close"
    """shutdown(SHUT_WR): a FIN too, but it reads on until the client closes. FIN_WAIT2 with an owner has no timer."""
    RESET = "reset"
    """close() with SO_LINGER of 0: a RST, and nothing is left on either side."""


class Fault(StrEnum):
    """What happens to a request once FAULT_AFTER requests of its connection got their response as they should."""

    NONE = "none"
    CLOSE_UNANNOUNCED = "close-unannounced"
    """It gets its response as if the connection stayed; then the connection is closed, as CLOSE_HOW says."""
    CLOSE_UNANSWERED = "close-unanswered"
    """It is executed and gets no response; the connection is closed, as CLOSE_HOW says."""
    CLOSE_UNREAD = "close-unread"
    """It is not read: close() with data in the receive buffer is a RST."""
    CLOSE_UNREAD_BODY = "close-unread-body"
    """Its head is read and gets a 413, its body is not read: close() is a RST behind the response."""
    NEVER_ANSWER = "never-answer"
    """It is executed and gets no response; nothing is read any more."""
    NEVER_BODY = "never-body"
    """It is executed and gets the head of its response, no body; nothing is read any more."""
    NEVER_FINISH = "never-finish"
    """It is executed and gets its response as far as the middle of the body; nothing is read any more."""
    CLOSE_IN_HEAD = "close-in-head"
    """It is executed and gets one half of the head; the connection is closed, as CLOSE_HOW says."""
    CLOSE_IN_BODY = "close-in-body"
    """It is executed and gets its response as far as the middle of the body; the connection is closed, as CLOSE_HOW
    says."""
    TRICKLE = "trickle"
    """The body of its response comes PACE_BYTES at a time, each after PACE_INTERVAL."""
    READ_SLOWLY = "read-slowly"
    """Its body is read PACE_BYTES at a time, each after PACE_INTERVAL."""
    NEVER_READ = "never-read"
    """Nothing is read any more, and nothing is closed."""
    NEVER_ACCEPT = "never-accept"
    """No connection is accepted, and the accept queue fills. FAULT_AFTER means nothing to it."""


LEAVES_UNREAD = (Fault.CLOSE_UNREAD, Fault.CLOSE_UNREAD_BODY, Fault.NEVER_READ, Fault.READ_SLOWLY)
NEVER_ENDS = (Fault.NEVER_BODY, Fault.NEVER_FINISH)
"""A response that was begun, and a connection that stays."""


@dataclass(frozen=True)
class Settings:
    """All that can be set; node.yaml has the meanings. `keepalive_timeout` in seconds."""

    port: int = 8080
    keepalive_timeout: float = 5.0
    keepalive_requests: int = 0
    advertise: bool = False
    leak: bool = False
    backlog: int = 1024
    reuse_address: bool = True
    socket_options: SocketOptions = field(default_factory=SocketOptions)
    """Of each connection that is accepted."""
    close_how: CloseHow = CloseHow.CLOSE
    fault: Fault = Fault.NONE
    fault_after: int = 0
    pace_bytes: int = 1
    pace_interval: float = 0.1
    """Seconds."""


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Raises KnobError, which names the knob or flag."""
    flags = _read_flags(arguments)
    knobs = Knobs(environment)
    port = knobs.port("HTTP_PORT", 8080, at_least=0)
    if (number := flags.get("--httpPort")) is not None:
        port = _number("--httpPort", number, at_most=65535)
    timeout = knobs.duration("KEEPALIVE_TIMEOUT", 5.0)
    if (milliseconds := flags.get("--httpKeepAliveTimeout")) is not None:
        timeout = _number("--httpKeepAliveTimeout", milliseconds) / 1000
    if timeout <= 0:
        raise KnobError("KEEPALIVE_TIMEOUT: expected more than 0; KEEPALIVE_REQUESTS=1 turns keep-alive off")
    return Settings(
        port=port,
        keepalive_timeout=timeout,
        keepalive_requests=knobs.number("KEEPALIVE_REQUESTS", 0),
        advertise=knobs.truth("ADVERTISE", False),
        leak=knobs.truth("LEAK", False),
        backlog=knobs.number("BACKLOG", 1024, at_most=65535),
        reuse_address=knobs.truth("REUSE_ADDRESS", True),
        socket_options=read_server_options(knobs),
        close_how=CloseHow(knobs.word("CLOSE_HOW", CloseHow.CLOSE, *CloseHow)),
        fault=Fault(knobs.word("FAULT", Fault.NONE, *Fault)),
        fault_after=knobs.number("FAULT_AFTER", 0),
        pace_bytes=knobs.number("PACE_BYTES", 1, at_least=1),
        pace_interval=knobs.duration("PACE_INTERVAL", 0.1),
    )


def _read_flags(arguments: Sequence[str]) -> dict[str, str]:
    """`--flag=value` and `--flag value`; the last one counts."""
    flags: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in _FLAGS:
            raise KnobError(f"unknown argument {word!r}; there are: {', '.join(_FLAGS)}")
        given = value if equals else next(words, None)
        if given is None:
            raise KnobError(f"{name} needs a value")
        flags[name] = given
    return flags


def _number(name: str, text: str, at_most: int = 2**31 - 1) -> int:
    if not re.fullmatch(r"[0-9]+", text) or int(text) > at_most:
        raise KnobError(f"{name}: expected a whole number from 0 to {at_most}, not {text!r}")
    return int(text)
