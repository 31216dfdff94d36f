"""One HTTP exchange as a client's connection saw it: what a `request` event is made of."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from commands import Command, CommandError
from events import Event

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUE = re.compile(r"[^\t -~\x80-\xff]")
_NOT_IN_URL = re.compile(r"[^!-~]")

_RARE = ("send_error", "held")
"""Fields of an event that most do not have."""


@dataclass
class Exchange:
    """One HTTP request and its response. Plain data only: who keeps a library's response keeps its connection open.

    Headers: name -> value, as sent and received. Errors: name and text.
    """

    t0: float = field(default_factory=time.monotonic)
    t: float | None = None
    local: str | None = None
    peer: str | None = None
    sk: str | None = None
    nth: int | None = None
    status: int | None = None
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] | None = None
    send_error: dict[str, str] | None = None
    error: dict[str, str] | None = None
    bytes: int = 0
    held: bool = False
    """Whether the response was left open after its head: `bytes` means nothing then."""

    def went_over(self, facts: Mapping[str, str | None], nth: int) -> None:
        """The connection that it took: socket_facts(), and the number of the request on it."""
        self.local, self.peer, self.sk, self.nth = facts["local"], facts["peer"], facts["sk"], nth

    def event(self, command: Command) -> Event:
        fields = {name: value for name, value in vars(self).items() if name not in _RARE or value}
        if self.held:
            del fields["bytes"]
        return fields | {"method": command.method, "url": command.url, "reused": self.nth is not None and self.nth > 1}


def check_request(command: Command) -> None:
    """What no client could send as HTTP. Raises CommandError."""
    if not _TOKEN.fullmatch(command.method):
        raise CommandError(f"method: expected a word such as GET, not {command.method!r}")
    for name, value in command.headers.items():
        if not _TOKEN.fullmatch(name):
            raise CommandError(f"headers: {name!r} cannot be the name of a header")
        if not isinstance(value, str) or _NOT_IN_VALUE.search(value):
            raise CommandError(f"headers: {name}: {value!r} cannot be the value of a header")
    try:
        parts = urlsplit(command.url)
        valid = bool(parts.hostname) and parts.port != 0 and not _NOT_IN_URL.search(command.url)
    except ValueError:
        valid = False
    if not valid:
        raise CommandError(f"url: expected a URL such as http://server:8080/, not {command.url!r}")
