"""One service of a Compose file: from its keys to a node, before it is known which other services there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from orchestrator.errors import Place
from orchestrator.text.record import record
from orchestrator.text.suggest import nearest
from orchestrator.topology.compose import keys
from orchestrator.topology.compose.command import read_command, read_healthcheck
from orchestrator.topology.compose.cursor import Cursor
from orchestrator.topology.compose.environment import read_environment
from orchestrator.topology.compose.extension import Via, read_routes
from orchestrator.topology.compose.limits import (
    MAX_REPLICAS,
    Rules,
    check_capability,
    check_sysctl,
    host_problem,
    node_problem,
)
from orchestrator.topology.compose.volumes import read_volumes
from orchestrator.topology.model import Attachment, Node
from orchestrator.topology.subnets import parse_address

DEFAULT_NETWORK = "default"
CONDITIONS = ("service_started", "service_healthy")

_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_KIND = re.compile(r"simctl/([^:@]*)(?::[^@]*)?(?:@.*)?")


@record
class Dependency:
    """`optional`: Compose's `required: false`."""

    cursor: Cursor
    optional: bool = False


@record
class Service:
    """A service as read. `node` is the template of its nodes; the cursors are where later checks point at."""

    node: Node
    replicas: int
    cursor: Cursor
    networks: Mapping[str, Cursor]
    dependencies: Mapping[str, Dependency]
    routes: tuple[Via, ...] = ()


def read_service(name: str, cursor: Cursor, rules: Rules) -> Service | None:
    """Notes every problem of the service; None when nothing of it can be used."""
    if (problem := node_problem(name, "a service")) is not None:
        cursor.problem(problem, of_key=True)
        return None
    fields = cursor.fields(keys.SERVICE)
    if not isinstance(cursor.value, dict | None):
        return None
    image, kind = _image(cursor, fields, rules)
    attachments, networks = _attachments(name, fields.get("networks"))
    environment, chosen = read_environment(fields, rules)
    depends_on, dependencies = _depends_on(fields.get("depends_on"))
    sysctls, sysctl_places = _sysctls(fields.get("sysctls"), rules)
    node = Node(
        name=name,
        service=name,
        image=image,
        kind=kind,
        place=cursor.place(of_key=True),
        command=read_command(fields.get("command")),
        entrypoint=_entrypoint(fields.get("entrypoint"), kind, rules),
        environment=environment,
        chosen=chosen,
        attachments=attachments,
        sysctls=sysctls,
        sysctl_places=sysctl_places,
        cap_add=_capabilities(fields.get("cap_add"), rules),
        extra_hosts=_extra_hosts(fields.get("extra_hosts")),
        hostname=_hostname(fields.get("hostname")),
        volumes=read_volumes(fields.get("volumes"), rules),
        healthcheck=read_healthcheck(fields.get("healthcheck")),
        depends_on=depends_on,
    )
    return Service(node, _replicas(fields), cursor, networks, dependencies, read_routes(fields.get("x-simctl")))


def _image(cursor: Cursor, fields: Mapping[str, Cursor], rules: Rules) -> tuple[str, str | None]:
    at = fields.get("image")
    kinds = ", ".join(f"simctl/{kind}" for kind in rules.kinds)
    if at is None:
        message = "the image of this service would have to be built, which simctl does not do"
        hint = f"build it, then name it with `image`; or use a node kind: {kinds}"
        if "build" not in fields:
            message, hint = "a service needs an `image`", f"use a node kind ({kinds}) or an image of the engine"
        cursor.problem(message, hint=hint, of_key=True)
        return "", None
    image = at.word("the name of an image")
    if image is None:
        return "", None
    match = _KIND.fullmatch(image)
    if match is None and not _IMAGE.fullmatch(image):
        at.problem(f"{image[:80]!r} is no name of an image", hint="expected NAME or NAME:TAG")
    if match is not None and match[1] not in rules.kinds:
        at.problem(
            f"unknown node kind {match[1][:60]!r}; there are: {', '.join(rules.kinds) or 'none'}",
            hint=nearest(match[1], rules.kinds),
        )
    if "build" in fields:
        fields["build"].note(f"`build` is passed over: {image} is taken as it is")
    return image, match[1] if match else None


def _entrypoint(cursor: Cursor | None, kind: str | None, rules: Rules) -> tuple[str, ...] | None:
    words = read_command(cursor)
    if cursor is not None and words and kind is not None and not rules.allow_host_access:
        cursor.problem(
            f"`entrypoint` replaces the program of the node kind {kind}, and under netns runs on this machine",
            hint=f"set knobs in `environment`: `simctl nodes {kind}`; if you trust this file, run it with --allow-exec",
            of_key=True,
        )
    return words


def _attachments(service: str, cursor: Cursor | None) -> tuple[tuple[Attachment, ...], dict[str, Cursor]]:
    if cursor is not None and isinstance(cursor.value, dict) and cursor.value:
        of_map = cursor.mapping("networks")
        return tuple(_attachment(service, name, at) for name, at in of_map.items()), of_map
    of_list: dict[str, Cursor] = {}
    for item in cursor.sequence("a list of networks, or a map") if cursor is not None else []:
        name = item.word("the name of a network")
        if name in of_list:
            item.problem(f"the network {name} stands here twice")
        elif name is not None:
            of_list[name] = item
    names = of_list or (DEFAULT_NETWORK,)
    return tuple(Attachment(name, (service,)) for name in names), of_list


def _attachment(service: str, network: str, cursor: Cursor) -> Attachment:
    fields = cursor.fields(keys.ATTACHMENT)
    aliases: dict[str, None] = {service: None}
    for alias, at in fields["aliases"].words("a list of names") if "aliases" in fields else []:
        if (problem := host_problem(alias, "a node")) is not None:
            at.problem(problem)
        else:
            aliases.setdefault(alias)
    address = _checked(fields.get("ipv4_address"), lambda text: str(parse_address(text)))
    return Attachment(network, tuple(aliases), address)


def _checked(cursor: Cursor | None, parse: Callable[[str], str]) -> str | None:
    """What `parse` makes of the text; its ValueError becomes a problem."""
    text = cursor.text() if cursor is not None else None
    if cursor is None or text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        cursor.problem(str(error))
        return None


def _depends_on(cursor: Cursor | None) -> tuple[dict[str, str], dict[str, Dependency]]:
    if cursor is None:
        return {}, {}
    conditions: dict[str, str] = {}
    dependencies: dict[str, Dependency] = {}
    if not isinstance(cursor.value, dict):
        for name, item in cursor.words("a list of services"):
            conditions[name], dependencies[name] = CONDITIONS[0], Dependency(item)
        return conditions, dependencies
    for name, item in cursor.mapping("services").items():
        fields = item.fields(keys.DEPENDENCY)
        condition = fields["condition"].text() if "condition" in fields else CONDITIONS[0]
        if condition is not None and condition not in CONDITIONS:
            reason = "a node lives as long as the lab" if condition == "service_completed_successfully" else "unknown"
            fields["condition"].problem(
                f"the condition {condition[:60]} is not supported: {reason}", hint=f"use {' or '.join(CONDITIONS)}"
            )
        optional = "required" in fields and fields["required"].flag() is False
        conditions[name], dependencies[name] = condition or CONDITIONS[0], Dependency(item, optional)
    return conditions, dependencies


def _sysctls(cursor: Cursor | None, rules: Rules) -> tuple[dict[str, str], dict[str, Place]]:
    """The settings, and where each stands."""
    sysctls: dict[str, str] = {}
    places: dict[str, Place] = {}
    if cursor is None:
        return sysctls, places
    for name, value, at in cursor.pairs("sysctls: a map, or a list of name=value"):
        if value is None or not value.strip() or "\n" in value:
            at.problem(f"the sysctl {name[:60]} needs a value of one line")
        elif check_sysctl(name, at, rules):
            sysctls[name], places[name] = value.strip(), at.place()
    return sysctls, places


def _capabilities(cursor: Cursor | None, rules: Rules) -> tuple[str, ...]:
    if cursor is None:
        return ()
    found = [check_capability(at, rules) for at in cursor.sequence("a list of capabilities")]
    return tuple(dict.fromkeys(name for name in found if name is not None))


def _extra_hosts(cursor: Cursor | None) -> dict[str, str]:
    if cursor is None:
        return {}
    hosts = {}
    for name, address, at in cursor.pairs("host names: a map, or a list of name:address", "=:"):
        if (problem := host_problem(name, "a host")) is not None:
            at.problem(problem)
        elif address == "host-gateway":
            at.problem("host-gateway is not supported: a lab is closed and cannot reach the host")
        else:
            try:
                hosts[name] = str(ip_address((address or "").strip("[] ")))
            except ValueError:
                at.problem(f"expected an address after {name}, such as {name}:10.5.0.10, not {(address or '')[:60]!r}")
    return hosts


def _hostname(cursor: Cursor | None) -> str | None:
    name = cursor.word("a host name") if cursor is not None else None
    if cursor is None or name is None:
        return None
    if (problem := host_problem(name, "a host", longest=63)) is not None:
        cursor.problem(problem)
    return name


def _replicas(fields: Mapping[str, Cursor]) -> int:
    deploy = fields["deploy"].fields(keys.DEPLOY) if "deploy" in fields else {}
    given = [
        (at, count)
        for name, at in (("scale", fields.get("scale")), ("deploy.replicas", deploy.get("replicas")))
        if at is not None and (count := at.whole(1, MAX_REPLICAS, name)) is not None
    ]
    if len(given) == 2 and given[0][1] != given[1][1]:
        given[0][0].problem(f"scale is {given[0][1]}, but deploy.replicas is {given[1][1]}", hint="keep one of them")
    return given[0][1] if given else 1
