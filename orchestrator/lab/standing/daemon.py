"""The daemon: the process that holds a standing lab.

`python -m orchestrator.lab.standing.daemon` gets its task on standard input.

It brings the lab up, writes the record, says `up` (or the error) on its standard output, and then serves its Unix
socket until SIGTERM. Everything that it holds goes with it, however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError, SimctlError
from orchestrator.kinds.registry import load_kinds
from orchestrator.lab.lab import Lab, LabFolder, LabSettings
from orchestrator.lab.standing.registry import LabRecord, save
from orchestrator.runtimes import registry as runtime_registry
from orchestrator.system import interrupts
from orchestrator.system.linux import process_start_time, readable
from orchestrator.system.storage import storage_errors
from orchestrator.topology.compose.file import load_topology

_PATIENCE = 10.0
"""Seconds that an asker gets: while one is served, the others wait."""


def main() -> None:
    interrupts.install()
    task = json.load(sys.stdin)
    try:
        with storage_errors(Path(task["folder"]), hint="free some space, or set SIMCTL_STATE to another folder"):
            _keep(task)
    except KeyboardInterrupt:  # how `simctl down` ends it
        return
    except SimctlError as error:
        _say({"error": error.message, "place": str(error.place or ""), "hint": error.hint, "detail": error.detail,
              "usage": isinstance(error, InputError)})  # fmt: skip


def _keep(task: Mapping[str, Any]) -> None:
    folder = Path(task["folder"])
    kinds = load_kinds()
    topology = load_topology(
        Path(task["topology"]), task["variables"], kinds=kinds, allow_host_access=task["allow_exec"]
    )
    choice = runtime_registry.choose(task["runtime"], topology, kinds)
    _say({"progress": f"runtime {choice.name}: {choice.why}"})
    runtime = runtime_registry.create(
        choice, topology, kinds, allow_exec=task["allow_exec"], progress=lambda text: _say({"progress": text})
    )
    files = LabFolder(folder / "events.jsonl", folder / "logs", folder / "ss")
    files.logs.mkdir()
    lab = Lab(topology, runtime, kinds, files, LabSettings(trace=False, ready_timeout=task["ready_timeout"]))
    with lab, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        assert lab.plan is not None
        server.bind(str(folder / "control"))
        server.listen()
        pid = os.getpid()
        nodes = {
            node.name: {
                "pid": lab.pids[node.name],
                "kind": node.kind or node.image,
                "addresses": [leg.address for leg in lab.plan.interfaces[node.name]],
                **({"container": lab.containers[node.name]} if node.name in lab.containers else {}),
            }
            for node in topology.nodes
        }
        save(
            LabRecord(
                name=task["name"],
                topology=task["topology"],
                runtime=choice.name,
                daemon_pid=pid,
                daemon_start=process_start_time(pid) or 0,
                folder=str(folder),
                nodes=nodes,
                rootless=runtime.user_namespace is not None,
                reachable=lab.here,
            )
        )
        _say({"up": nodes})
        _let_go_of_caller()
        _serve(server, lab)


def _serve(server: socket.socket, lab: Lab) -> None:
    # A signal that comes just before a system call blocks is handled after it: accept() alone would miss the last one.
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    while True:
        ready = readable([server.fileno(), woken.fileno()])
        if woken.fileno() in ready:
            woken.recv(64)
        if server.fileno() not in ready:
            continue
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):  # the asker went away, or says nothing
            connection.settimeout(_PATIENCE)
            try:
                request = json.loads(connection.makefile("rb").readline())
                answer = _answer(request, lab)
            except SimctlError as error:
                answer = {"error": str(error)}
            except (ValueError, KeyError) as error:
                answer = {"error": f"not understood: {error}"}
            connection.sendall(json.dumps(answer).encode() + b"\n")


def _answer(request: Mapping[str, Any], lab: Lab) -> dict[str, Any]:
    match request["do"]:
        case "texts":
            return {"texts": lab.session.socket_texts()}
        case "states":
            ended = {name: str(channel.exited) for name, channel in lab.channels.items() if channel.exited}
            return {"ended": ended}
    raise ValueError(f"unknown request {request['do']!r}")


def _say(message: Mapping[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _let_go_of_caller() -> None:
    """The one who started us waits for the end of our output: from here on nothing goes there."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.close(null)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    main()
