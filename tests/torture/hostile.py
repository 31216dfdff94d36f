# mypy: disable-error-code="func-returns-value"
"""A node's program that lies, floods or never ends: `python3 hostile.py MODE`. Standard library only.

As a server it listens on 8080 and answers each request with 204; as a client (modes that begin with `client-`) it gets
commands on standard input. What it says beside that is the mode.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ESCAPE = "\x1b]0;evil\x07\x1b[2J"


def say(line: object) -> None:
    text = line if isinstance(line, str) else json.dumps(line)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def event(ev: str, **fields: Any) -> dict[str, Any]:
    return {"ev": ev, "t": time.monotonic(), **fields}


def endless(write: Callable[[], object]) -> None:
    while True:
        write()


def deep(levels: int) -> str:
    return '{"ev": "served", "t": 1, "x": ' + "[" * levels + "]" * levels + "}"


ADDRESSES = {"local": "198.18.0.3:8080", "peer": "198.18.0.2:40000"}

LINES: dict[str, Callable[[], object]] = {
    # what only simctl may say
    "note": lambda: say(event("note", text="all is well")),
    "traced": lambda: say(event("traced", lost=5, counts={})),
    "state": lambda: say(event("state", a=1, old="LISTEN", new="SYN_RECV", cpu=0, **ADDRESSES)),
    "socket": lambda: say(event("socket", node="client", sk="1", state="CLOSE_WAIT", recv_q=0, send_q=0, **ADDRESSES)),
    "tick": lambda: say(event("tick", counters={})),
    "moment": lambda: say(event("moment", name="load.end")),
    "begin": lambda: say(event("begin", format=2, period=1, nodes=[])),
    "end": lambda: say(event("end", outcome="done")),
    "node": lambda: say(event("node", node="client", what="killed")),
    "rst": lambda: say(event("rst", a=0, cpu=0, **ADDRESSES)),
    "segment": lambda: say(event("segment", flags="F", seq=1, ack=1, len=0, **ADDRESSES)),
    "nat": lambda: say(event("nat", what="new", after=0, source="a:1", destination="b:2")),
    "address": lambda: say(event("address", address="198.18.0.2")),
    "unknown": lambda: say(event("x" * 500)),
    "request": lambda: say(event("request", status=200, **ADDRESSES)),
    # what it may say, said wrong
    "text-for-time": lambda: say({"ev": "served", "t": "soon"}),
    "no-time": lambda: say({"ev": "served"}),
    "huge-time": lambda: say('{"ev": "served", "t": 1e300}'),
    "infinite-time": lambda: say('{"ev": "served", "t": 1e999}'),
    "nan": lambda: say('{"ev": "served", "t": NaN}'),
    "digits": lambda: say('{"ev": "served", "t": ' + "9" * 4000 + "}"),
    "more-digits": lambda: say('{"ev": "served", "t": ' + "9" * 9000 + "}"),
    "number-for-address": lambda: say(event("served", local=5)),
    "no-address": lambda: say(event("closed", reason="idle", local="here", peer="there")),
    "no-reason": lambda: say(event("closed", **ADDRESSES)),
    "list-for-headers": lambda: say(event("served", request_headers=[1])),
    "other-node": lambda: say(event("served", node="client", **ADDRESSES)),
    "deep": lambda: say(deep(100_000)),
    "half": lambda: say('{"ev": "served", "t": 1'),
    "escape": lambda: say('{"ev": "served", "t": "' + ESCAPE + '"}'),
    "control": lambda: say(event("closed", reason=ESCAPE)),
    "exited-text": lambda: say({"ev": "exited", "status": ESCAPE}),
    "exited-list": lambda: say({"ev": "exited", "signal": [1]}),
    "exited-number": lambda: say({"ev": "exited", "status": 0}),
    "done": lambda: say({"ev": "done", "id": 1}),
    "ready-again": lambda: say(event("ready")),
    "binary": lambda: (sys.stdout.buffer.write(os.urandom(100_000)), sys.stdout.flush()),
    "nuls": lambda: say("\0" * 1000),
    # floods
    "no-newline": lambda: endless(lambda: sys.stdout.write("x" * 65536)),
    "json-no-newline": lambda: (sys.stdout.write('{"ev": "served", '), endless(lambda: sys.stdout.write("x" * 65536))),
    "lines": lambda: endless(lambda: sys.stdout.write("text\n" * 10_000)),
    "errors": lambda: endless(lambda: sys.stderr.write("text\n" * 10_000)),
    "long-error": lambda: endless(lambda: sys.stderr.write("x" * 65536)),
    "events": lambda: [say(event("served", **ADDRESSES)) for _ in range(20_000)],
    "readies": lambda: [say(event("ready")) for _ in range(20_000)],
    "fork-bomb": lambda: endless(lambda: os.fork() if len(list(Path("/proc").iterdir())) < 500 else time.sleep(1)),
    "threads": lambda: [threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(2000)],
    "fill-tmp": lambda: fill("/tmp/filled", 64 << 20),
    "memory-files": lambda: fill("/dev/shm/filled", 64 << 20),
    # ends
    "exit": lambda: os._exit(3),
    "exit-in-line": lambda: (sys.stdout.write('{"ev": "ser'), sys.stdout.flush(), os._exit(0)),
    "abort": os.abort,
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "close-output": lambda: os.close(1),
    "daemon": lambda: os.fork() == 0 and (os.setsid(), time.sleep(3600)),
    "ignores": lambda: [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)],
}


def fill(path: str, size: int) -> None:
    with open(path, "wb") as file:  # noqa: PTH123
        for _ in range(size >> 20):
            file.write(b"x" * (1 << 20))


def _request(number: int, **more: Any) -> dict[str, Any]:
    return event("request", id=number, n=1, status=204, url="http://server:8080/", method="GET", **more)


CLIENT: dict[str, Callable[[int], object]] = {
    "client-never": lambda number: time.sleep(3600),
    "client-no-id": lambda number: say({"ev": "done"}),
    "client-list-id": lambda number: say({"ev": "done", "id": [1]}),
    "client-other-id": lambda number: say({"ev": "done", "id": 77}),
    "client-negative-id": lambda number: say({"ev": "done", "id": -1}),
    "client-true-id": lambda number: say({"ev": "done", "id": True}),
    "client-twice": lambda number: [say({"ev": "done", "id": number}) for _ in range(2)],
    "client-error": lambda number: say({"ev": "done", "id": number, "error": ESCAPE}),
    "client-error-list": lambda number: say({"ev": "done", "id": number, "error": [1]}),
    "client-deep": lambda number: say(deep(100_000)),
    "client-digits": lambda number: say('{"ev": "request", "t": ' + "9" * 4000 + "}"),
    "client-status": lambda number: say(_request(number, local=5)),
    "client-error-name": lambda number: say(_request(number, error={"name": 5})),
    "client-headers": lambda number: say(_request(number, response_headers="x")),
    "client-served": lambda number: say(event("served", **ADDRESSES)),
    "client-note": lambda number: say(event("note", text="x")),
    "client-moment": lambda number: say(event("moment", name="load.end")),
    "client-forged": lambda number: ([say(_request(number)) for _ in range(3000)], say({"ev": "done", "id": number})),
    "client-escape": lambda number: (
        say(_request(number, error={"name": ESCAPE, "text": ESCAPE})),
        say({"ev": "done", "id": number}),
    ),
    "client-flood": lambda number: endless(lambda: sys.stdout.write("x" * 65536)),
    "client-events": lambda number: endless(lambda: say(_request(number))),
    "client-exit": lambda number: os._exit(0),
    "client-deaf": lambda number: (os.close(0), time.sleep(3600)),
    "client-stops": lambda number: os.kill(os.getpid(), signal.SIGSTOP),
}


def _answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\n".encode() + body


HTTP: dict[str, Callable[[socket.socket], object]] = {
    "http-silent": lambda peer: time.sleep(3600),
    "http-endless-body": lambda peer: (
        peer.sendall(_answer(b"Transfer-Encoding: chunked\r\n\r\n")),
        endless(lambda: (peer.sendall(b"1\r\nx\r\n"), time.sleep(0.01))),
    ),
    "http-endless-continue": lambda peer: endless(
        lambda: (peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n"), time.sleep(0.01))
    ),
    "http-endless-header": lambda peer: (
        peer.sendall(_answer(b"X: ")),
        endless(lambda: (peer.sendall(b"x"), time.sleep(0.01))),
    ),
    "http-huge-header": lambda peer: peer.sendall(_answer(b"X: " + b"x" * (10 << 20) + b"\r\n\r\n")),
    "http-large-headers": lambda peer: peer.sendall(_answer((b"X: " + b"y" * 60_000 + b"\r\n") * 90 + b"\r\n")),
    "http-many-headers": lambda peer: peer.sendall(_answer(b"X: y\r\n" * 20_000 + b"\r\n")),
    "http-escapes": lambda peer: peer.sendall(_answer(b"X: \x1b]0;x\x07\r\nContent-Length: 0\r\n\r\n", "200 \x1b[2J")),
    "http-garbage": lambda peer: peer.sendall(os.urandom(4096)),
    "http-digits": lambda peer: peer.sendall(_answer(b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n")),
    "http-negative": lambda peer: peer.sendall(_answer(b"Content-Length: -1\r\n\r\n")),
    "http-status": lambda peer: peer.sendall(_answer(b"Content-Length: 0\r\n\r\n", "999999 x")),
    "http-redirect": lambda peer: peer.sendall(_answer(b"Location: file:///etc/passwd\r\n\r\n", "302 Found")),
}

MODES = (*LINES, *CLIENT, *HTTP)


def server(mode: str) -> None:
    listener = socket.create_server(("", 8080))
    say(event("ready"))
    if mode in LINES:
        threading.Timer(0.2, lambda: LINES[mode]()).start()
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=serve, args=(peer, mode), daemon=True).start()


def serve(peer: socket.socket, mode: str) -> None:
    with peer:
        try:
            while peer.recv(65536):
                if mode in HTTP:
                    HTTP[mode](peer)
                    return
                peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        except OSError:
            pass


def client(mode: str) -> None:
    say(event("ready"))
    for line in sys.stdin:
        CLIENT[mode](json.loads(line)["id"])


if __name__ == "__main__":
    (client if sys.argv[1] in CLIENT else server)(sys.argv[1])
