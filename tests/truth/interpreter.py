"""Runs in a node: performs one script of socket calls. Python's standard library only; it is passed with `python3 -c`.

`python3 -c SOURCE NAME BACKGROUND SCRIPT`: SCRIPT is a JSON list of operations (docs in programs.py). With BACKGROUND 1
the caller gets its status as soon as every `listen` of the script is done. A call that fails is told on standard error
and the script goes on: what the kernel refuses is part of the program.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time
from typing import Any

_PATIENCE = 2.0
"""Seconds that a call waits at most; a listener waits as long as there may be somebody to come."""
_NOBODY_COMES = 60.0

Sockets = dict[str, socket.socket]


def main() -> None:
    name, background, script = sys.argv[1], sys.argv[2] == "1", json.loads(sys.argv[3])
    sockets: Sockets = {}
    listens = [operation for operation in script if operation[0] == "listen"]
    for operation in listens:
        attempt(sockets, operation)
    if background:
        detach(name)
    for operation in script:
        if operation[0] != "listen":
            attempt(sockets, operation)
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    if background:
        time.sleep(3600)  # what it left open stays open


def detach(name: str) -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    with open(f"/tmp/{name}.pid", "w") as file:  # noqa: PTH123 - pathlib takes 20 ms to import on an emulated processor
        file.write(str(os.getpid()))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def attempt(sockets: Sockets, operation: list[Any]) -> None:
    try:
        perform(sockets, *operation)
    except (OSError, KeyError) as error:
        print(operation[0], repr(error), file=sys.stderr, flush=True)


def perform(sockets: Sockets, verb: str, name: str = "", *rest: Any) -> None:
    match verb:
        case "listen":
            sockets[name] = listen(*rest)
        case "connect":
            sockets[name] = connect(*rest)
        case "accept":
            sockets[rest[0]] = accept(sockets[name])
        case "serve":
            threading.Thread(target=serve, args=(sockets, name, *rest)).start()
        case "relay":
            threading.Thread(target=relay, args=(sockets[name], *rest)).start()
        case "send":
            sockets[name].sendall(b"x" * rest[0])
        case "last":  # data and FIN in one segment
            sockets[name].send(b"x" * rest[0], socket.MSG_MORE)
            sockets.pop(name).close()
        case "recv":
            receive(sockets[name], rest[0])
        case "drain":
            while sockets[name].recv(1 << 16):
                pass
        case "shut":
            sockets[name].shutdown(rest[0])
        case "close":
            sockets.pop(name).close()
        case "reset":
            sockets[name].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sockets.pop(name).close()
        case "abort":
            disconnect(sockets[name])
        case "fork":
            if os.fork() == 0:
                time.sleep(rest[0])
                os._exit(0)
        case "sleep":
            time.sleep(float(name))
        case "exit":
            os._exit(0)


def listen(port: int, backlog: int, defer: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if defer:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, defer)
    made.bind(("0.0.0.0", port))
    made.listen(backlog)
    return made


def connect(host: str, port: int, options: dict[str, Any]) -> socket.socket:
    made = socket.socket()
    made.settimeout(options.get("timeout", _PATIENCE))
    if "buffer" in options:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["buffer"])
    if "bind" in options:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("0.0.0.0", options["bind"]))
    try:
        made.connect((host, port))
    except OSError:
        made.close()
        raise
    made.settimeout(_PATIENCE)
    return made


def accept(listener: socket.socket) -> socket.socket:
    listener.settimeout(_NOBODY_COMES)
    made = listener.accept()[0]
    made.settimeout(_PATIENCE)
    return made


def serve(sockets: Sockets, listener: str, buffer: int, script: list[Any]) -> None:
    """Each connection that comes goes through the script, as the socket `it`, in a thread of its own."""
    if buffer:
        sockets[listener].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    while True:
        try:
            own: Sockets = {"it": accept(sockets[listener])}
        except OSError:
            return
        sockets[f"{listener}.{len(sockets)}"] = own["it"]  # whoever drops it closes it: only the script may
        threading.Thread(target=run, args=(own, script)).start()


def run(sockets: Sockets, script: list[Any]) -> None:
    for operation in script:
        attempt(sockets, operation)


def receive(made: socket.socket, size: int) -> None:
    while size > 0 and (got := made.recv(min(size, 1 << 16))):
        size -= len(got)


def disconnect(made: socket.socket) -> None:
    """connect(2) with AF_UNSPEC: the connection is aborted, the descriptor stays."""
    import ctypes

    ctypes.CDLL(None).connect(made.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)


def relay(listener: socket.socket, host: str, port: int) -> None:
    while True:
        try:
            near = accept(listener)
        except OSError:
            return
        try:
            far = connect(host, port, {})
        except OSError:
            near.close()
            continue
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=pump, args=(one, other)).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Passes on what comes, and its end; whoever failed takes the other along."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
