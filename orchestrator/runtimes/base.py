"""The protocol that every runtime fulfils, and what it hands over.

A node is a process with a network namespace. A runtime starts such processes and hands over their pids and their
standard streams; wiring, observing and capturing are written once, against namespaces.
"""

from __future__ import annotations

import signal as signals
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from orchestrator.fabric.interface import Interface
from orchestrator.observe.process import ProbeProcess
from orchestrator.text.record import record
from orchestrator.topology.model import Node

if TYPE_CHECKING:  # the probe's image has no pydantic, which reads kinds
    from orchestrator.kinds.registry import Kind


def hosts_text(names: Mapping[str, Sequence[str]]) -> str:
    """An /etc/hosts: loopback, then every name with its addresses."""
    lines = [f"{address} {name}" for name, addresses in names.items() for address in addresses]
    return "\n".join(["127.0.0.1 localhost", *lines]) + "\n"


@record
class NodePlan:
    """All that a runtime needs to start one node: the topology's node, its interfaces, its /etc/hosts."""

    node: Node
    interfaces: tuple[Interface, ...]
    hosts: Mapping[str, str]
    """Name -> address, for every name that this node can reach."""
    log: Path
    """Where the node's standard error (and, of foreign images, output) goes."""
    capabilities: tuple[str, ...] = ()
    """What its kind needs beyond what all nodes may (kinds.registry.Capability)."""

    @property
    def hosts_file(self) -> str:
        """The node's /etc/hosts: loopback, then every name that it can reach."""
        return hosts_text({name: [address] for name, address in self.hosts.items()})


@dataclass(slots=True)
class StartedNode:
    """A node whose namespaces exist. Its program starts when `go\\n` is written to `stdin` (see nodes/README.md).

    `pid` is a process inside the node's namespaces, as the probe sees it. `stdout` carries one JSON event a line for
    node kinds that speak (`events: true` in node.yaml). Closing `stdin` ends the node.
    """

    name: str
    pid: int
    stdin: BinaryIO
    stdout: BinaryIO
    detail: Mapping[str, str] = field(default_factory=dict)
    """For people: container id and image, or the command line."""


def signal_name(number: int) -> str:
    """`SIGHUP`; `signal 35` for one without a name of its own."""
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


@record
class Exited:
    """How a node's program ended: an exit status, or a signal number."""

    status: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        return f"killed by {signal_name(self.signal)}" if self.signal else f"exit status {self.status}"


@record
class ExecResult:
    status: int
    output: str
    """Standard output and error together, decoded with replacement."""

    @property
    def how(self) -> str:
        """How it ended: `ended with status 1`, `was killed by SIGHUP` (a negative status is a signal's number)."""
        return f"was killed by {signal_name(-self.status)}" if self.status < 0 else f"ended with status {self.status}"


class Runtime(Protocol):
    """Where nodes live. One instance serves one lab; `stop` is safe at any time and more than once."""

    name: str

    @property
    def user_namespace(self) -> int | None:
        """Pid of a process in the user namespace that owns the nodes' namespaces; None when it is the machine's own."""

    def start(self, plans: Sequence[NodePlan]) -> dict[str, StartedNode]:
        """Bring all namespaces up, in parallel. Programs wait for `go`. Raises EnvironmentFailure."""

    def start_probe(self, log: Path) -> ProbeProcess:
        """Start the probe where it can enter the nodes' namespaces. `log` gets its standard error. Raises
        EnvironmentFailure."""

    def healthy(self, name: str) -> bool:
        """Whether a foreign image's health check passes; True when it has none."""

    def signal(self, name: str, signal: int, *, alone: bool = False) -> None:
        """Send a signal to every process of the node's program. `alone`: to its first process, and not to the children
        of that."""

    def exited(self, name: str) -> Exited | None:
        """How the node's program ended, or None while it runs."""

    def entrypoint(self, kind: Kind) -> list[str]:
        """The command line of a kind's program, as it is inside a node."""

    def exec(self, name: str, command: Sequence[str], timeout: float) -> ExecResult:
        """Run a command inside the node."""

    def set_hosts(self, name: str, text: str) -> None:
        """Replace the node's /etc/hosts. Its programs see it when they look a name up again."""

    def stop(self) -> None:
        """End every node and free everything that this instance made. Bounded in time."""
