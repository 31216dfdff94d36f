"""The netns runtime: nodes are processes of this machine, each in network, mount and pid namespaces of its own.

Needs Linux and nothing else. As root, or rootless in a user namespace.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.bounds import NODE_START
from orchestrator.errors import EnvironmentFailure
from orchestrator.kinds.registry import Kind, argv
from orchestrator.observe.localprobe import LocalProbe
from orchestrator.runtimes.base import ExecResult, Exited, NodePlan, StartedNode
from orchestrator.runtimes.netns import walled
from orchestrator.runtimes.netns.limits import check_nodes
from orchestrator.runtimes.netns.spawnerprocess import spawner_process
from orchestrator.runtimes.netns.view import HIDDEN, HOMES
from orchestrator.runtimes.processes import execute, nsenter, signal_program
from orchestrator.system import resources, usercache, zygote
from orchestrator.system.tail import tail
from orchestrator.topology.model import Node

_BIRTH_TIMEOUT = 30.0
_PROBE_END_TIMEOUT = 5.0
_HOSTS_TIMEOUT = 30.0
_BIRTHS_AT_A_TIME = 64
"""Requests without an answer. Were all sent first, those of 400 nodes would fill the socket in both directions."""
_NODES_AHEAD = 4
"""Nodes without a name that wait for a lab which is to come: most labs have no more."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NetnsRuntime:
    """One lab of namespace nodes. `kinds` are the node kinds that the plans may name."""

    name = "netns"

    def __init__(self, kinds: Mapping[str, Kind], *, allow_exec: bool = False) -> None:
        self._kinds = kinds
        self._allow_exec = allow_exec
        self._log = Path(os.devnull)
        self._spawner: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._probe: LocalProbe | None = None
        self._pids: dict[str, int] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self._makers_of_user_namespaces: set[str] = set()
        self.rootless = os.geteuid() != 0

    @property
    def user_namespace(self) -> int | None:
        """The spawner is the root of that namespace; as root there is none."""
        return self._spawner.pid if self.rootless and self._spawner else None

    def check(self, nodes: Sequence[Node]) -> None:
        """Refuse what this runtime cannot do, before anything starts. Raises InputError, EnvironmentFailure."""
        check_nodes(nodes, self._kinds, allow_exec=self._allow_exec)

    def stand_by(self, logs: Path) -> None:
        """Start now what every lab takes, as root. `logs`: the folder that its logs will be in. Raises
        EnvironmentFailure."""
        self._start_spawner(logs, _NODES_AHEAD)
        self._probe = LocalProbe(logs / "probe.log")
        self._probe.get_ahead()

    def start(self, plans: Sequence[NodePlan]) -> dict[str, StartedNode]:
        self.check([plan.node for plan in plans])
        control = self._control or self._start_spawner(plans[0].log.parent)
        streams: dict[str, tuple[int, int]] = {}
        for plan in plans:
            if len(streams) - len(self._pids) >= _BIRTHS_AT_A_TIME:
                self._take_birth(control)
            streams[plan.node.name] = self._request(control, plan)
        while len(self._pids) < len(streams):
            self._take_birth(control)
        return {
            name: StartedNode(name, self._pids[name], os.fdopen(stdin, "wb", 0), os.fdopen(stdout, "rb"))
            for name, (stdin, stdout) in streams.items()
        }

    def _take_birth(self, control: socket.socket) -> None:
        answer = self._answer(control)
        if "error" in answer:
            raise EnvironmentFailure(f"node {answer['name']} could not be made: {answer['error']}")
        self._pids[answer["name"]] = answer["pid"]

    def _start_spawner(self, logs: Path, nodes: int = 0) -> socket.socket:
        self._log = logs / "spawner.log"
        self._spawner, self._control = spawner_process(self._log, nodes)
        self._control.settimeout(_BIRTH_TIMEOUT)
        answer = self._answer(self._control)
        if "error" in answer:
            raise EnvironmentFailure(
                str(answer["error"]),
                hint="simctl doctor says what this machine refuses and how to allow it; or use --runtime docker",
            )
        return self._control

    def _answer(self, control: socket.socket) -> dict[str, Any]:
        try:
            data = control.recv(1 << 16)
        except TimeoutError:
            data = b""
        if not data:
            lines = tail(self._log, 10)
            raise EnvironmentFailure("the process that makes the nodes ended or hangs", detail=lines)
        answer: dict[str, Any] = json.loads(data)
        return answer

    def _request(self, control: socket.socket, plan: NodePlan) -> tuple[int, int]:
        """Ask for one node; returns our ends of its standard input and output."""
        node = plan.node
        assert node.kind is not None  # check_nodes() saw to it
        command = list(node.entrypoint) if node.entrypoint else argv(self._kinds[node.kind], sys.executable)
        self._environments[node.name] = environment(node.environment)
        if self.rootless and self._kinds[node.kind].refuses_root:
            self._makers_of_user_namespaces.add(node.name)
        message = {
            "name": node.name,
            "hostname": node.hostname or node.name,
            "hosts": plan.hosts_file,
            "argv": [*command, *(node.command or ())],
            "environment": self._environments[node.name],
            "volumes": [
                {"source": str(volume.source), "target": volume.target, "read_only": volume.read_only}
                for volume in node.volumes
            ],
            "keep": self._kept(node.kind),
            "hidden": [] if self._allow_exec else [*HOMES, str(Path.home())],
            "capabilities": plan.capabilities,
            "user_namespaces": node.name in self._makers_of_user_namespaces,
        }
        data = json.dumps(message).encode()
        if len(data) > NODE_START.limit:
            raise EnvironmentFailure(
                f"node {node.name} is started with {len(data)} bytes of environment, command, names and volumes: "
                f"{NODE_START.limit} at most",
                place=node.place,
            )
        try:
            return _send_request(control, data, plan.log)
        except OSError as error:
            raise EnvironmentFailure(f"node {node.name} could not be made: {error.strerror or error}") from None

    def _kept(self, kind: str) -> list[str]:
        """Folders that a node needs and that are hidden from it (view.py) otherwise: of a cache what its kind made."""
        needed = {str(path) for path in _OURS}
        if self._kinds[kind].prepare:
            needed |= {str(usercache.location() / name) for name in (kind, "go")}
        hiding = (*HIDDEN, *HOMES, "/tmp", str(Path.home()))
        return sorted(path for path in needed if any(Path(path).is_relative_to(folder) for folder in hiding))

    def start_probe(self, log: Path) -> LocalProbe:
        probe, self._probe = self._probe, None
        return probe or LocalProbe(log)

    def healthy(self, name: str) -> bool:
        """Foreign images never run here, and node kinds have a readiness of their own."""
        return True

    def signal(self, name: str, signal: int, *, alone: bool = False) -> None:
        signal_program(self._pids[name], signal, alone=alone)

    def exited(self, name: str) -> Exited | None:
        """Init outlives the program and reports its end itself; without init the node is lost."""
        return None if Path(f"/proc/{self._pids[name]}").exists() else Exited(signal=9)

    def entrypoint(self, kind: Kind) -> list[str]:
        return argv(kind, sys.executable)

    def exec(self, name: str, command: Sequence[str], timeout: float) -> ExecResult:
        if zygote.enabled():  # the machine is the wall there, and an interpreter's start is long
            argv = [*nsenter(self._pids[name], user_namespace=self.rootless), *command]
        else:
            argv = walled.command_line(
                self._pids[name],
                command,
                user_namespace=self.rootless,
                new_user_namespaces=name in self._makers_of_user_namespaces,
            )
        return execute(argv, timeout, environment=self._environments[name])

    def set_hosts(self, name: str, text: str) -> None:
        """The file is of the node alone (view.py), so it is written from inside."""
        done = self.exec(name, ["/bin/sh", "-c", 'printf %s "$1" > /etc/hosts', "sh", text], _HOSTS_TIMEOUT)
        if done.status != 0:
            raise EnvironmentFailure(
                f"the /etc/hosts of {name} could not be written: {done.output.strip() or done.how}"
            )

    def stop(self) -> None:
        """The spawner returns when the last process of the last node is gone."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._probe is not None:  # no lab wanted it
            self._probe.stdin.close()
            self._probe.end(_PROBE_END_TIMEOUT)
            self._probe = None
        if self._spawner is not None:
            try:
                self._spawner.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._spawner.kill()
                self._spawner.wait()
            self._spawner = None


def _send_request(control: socket.socket, message: bytes, log_path: Path) -> tuple[int, int]:
    child_in, stdin = os.pipe()
    stdout, child_out = os.pipe()
    try:
        with log_path.open("ab") as log:
            socket.send_fds(control, [message], [child_in, child_out, log.fileno()])
    finally:
        os.close(child_in)
        os.close(child_out)
    return stdin, stdout


def environment(knobs: Mapping[str, str]) -> dict[str, str]:
    """A node's environment: nothing of the user's leaks in, proxies and credentials least of all."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    base = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/tmp", "XDG_CACHE_HOME": cache, "SIMCTL_LINGER": "1"}
    return base | dict(knobs)


_OURS = (Path(sys.prefix), Path(sys.base_prefix), resources.ROOT, Path(__file__).resolve().parents[3])
"""What every node needs: the interpreter and its libraries, and the kinds."""
