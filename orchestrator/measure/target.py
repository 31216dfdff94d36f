"""What the user names: a server by its address, or a node of a standing lab; and from where it is measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from orchestrator.errors import InputError
from orchestrator.lab.standing import registry
from orchestrator.lab.standing.registry import LabRecord
from orchestrator.text.record import record

NODE_PORT = 8080
"""Where servers of node kinds listen, unless HTTP_PORT moves them."""

_FORMS = "HOST:PORT, http://HOST:PORT/path, NODE or LAB/NODE"
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^/:@\[\]]+):(?P<port>[0-9]+)(?P<path>/.*)?")
_VISIBLE = re.compile(r"[!-~]+")
"""What may stand in a request as it is."""
_NODE = re.compile(r"(?:(?P<lab>[^/:@\s]+)/)?(?P<node>[^/:@\s]+)")
_TYPICAL = {"client": 0, "host": 1}
"""Roles of nodes, best first, from which others are measured."""


@record
class Address:
    """Where an HTTP server is. `path` has the query with it."""

    host: str
    port: int
    path: str = "/"

    @property
    def host_field(self) -> str:
        """The request's `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 80 else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"http://{self.host_field}{self.path}"


@record
class NodeName:
    """`lab` None: the only one that is up."""

    lab: str | None
    node: str


@record
class Standpoint:
    """The node that measures."""

    lab: LabRecord
    node: str

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.lab.nodes[self.node]


@record
class Aim:
    """A target, ready to be measured: `hosts` are its names or addresses, the first that answers counts.

    `standpoint` None: it is measured from this machine.
    """

    address: Address
    hosts: tuple[str, ...]
    standpoint: Standpoint | None

    @property
    def place(self) -> str:
        """From where, in words."""
        return f"{self.standpoint.node} of lab {self.standpoint.lab.name}" if self.standpoint else "this machine"


def parse_target(text: str) -> Address | NodeName:
    """Raises InputError."""
    if "://" in text:
        return _parse_url(text)
    if match := _ADDRESS.fullmatch(text):
        return _address(text, match["host"].strip("[]"), match["port"], match["path"] or "/")
    return parse_node(text)


def parse_node(text: str) -> NodeName:
    """`NODE` or `LAB/NODE`. Raises InputError."""
    match = _NODE.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is no target", hint=f"expected {_FORMS}")
    return NodeName(match["lab"], match["node"])


def _parse_url(text: str) -> Address:
    scheme = text.partition("://")[0].lower()
    if scheme == "https":
        raise InputError(
            f"{text}: HTTPS is not measured, only plain HTTP",
            hint="measure the port behind that speaks plain HTTP, where there is one",
        )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{text!r} is no URL: {error}", hint=f"expected {_FORMS}") from None
    if scheme != "http" or not parts.hostname or "@" in parts.netloc:
        raise InputError(f"{text!r} is no URL that can be measured", hint=f"expected {_FORMS}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _address(text, parts.hostname, "80" if port is None else str(port), path)


def _address(text: str, host: str, port: str, path: str) -> Address:
    if not _VISIBLE.fullmatch(host + path):
        raise InputError(
            f"{text!r}: host and path are ASCII, without spaces", hint="write others as %XX, as browsers do"
        )
    if len(port) > 5 or not 1 <= int(port) <= 65535:
        raise InputError(f"{text!r}: a port is a number from 1 to 65535, not {port}")
    return Address(host, int(port), path)


def take_aim(target: Address | NodeName, from_: NodeName | None, roles: Mapping[str, str]) -> Aim:
    """Find what is named among the standing labs. `roles`: node kind -> role. Raises InputError."""
    if isinstance(target, Address):
        if from_ is None:
            return Aim(target, (target.host,), None)
        standpoint = _standpoint(from_)
        node = standpoint.lab.nodes.get(target.host)
        _refuse_itself(standpoint, target.host)
        return Aim(target, tuple(node["addresses"]) if node else (target.host,), standpoint)
    lab = registry.find(target.lab, choose="LAB/NODE")
    facts = registry.node_of(lab, target.node)
    if from_ is None:
        standpoint = Standpoint(lab, _anyone_but(lab, target.node, roles))
    else:
        standpoint = _standpoint(NodeName(from_.lab or lab.name, from_.node))
        if standpoint.lab.name != lab.name:
            raise InputError(
                f"{target.node} is in the lab {lab.name}, which is closed to nodes of {standpoint.lab.name}",
                hint=f"--from one of its own nodes: {', '.join(lab.nodes)}",
            )
    _refuse_itself(standpoint, target.node)
    return Aim(Address(target.node, NODE_PORT), tuple(facts["addresses"]), standpoint)


def _standpoint(name: NodeName) -> Standpoint:
    lab = registry.find(name.lab, choose="LAB/NODE")
    registry.node_of(lab, name.node)
    return Standpoint(lab, name.node)


def _anyone_but(lab: LabRecord, target: str, roles: Mapping[str, str]) -> str:
    """The node to measure from when none was named: a client, if there is one."""
    others = [name for name in lab.nodes if name != target]
    if not others:
        raise InputError(
            f"lab {lab.name} has no other node to measure {target} from",
            hint="a node cannot measure itself: TCP over loopback has rules of its own",
        )
    return min(others, key=lambda name: _TYPICAL.get(roles.get(lab.nodes[name]["kind"], ""), len(_TYPICAL)))


def _refuse_itself(standpoint: Standpoint, target: str) -> None:
    facts = standpoint.facts
    if target in (standpoint.node, "localhost") or target in facts["addresses"] or target.startswith("127."):
        raise InputError(
            f"a node cannot measure itself, and {target} is {standpoint.node} as seen from there",
            hint="TCP over loopback has rules of its own; choose another node with --from",
        )
