"""The topology: which nodes, on which networks. Read from a Compose file; knows nothing of runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from orchestrator.errors import Place
from orchestrator.text.record import record


@record
class Attachment:
    """A node's leg in a network. `aliases` are further names of the node there, the service's name among them."""

    network: str
    aliases: tuple[str, ...] = ()
    ipv4_address: str | None = None


@record
class Volume:
    """A bind mount. `source` is absolute; relative ones were resolved against the Compose file's folder."""

    source: Path
    target: str
    read_only: bool = False


@record
class Healthcheck:
    """As Compose has it, its first word (`CMD`, `CMD-SHELL`) included; durations in seconds."""

    test: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3
    start_period: float = 0.0


@record
class Node:
    """One host of the topology.

    `name` is unique: the service's name, or `SERVICE-2` for the second of several replicas (all numbered then).
    `kind` is set when the image is `simctl/KIND`; otherwise the node runs under docker only.
    `command` is passed to the kind's program as its arguments (Compose's `command`); None: the image's own.
    """

    name: str
    service: str
    image: str
    kind: str | None
    place: Place
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, Place] = field(default_factory=dict)
    """Where variables of `environment` stand that somebody gave a value: not those that have the default of a template
    which serves several kinds (`${LEAK:-false}`)."""
    attachments: tuple[Attachment, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    sysctl_places: Mapping[str, Place] = field(default_factory=dict)
    """Where each of them stands."""
    cap_add: tuple[str, ...] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    hostname: str | None = None
    volumes: tuple[Volume, ...] = ()
    healthcheck: Healthcheck | None = None
    depends_on: Mapping[str, str] = field(default_factory=dict)
    """Service name -> condition: service_started, service_healthy."""
    routes: Mapping[str, str] = field(default_factory=dict)
    """Network -> node through which it is reached, where the file says so."""


@record
class Network:
    """One closed layer-2 segment. `subnet` is set when the file fixes it (`ipam`), else the fabric chooses."""

    name: str
    subnet: str | None = None


@record
class VirtualAddress:
    """An address of a network that no node owns: one has it at a time. `node` is the first."""

    name: str
    network: str
    node: str
    place: Place


@record
class Note:
    """Something in the file that has no meaning in a lab and was passed over: `ports`, `restart`."""

    text: str
    place: Place

    def __str__(self) -> str:
        """`compose.yaml:7:5: ...`, by the file's name alone: it is found in the run's folder too."""
        return str(Place(Path(self.place.path).name, self.place.line, self.place.column)) + f": {self.text}"


@record
class Topology:
    """Nodes in the file's order. `variables` are the Compose variables that were used, with their values."""

    path: Path
    nodes: tuple[Node, ...]
    networks: tuple[Network, ...]
    notes: tuple[Note, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[VirtualAddress, ...] = ()

    def resolve(self, name: str) -> tuple[Node, ...]:
        """The node of that name, or all replicas of the service of that name; empty when there is none."""
        exact = tuple(node for node in self.nodes if node.name == name)
        return exact or tuple(node for node in self.nodes if node.service == name)

    @property
    def members(self) -> dict[str, list[str]]:
        """Network -> the nodes that are on it."""
        found: dict[str, list[str]] = {network.name: [] for network in self.networks}
        for node in self.nodes:
            for leg in node.attachments:
                found[leg.network].append(node.name)
        return found

    @property
    def names(self) -> list[str]:
        """What a scenario may call a node: node names, and services that have several."""
        services = {node.service for node in self.nodes} - {node.name for node in self.nodes}
        return [node.name for node in self.nodes] + sorted(services)
