"""The client node `libcurl`: Debian's pycurl and libcurl, unmodified, which takes commands on standard input."""

from __future__ import annotations

import os
import queue
import select
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import pycurl  # type: ignore[import-untyped]
from bodies import MadeUp, body_length, body_of
from commands import Command
from curltransfer import Connection, Outcome, Transfer
from events import Event
from exchange import check_request
from knobs import Knobs
from serving import main
from socketoptions import SocketOptions, read_client_options
from sockets import cookie

_TEXT, _HEADER_IN, _HEADER_OUT = 0, 1, 2
"""curl_infotype; above are bodies."""
_RESOLVING = 0.1
"""Seconds after which libcurl wants to be called when it names no socket and no time, as its manual says."""


class Multi:
    """A CURLM with its connection cache, and a thread that drives it as long as transfers are under way.

    Between transfers nobody calls libcurl, as in a program that has nothing to ask: idle connections are not watched.
    """

    def __init__(self, options: dict[int, int]) -> None:
        self.connections: dict[int, Connection] = {}
        self._multi = pycurl.CurlMulti()
        for option, value in options.items():
            self._multi.setopt(option, value)
        self._new: queue.SimpleQueue[pycurl.Curl | None] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        self._results: dict[pycurl.Curl, queue.SimpleQueue[tuple[int, str]]] = {}
        self._thread = threading.Thread(target=self._drive)
        self._thread.start()

    def perform(self, curl: pycurl.Curl) -> tuple[int, str]:
        """The CURLcode and libcurl's message. Any thread may call it."""
        result = self._results[curl] = queue.SimpleQueue()
        self._put(curl)
        return result.get()

    def close(self) -> None:
        self._put(None)
        self._thread.join()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _put(self, what: pycurl.Curl | None) -> None:
        self._new.put(what)
        os.write(self._wake_write, b"!")

    def _drive(self) -> None:
        while self._take_new():
            _, running = self._multi.perform()
            self._tell_results()
            reads, writes, others = self._multi.fdset()
            seconds = self._multi.timeout() / 1000 if running else -1.0
            if seconds < 0:
                seconds = _RESOLVING if running and not reads and not writes else None
            ready, _, _ = select.select([*reads, self._wake_read], writes, others, seconds)
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
        self._multi.close()

    def _take_new(self) -> bool:
        """False: that was the end."""
        while not self._new.empty():
            curl = self._new.get()
            if curl is None:
                return False
            self._multi.add_handle(curl)
        return True

    def _tell_results(self) -> None:
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            for curl, code, message in [*((curl, 0, "") for curl in good), *bad]:
                self._multi.remove_handle(curl)
                self._results.pop(curl).put((code, message))


class Libcurl:
    """A multi handle per session, so that its connections live from step to step; without one, a handle per request."""

    schemes = ("http",)
    options = ("body.size", "timeout.connect", "timeout.total")

    def __init__(self, knobs: Knobs) -> None:
        self._expiry = knobs.whole_seconds("KEEPALIVE_EXPIRY", 118)
        self._oldest = knobs.whole_seconds("MAX_LIFETIME", 0) if knobs.given("MAX_LIFETIME") else 0
        self._socket_options = read_client_options(knobs)
        limits = {
            pycurl.M_MAXCONNECTS: knobs.number("POOL_MAXSIZE", 0),
            pycurl.M_MAX_TOTAL_CONNECTIONS: knobs.number("MAX_CONNECTIONS", 0),
            pycurl.M_MAX_HOST_CONNECTIONS: knobs.number("MAX_CONNECTIONS_PER_HOST", 0),
        }
        self._limits = {option: value for option, value in limits.items() if value}

    def open(self) -> Multi:
        return Multi(self._limits)

    def check(self, command: Command) -> None:
        check_request(command)

    def perform(self, command: Command, session: Multi | None) -> list[Event]:
        transfer = Transfer(session.connections if session is not None else {})
        curl = pycurl.Curl()
        size = 0

        def body(data: bytes) -> None:
            nonlocal size
            size += len(data)

        try:
            self._set(curl, command, transfer)
            curl.setopt(pycurl.WRITEFUNCTION, body)
            transfer.begins(time.monotonic())
            code, message = session.perform(curl) if session is not None else _perform(curl)
            local = _endpoint(curl, pycurl.LOCAL_IP, pycurl.LOCAL_PORT)
            peer = _endpoint(curl, pycurl.PRIMARY_IP, pycurl.PRIMARY_PORT)
            unsent = curl.getinfo(pycurl.SIZE_UPLOAD) < body_length(command)
        finally:
            curl.close()
        exchanges = transfer.ends(Outcome(code, message, local, peer, size, unsent), time.monotonic())
        return [exchange.event(command) for exchange in exchanges]

    def close(self, session: Multi) -> None:
        session.close()

    def _set(self, curl: pycurl.Curl, command: Command, transfer: Transfer) -> None:
        body = body_of(command)
        options: dict[int, Any] = {
            pycurl.URL: command.url,
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP,
            pycurl.PROXY: "",
            pycurl.NOSIGNAL: 1,  # there are threads
            pycurl.PATH_AS_IS: 1,
            pycurl.CONNECTTIMEOUT_MS: _milliseconds(command.seconds("connect")),
            pycurl.TIMEOUT_MS: _milliseconds(command.seconds("total")),
            pycurl.MAXAGE_CONN: self._expiry,
            pycurl.MAXLIFETIME_CONN: self._oldest,  # 0: as long as it lives
            pycurl.TCP_KEEPALIVE: int(self._socket_options.keepalive.on),
            # A value that is empty would take the header away: libcurl's way to send one that is, is a semicolon.
            pycurl.HTTPHEADER: [
                (f"{name}: {value}" if value else f"{name};").encode("latin-1")
                for name, value in command.headers.items()
            ],
            pycurl.VERBOSE: 1,
            pycurl.DEBUGFUNCTION: lambda kind, data: _says(transfer, kind, data),
            pycurl.SOCKOPTFUNCTION: lambda fd, purpose: _made(transfer, fd, self._socket_options),
        }
        if self._socket_options.source is not None:
            address, port = self._socket_options.source
            options |= {pycurl.INTERFACE: f"host!{address}"} if address else {}
            options |= {pycurl.LOCALPORT: port} if port else {}
        if isinstance(body, MadeUp):
            options |= {
                pycurl.POST: 1,
                pycurl.POSTFIELDSIZE_LARGE: len(body),
                pycurl.READFUNCTION: body.read,
                pycurl.SEEKFUNCTION: lambda offset, origin: _sought(body, offset, origin),
            }
        elif body is not None:
            options[pycurl.POSTFIELDS] = body
        if command.method == "HEAD" and body is None:
            options[pycurl.NOBODY] = 1
        elif command.method != ("GET" if body is None else "POST"):
            options[pycurl.CUSTOMREQUEST] = command.method
        for option, value in options.items():
            curl.setopt(option, value)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _sought(body: MadeUp, offset: int, origin: int) -> int:
    body.seek(offset, origin)
    return int(pycurl.SEEKFUNC_OK)


def _perform(curl: pycurl.Curl) -> tuple[int, str]:
    try:
        curl.perform()
    except pycurl.error as error:
        return int(error.args[0]), str(error.args[1])
    return 0, ""


def _says(transfer: Transfer, kind: int, data: bytes) -> None:
    if kind > _HEADER_OUT:
        return
    for line in data.decode("latin-1").splitlines():
        if kind == _TEXT:
            transfer.says(line, time.monotonic())
        elif kind == _HEADER_IN:
            transfer.receives(line)
        else:
            transfer.sends(line)


def _made(transfer: Transfer, fd: int, options: SocketOptions) -> int:
    """libcurl has set its own already: what is given here is the last word."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        options.apply(sock)
        transfer.cookie = cookie(sock)
    return int(pycurl.SOCKOPT_OK)


def _endpoint(curl: pycurl.Curl, ip: int, port: int) -> str | None:
    number = curl.getinfo(port)
    return f"{curl.getinfo(ip)}:{number}" if number else None


if __name__ == "__main__":
    sys.exit(main("libcurl", Libcurl))
