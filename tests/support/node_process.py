"""For tests of node programs: a real process, its events as they come, and plain sockets to talk to it."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from orchestrator.system.resources import NODES

PATIENCE = 30.0
"""Seconds to wait for something that must happen. Never a measure of how long it takes."""

CLIENT = [sys.executable, str(NODES / "requests" / "client.py")]
ORIGIN = [sys.executable, str(NODES / "origin" / "server.py")]
JETTY = [sys.executable, str(NODES / "jetty" / "run.py")]


class NodeProcess:
    """A program of a node, with pipes. Events are read in a thread of their own, so that it never has to wait."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        # In a lab a node has a /tmp of its own, which goes with it.
        self._scratch = tempfile.TemporaryDirectory(prefix="simctl-test-", ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": self._scratch.name, **(environment or {})},
        )
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._seen: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip():
                self._events.put(json.loads(line))
        self._events.put(None)

    def next(self, *kinds: str) -> dict[str, Any]:
        """The next event of one of these kinds, in order; others before it are passed over (see `seen`)."""
        while (event := self._events.get(timeout=PATIENCE)) is not None:
            self._seen.append(event)
            if event["ev"] in kinds:
                return event
        raise AssertionError(f"it ended without saying {' or '.join(kinds)}: {self.log()}")

    def rest(self) -> list[dict[str, Any]]:
        """Every further event, until it ended."""
        return list(iter(lambda: self._events.get(timeout=PATIENCE), None))

    def seen(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self._seen if event["ev"] == kind]

    def send(self, command: Mapping[str, Any]) -> None:
        self.write(json.dumps(command).encode() + b"\n")

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def do(self, **command: Any) -> list[dict[str, Any]]:
        """Have a client carry out a command; its `request` events, then `done`."""
        self.send({"id": 1, **command})
        events = [self.next("request", "done")]
        while events[-1]["ev"] != "done":
            events.append(self.next("request", "done"))
        return events

    def log(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def end(self) -> int:
        """Close its input and wait for it; the exit status as Popen has it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # what a test wrote to it and it never read
        self._scratch.cleanup()


@contextmanager
def node(argv: Sequence[str], **environment: str) -> Iterator[NodeProcess]:
    """A program with these variables in its environment; killed at the end if it is still there."""
    process = NodeProcess(argv, environment)
    try:
        yield process
    finally:
        process.kill()


@contextmanager
def server(argv: Sequence[str], **knobs: str) -> Iterator[tuple[NodeProcess, int]]:
    """A server on a free port, when it is ready: the process and the port."""
    with node(argv, **({"HTTP_PORT": "0"} | knobs)) as process:
        yield process, process.next("ready")["port"]


@contextmanager
def client() -> Iterator[NodeProcess]:
    """The requests client, when it is ready."""
    with node(CLIENT) as process:
        process.next("ready")
        yield process


class Wire:
    """A plain TCP client that says exactly what a test wants said."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def get(self, path: str, *headers: str, method: str = "GET", version: str = "1.1") -> Response:
        lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers, "", ""]
        self.send("\r\n".join(lines).encode())
        return self.response(head=method == "HEAD")

    def response(self, head: bool = False) -> Response:
        """Read one response with its body, framed as RFC 9112 section 6.3 says."""
        status = int(self._file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if head or status in (100, 204, 304):
            return Response(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Response(status, headers, b"".join(self._chunks()))
        if "content-length" in headers:
            return Response(status, headers, self._file.read(int(headers["content-length"])))
        return Response(status, headers, self._file.read())

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._file.readline(), 16):
            yield self._file.read(size)
            self._file.readline()
        self._file.readline()

    def read_end(self) -> bytes:
        """What comes before the end of file; raises ConnectionResetError when a RST comes instead."""
        return self._file.read()


class Response:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
