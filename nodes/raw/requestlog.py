"""The HTTP requests in the bytes that a `raw` step sent, and the responses to them. h11 reads both.

A request counts from its first byte on, so one that was cut is known too. What h11 does not take for HTTP, whoever
sends it, is one request to which everything else belongs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import h11
from exchange import Exchange
from headers import headers_of


@dataclass
class Sent:
    """A request, whole or in part."""

    exchange: Exchange
    method: str | None = None
    url: str | None = None
    begun: bytearray = field(default_factory=bytearray)
    """Of its head, as long as that is not whole."""


class CutShort(Exception):
    """The end of file, in the middle of a response or before it: `begun`."""

    def __init__(self, begun: bool) -> None:
        super().__init__("the connection ended in the middle of a response" if begun else "no response came")
        self.begun = begun


class RequestLog:
    """`site`: http://host:port."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._parser = h11.Connection(h11.SERVER)
        self.unwritten: Sent | None = None
        """The request that is being sent; None: the last one was whole."""
        self._odd = False
        self._count = 0
        self.facts: dict[str, str | None] = {}
        self.unanswered: deque[Sent] = deque()
        """Those without a response, the one that is being sent included."""
        self.answered: deque[Sent] = deque()
        """Those with one, which nobody has asked for yet."""

    def sending(self, data: bytes) -> None:
        """These bytes go out now."""
        while data:
            if self.unwritten is None:
                self._begin()
            assert self.unwritten is not None
            if self.unwritten.method is None:
                self.unwritten.begun += data
            data = self._follow(data)

    def response(self, received: bytes, more: Callable[[], bytes], *, interim: bool) -> bytes:
        """Read the next response, with its body unless it is `interim` (100 Continue); returns what came behind it.
        Raises CutShort, h11.RemoteProtocolError."""
        if not self.unanswered:
            self._begin()  # a response to nothing
        sent = self.unanswered[0]
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=sent.method or "GET", target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        if received:  # to h11 an empty read is the end of file
            parser.receive_data(received)
        begun, ended = bool(received), False
        while True:
            try:
                event = parser.next_event()
            except h11.RemoteProtocolError:
                if ended:
                    raise CutShort(begun) from None
                raise
            if event is h11.NEED_DATA:
                data = more()
                begun, ended = begun or bool(data), not data
                parser.receive_data(data)
            elif isinstance(event, h11.InformationalResponse) and interim:
                return parser.trailing_data[0]
            elif isinstance(event, h11.Response):
                sent.exchange.status = event.status_code
                sent.exchange.response_headers = headers_of(event.headers.raw_items())
            elif isinstance(event, h11.Data):
                sent.exchange.bytes += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return self._answered(sent, parser)

    def _answered(self, sent: Sent, parser: h11.Connection) -> bytes:
        sent.exchange.t = time.monotonic()
        self.unanswered.popleft()
        self.answered.append(sent)
        if self._odd:  # where that one ended, its response has shown
            self.unwritten, self._odd, self._parser = None, False, h11.Connection(h11.SERVER)
        return parser.trailing_data[0]

    def _begin(self) -> None:
        self._count += 1
        self.unwritten = Sent(Exchange())
        self.unwritten.exchange.went_over(self.facts, self._count)
        self.unanswered.append(self.unwritten)

    def _follow(self, data: bytes) -> bytes:
        """Give h11 what goes out; what is behind a request that is whole by now."""
        if self._odd:
            return b""
        unwritten = self.unwritten
        assert unwritten is not None
        try:
            self._parser.receive_data(data)
            while True:
                event = self._parser.next_event()
                if event is h11.NEED_DATA:
                    return b""
                if isinstance(event, h11.Request):
                    self._head(event)
                elif isinstance(event, h11.EndOfMessage):
                    behind = self._parser.trailing_data[0]
                    self.unwritten, self._parser = None, h11.Connection(h11.SERVER)
                    return behind
        except h11.RemoteProtocolError:
            self._odd = True
            self.guess(unwritten)
            return b""

    def _head(self, event: h11.Request) -> None:
        assert self.unwritten is not None
        self.unwritten.method = event.method.decode("latin-1")
        self.unwritten.url = self._site + event.target.decode("latin-1")
        self.unwritten.exchange.request_headers = headers_of(event.headers.raw_items())

    def guess(self, sent: Sent) -> None:
        """Of a head that is not whole, or odd: its first line, when that is one."""
        line, separator, _ = bytes(sent.begun).partition(b"\n")
        words = line.decode("latin-1").split()
        if separator and len(words) in (2, 3) and words[1].startswith("/") and sent.method is None:
            sent.method, sent.url = words[0][:32], self._site + words[1]
