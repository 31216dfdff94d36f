"""The spawner: the process that makes the nodes of the netns runtime.

`python -m orchestrator.runtimes.netns.spawner FD [COUNT [KIND ...]]` serves spawn requests on a Unix SOCK_SEQPACKET
socket. For each it forks a supervisor, which makes the node's namespaces (network, mount, pid, IPC, host name) and
forks init, the first process of the node, which is then told whose node it is: COUNT of them are there before anybody
asks. What programs of these kinds import is there too, where they are Python: they are forked then (system/zygote.py).

A chain of parent-death signals (simctl's end closes the socket; spawner -> supervisor -> init -> the pid namespace)
lets nothing survive, whichever process is killed. Namespaces are anonymous: no name in /run/netns, no mount outside.

Rootless, the spawner first becomes root of a user namespace of its own; everything else is the same.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from orchestrator.bounds import NODE_FILE, OOM_SCORE
from orchestrator.runtimes.netns import bounded
from orchestrator.runtimes.netns.view import make_view
from orchestrator.system import linux, zygote
from orchestrator.system.resources import NODES
from orchestrator.system.seccomp import forbid_system_calls

_BY_KIND = {"NET_ADMIN": bounded.NET_ADMIN}
"""What a node kind may ask for besides (kinds.registry.Capability); a Compose file may not."""

_NAMESPACES = linux.CLONE_NEWNET | linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWUTS | linux.CLONE_NEWIPC
"""Of each node. IPC: System V memory and POSIX message queues."""

_EHASH_ENTRIES = "16384"
"""Buckets of a node's own table of connections. Without one, nodes share the machine's, and each dump walks all of it:
0.35 ms instead of 0.06 ms."""


_LONGEST = 1 << 18
"""Bytes of a request, at most."""


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    linux.die_with_parent(signal.SIGKILL)
    try:
        _prepare(rootless=os.geteuid() != 0)
    except OSError as error:
        control.send(json.dumps({"error": f"namespaces are refused: {error.strerror}"}).encode())
        return
    # What the forked children will use is loaded once, here, and the collector must not touch the pages they share.
    gc.disable()
    _preload(sys.argv[3:])
    spawner = Spawner(control, _load_init())
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 0):
        spawner.prepare_one()
    control.send(json.dumps({"ready": os.getpid()}).encode())
    spawner.serve()


def _preload(kinds: Sequence[str]) -> None:
    if kinds:
        with contextlib.suppress(Exception):  # whatever a program imports may fail: it fails there too, and tells it
            zygote.preload([NODES / kind for kind in kinds], NODES / "base")
            zygote.enable()


def _prepare(*, rootless: bool) -> None:
    if rootless:
        linux.enter_new_user_namespace()
    linux.unshare(linux.CLONE_NEWNET)
    with contextlib.suppress(OSError):  # an older kernel has no such setting: slower dumps, same results
        Path("/proc/sys/net/ipv4/tcp_child_ehash_entries").write_text(_EHASH_ENTRIES)


class _Unnamed(NamedTuple):
    """The namespaces and the init of a node that is nobody's yet."""

    namer: socket.socket
    """Takes the request, with its descriptors."""
    report: int
    """Where its supervisor and its init answer."""


class Spawner:
    """Serves one simctl. Forked supervisors answer through a pipe, so that many nodes are born at the same time."""

    def __init__(self, control: socket.socket, init_main: Callable[[list[str]], int]) -> None:
        self._control = control
        self._init_main = init_main
        self._births: dict[int, str] = {}
        self._unnamed: list[_Unnamed] = []
        self._supervisors: list[int] = []
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)

    def serve(self) -> None:
        """Until simctl closes its end. Returns when every node is gone."""
        linux.adopt_orphans()
        while True:
            for fd, _ in self._poll.poll():
                if fd != self._control.fileno():
                    self._report(fd)
                elif not self._receive():
                    return self._end_nodes()

    def _end_nodes(self) -> None:
        """Kill the supervisors: their death kills each init and its pid namespace. Adopt the inits, wait."""
        for supervisor in self._supervisors:
            os.kill(supervisor, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()

    def _receive(self) -> bool:
        """Take one request; False when simctl is gone or wants no more."""
        data, fds, _, _ = socket.recv_fds(self._control, _LONGEST, 3)
        if not data:
            return False
        request = json.loads(data)
        if "log" in request:  # it was begun before there was one
            for stream in (1, 2):
                os.dup2(fds[0], stream)
            os.close(fds[0])
            return True
        if not self._unnamed:
            self.prepare_one()
        born = self._unnamed.pop(0)
        with born.namer, contextlib.suppress(OSError):  # it was killed: it will not report
            socket.send_fds(born.namer, [data], fds)
        for fd in fds:
            os.close(fd)
        self._births[born.report] = request["name"]
        self._poll.register(born.report, select.POLLIN)
        return True

    def prepare_one(self) -> None:
        """Fork what will be a node once somebody asks for one."""
        report, its_report = os.pipe()
        namer, its_namer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        namer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
        supervisor = os.fork()
        if supervisor == 0:
            os.close(report)
            namer.close()
            _supervisor(its_namer, its_report, self._init_main)
        self._supervisors.append(supervisor)  # never waited for before the end, so its pid stays its own
        os.close(its_report)
        its_namer.close()
        self._unnamed.append(_Unnamed(namer, report))

    def _report(self, fd: int) -> None:
        answer = os.read(fd, 4096).decode() or "?the process that makes its namespaces was killed"
        self._poll.unregister(fd)
        os.close(fd)
        name = self._births.pop(fd)
        message: dict[str, Any] = {"name": name}
        message |= {"error": answer[1:]} if answer.startswith("?") else {"pid": int(answer)}
        self._control.send(json.dumps(message).encode())


def _supervisor(namer: socket.socket, report: int, init_main: Callable[[list[str]], int]) -> NoReturn:
    """Make the namespaces, fork init into them, and wait for it."""
    spawner = os.getppid()
    status = 1
    try:
        linux.die_with_parent(signal.SIGKILL)
        if os.getppid() != spawner:
            os._exit(1)
        linux.unshare(_NAMESPACES)
        linux.mount("none", "/", flags=linux.MS_REC | linux.MS_PRIVATE)
        alive, parent_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(parent_end)
            _init(namer, alive, report, init_main)
        os.close(alive)
        namer.close()
        # Init answers for itself once its mounts are made; the number must come from here, where the pid is ours.
        os.write(parent_end, str(child).encode())
        os.close(report)
        _, wait_status = os.waitpid(child, 0)
        status = os.waitstatus_to_exitcode(wait_status)
    except OSError as error:
        os.write(report, f"?{error}".encode())
    finally:
        os._exit(status & 0xFF)


def _init(namer: socket.socket, alive: int, report: int, init_main: Callable[[list[str]], int]) -> NoReturn:
    """Inside the new namespaces, as pid 1: hear whose node this is, make its view of the machine, then become
    nodes/base/init.py."""
    try:
        linux.die_with_parent(signal.SIGKILL)
        own_pid = os.read(alive, 16)
        if not own_pid:  # the supervisor died before the death signal was armed
            os._exit(1)
        os.setsid()
        data, fds, _, _ = socket.recv_fds(namer, _LONGEST, 3)
        if not data:
            os._exit(1)
        request = json.loads(data)
        linux.sethostname(request["hostname"])
        make_view(request)
        bounded.files(NODE_FILE.limit)
        bounded.give_way(OOM_SCORE)
        linux.limit_capabilities(bounded.CAPABILITIES.union(_BY_KIND[name] for name in request["capabilities"]))
        forbid_system_calls(user_namespaces=request["user_namespaces"])
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
        os.write(report, own_pid)
    except (OSError, ValueError) as error:
        os.write(report, f"?{error}".encode())
        os._exit(1)
    os.closerange(3, 1 << 16)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir("/tmp")
    os._exit(init_main(request["argv"]))


def _load_init() -> Callable[[list[str]], int]:
    """main() of the images' init, loaded from its file: nodes/ is data, not a package."""
    spec = importlib.util.spec_from_file_location("simctl_init", NODES / "base" / "init.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[[list[str]], int] = partial(module.main, start=partial(_start_program, module.start))
    return main


def _start_program(start: Callable[[list[str]], int], argv: list[str]) -> int:
    """As start() of the images' init, without the start of an interpreter where that can be."""
    return zygote.spawn(argv) if zygote.applies(argv, os.environ) else start(argv)


if __name__ == "__main__":
    main()
    os._exit(0)  # nothing is buffered, and simctl waits
