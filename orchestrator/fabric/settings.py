"""What a topology's `sysctls` may be: looked at before anything starts, by their names and by the kernel itself."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from orchestrator.errors import Gathered, InputError, Place
from orchestrator.fabric.settingnames import OF_MACHINES, OF_NODES
from orchestrator.system.linux import CLONE_NEWNET, CLONE_NEWUSER, unshare
from orchestrator.text.suggest import shown, suggestion
from orchestrator.topology.model import Node, Topology

_INTERFACE = re.compile(r"(net\.ipv[46]\.(?:conf|neigh))\.(.+)\.([^.]+)")
_ROOT = Path("/proc/sys")
_ALWAYS = ("all", "default", "lo")


def check_names(topology: Topology) -> None:
    """Raises InputError, with all problems, for settings below net.* that no node can have: those of the whole
    machine, and those that do not exist. Whether a name that is not known here is one of a newer kernel, this
    machine's says."""
    problems = Gathered(topology.path, "in this topology")
    for node in topology.nodes:
        for name in node.sysctls:
            general, interface = _general(name)
            if not name.startswith("net.") or general in OF_NODES:
                if interface is not None and not _has(node, interface):
                    message = f"{node.service} has no interface {shown(interface)}: the setting {name} is of none"
                    problems.append(InputError(message, place=_place(node, name), hint=_interfaces(node)))
            elif general in OF_MACHINES:
                problems.append(InputError(_machines(name), place=_place(node, name), hint=_MACHINES_HINT))
            elif not _path(name).exists():
                hint = suggestion(name, sorted(OF_NODES)) if len(name) < 100 else None
                message = f"there is no kernel setting {shown(name)} of a network"
                problems.append(InputError(message, place=_place(node, name), hint=hint))
    problems.raise_all()


def check_kernel(topology: Topology) -> None:
    """Raises InputError, with all problems, for what the kernel of this machine refuses in a network namespace: tried
    in one of its own, which nobody uses. Where none can be made, nothing is known."""
    wanted = {(_tried(name), value) for node in topology.nodes for name, value in node.sysctls.items()}
    refused = _try(sorted(wanted)) if wanted else {}
    problems = Gathered(topology.path, "in this topology")
    for node in topology.nodes:
        for name, value in node.sysctls.items():
            number = refused.get(_tried(name), {}).get(value)
            if number is not None:
                problems.append(InputError(_refusal(name, value, number), place=_place(node, name)))
    problems.raise_all()


_MACHINES_HINT = "what all nodes share cannot be set for one; set it on the machine, or leave it out"


def _machines(name: str) -> str:
    return f"the kernel setting {name} is one of the whole machine, not of a node's network"


def _refusal(name: str, value: str, number: int) -> str:
    if number == errno.ENOENT:
        there = _path(name).exists()
        return _machines(name) if there else f"the kernel {os.uname().release} has no setting {name} of a network"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _machines(name)
    return f"the kernel does not take {shown(value)} for {name}: {os.strerror(number)}"


def _general(name: str) -> tuple[str, str | None]:
    """The name with `*` for its interface, and that interface."""
    match = _INTERFACE.fullmatch(name)
    return (f"{match[1]}.*.{match[3]}", match[2]) if match else (name, None)


def _tried(name: str) -> str:
    """The name that stands for it where the node's interfaces are not yet."""
    match = _INTERFACE.fullmatch(name)
    return f"{match[1]}.lo.{match[3]}" if match and match[2] not in _ALWAYS else name


def _has(node: Node, interface: str) -> bool:
    return interface in (*_ALWAYS, *(f"eth{number}" for number in range(len(node.attachments))))


def _interfaces(node: Node) -> str:
    return (
        f"it has {', '.join(('lo', *(f'eth{number}' for number in range(len(node.attachments)))))}; also all, default"
    )


def _place(node: Node, name: str) -> Place:
    return node.sysctl_places.get(name, node.place)


def _path(name: str) -> Path:
    return _ROOT / name.replace(".", "/")


def _try(wanted: Iterable[tuple[str, str]]) -> Mapping[str, Mapping[str, int]]:
    """Name -> value -> the errno with which it was refused. Values of settings outside net.* are not tried: they
    would be set for good. In a child, since who made a namespace stays in it."""
    output, its_output = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(output)
            found = _tried_here(wanted)
            os.write(its_output, json.dumps(found).encode())
        finally:
            os._exit(0)
    os.close(its_output)
    with os.fdopen(output, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    refused: dict[str, dict[str, int]] = json.loads(answer or b"{}")
    return refused


def _tried_here(wanted: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    try:
        unshare(CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET)
    except OSError:
        return {}
    refused: dict[str, dict[str, int]] = {}
    for name, value in wanted:
        if name.startswith("net."):
            try:
                _write(_path(name), value)
            except OSError as error:
                refused.setdefault(name, {})[value] = error.errno or errno.EINVAL
    return refused


def _write(path: Path, value: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    with contextlib.closing(os.fdopen(file, "wb", 0)) as stream:
        stream.write(value.encode())
