"""Reads a topology from a Compose file.

The Compose Specification, so that people's own files work. What a lab cannot give is refused, what has no meaning in
one is passed over with a note, and all that is wrong is reported at once. The process environment is not read: what a
file means depends on the given variables, the file and its `.env` only, so a run can be repeated elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator.bounds import NODES
from orchestrator.errors import InputError, Place
from orchestrator.text.suggest import did_you_mean, suggestion
from orchestrator.text.yamlsource import load_yaml
from orchestrator.topology.compose import keys
from orchestrator.topology.compose.cursor import Reading
from orchestrator.topology.compose.dotenv import read_dotenv
from orchestrator.topology.compose.extension import checked_routes, read_addresses
from orchestrator.topology.compose.interpolate import mentioned
from orchestrator.topology.compose.limits import Rules, node_problem
from orchestrator.topology.compose.networks import read_networks, used_networks
from orchestrator.topology.compose.service import Service, read_service
from orchestrator.topology.model import Node, Note, Topology
from orchestrator.topology.order import find_cycle


def load_topology(
    path: Path,
    variables: Mapping[str, str],
    *,
    kinds: Iterable[str],
    allow_host_access: bool = False,
) -> Topology:
    """The topology of a Compose file.

    `variables` go before those of the `.env` file beside it. `allow_host_access` (`--allow-exec`) lifts the limits of
    limits.py: the file is trusted. `kinds` are the names of the node kinds that there are.
    Raises InputError; its `problems` are all that were found, in the file's order.
    """
    reading = Reading(load_yaml(path), variables)
    rules = Rules(path.parent, tuple(kinds), allow_host_access)
    _read_dotenv(reading, rules)
    fields = reading.root.fields(keys.TOP)
    services = [
        service
        for name, cursor in (fields["services"].mapping("the services: a map").items() if "services" in fields else ())
        if (service := read_service(name, cursor, rules)) is not None
    ]
    if not services and not reading.problems:
        reading.root.problem("a topology needs at least one service", hint="`services: {client: {image: ...}}`")
    networks = used_networks(read_networks(fields.get("networks")), services)
    services = _check_dependencies(services)
    nodes = _nodes(services)
    routes = checked_routes({service.node.name: service.routes for service in services}, nodes, networks)
    nodes = tuple(replace(node, routes=routes.get(node.service, {})) for node in nodes)
    addresses = read_addresses(fields.get("x-simctl"), nodes, networks)
    _note_shared_aliases(services, reading)
    _note_unused(reading, variables, path)
    reading.problems.raise_all()
    used = {name: value for name, value in reading.variables.items() if name in reading.mentioned}
    return Topology(path, nodes, networks, reading.all_notes(), used, addresses)


def variables_of(path: Path) -> set[str]:
    """Every variable that a Compose file or the `.env` beside it mentions; none of a file that cannot be read."""
    files = (path, path.with_name(".env"))
    return {name for file in files if file.is_file() for name in mentioned(file.read_text("utf-8", errors="replace"))}


def _read_dotenv(reading: Reading, rules: Rules) -> None:
    """Adds what `.env` sets and nothing above it does."""
    path = rules.folder / ".env"
    if not path.is_file():
        return
    outside = not path.resolve().is_relative_to(rules.folder.resolve())
    if outside and not rules.allow_host_access:
        reading.problems.append(
            InputError(
                "`.env` links to a file outside of its folder",
                place=Place(path),
                hint="if you trust it, run with --allow-exec",
            )
        )
        return
    try:
        reading.variables = {**read_dotenv(path, reading.variables.get), **reading.variables}
    except InputError as error:
        reading.problems.append(error)


def _check_dependencies(services: Sequence[Service]) -> list[Service]:
    """Notes unknown services and cycles; drops dependencies that may be missing and are."""
    known = [service.node.name for service in services]
    checked = []
    for service in services:
        depends_on = dict(service.node.depends_on)
        for name, dependency in service.dependencies.items():
            if name in known:
                continue
            del depends_on[name]
            if dependency.optional:
                dependency.cursor.note(
                    f"depends_on {name} is passed over: there is no such service; it is not required"
                )
            else:
                dependency.cursor.problem(
                    f"{service.node.name} depends on the service {name[:60]!r}, which is not in this file",
                    hint=suggestion(name, known),
                )
        checked.append(replace(service, node=replace(service.node, depends_on=depends_on)))
    cycle = find_cycle({service.node.name: list(service.node.depends_on) for service in checked})
    if cycle is not None:
        first = next(service for service in checked if service.node.name == cycle[0])
        first.dependencies[cycle[1]].cursor.problem(
            f"services depend on each other in a circle: {' -> '.join(cycle)}", hint="remove one `depends_on`"
        )
    return checked


def _nodes(services: Sequence[Service]) -> tuple[Node, ...]:
    """One node a replica. Names that differ in case only are refused: host names ignore it."""
    nodes: list[Node] = []
    owners: dict[str, str] = {}
    if (wanted := sum(service.replicas for service in services)) > NODES.limit:
        largest = max(services, key=lambda service: service.replicas)
        largest.cursor.problem(f"the topology has {wanted} nodes: {NODES.limit} at most", of_key=True)
        return ()
    for service in services:
        for node in _replicas(service):
            other = owners.setdefault(node.name.lower(), service.node.name)
            if other != service.node.name:
                service.cursor.problem(
                    f"the node {node.name} of the service {service.node.name} has the name of a node of {other}",
                    hint="rename one of the services",
                    of_key=True,
                )
            if (problem := node_problem(node.name, "a node")) is not None:
                service.cursor.problem(problem, of_key=True)
            nodes.append(node)
    return tuple(nodes)


def _replicas(service: Service) -> list[Node]:
    if service.replicas == 1:
        return [service.node]
    return [replace(service.node, name=f"{service.node.name}-{number}") for number in range(1, service.replicas + 1)]


def _note_shared_aliases(services: Sequence[Service], reading: Reading) -> None:
    """A name means one node in a lab, where Compose's name server would take turns."""
    first: dict[tuple[str, str], Service] = {}
    for service in services:
        name = service.node.name
        if service.replicas > 1:
            service.cursor.note(f"the name {name} means {name}-1, the first of its {service.replicas} nodes")
        for attachment in service.node.attachments:
            first.setdefault((attachment.network, name), service)
    for service in services:
        for attachment in service.node.attachments:
            for alias in attachment.aliases:
                owner = first.setdefault((attachment.network, alias), service).node.name
                if owner != service.node.name:
                    service.networks[attachment.network].note(
                        f"the alias {alias} of {service.node.name} means {owner} in the network {attachment.network}"
                    )


def _note_unused(reading: Reading, given: Mapping[str, str], path: Path) -> None:
    for name in given:
        if name not in reading.mentioned:
            near = did_you_mean(name, sorted(reading.mentioned))
            text = f"the variable {name} has no effect: this file does not use it"
            reading.notes.append(Note(text + (f"; did you mean {near}?" if near else ""), Place(path)))
