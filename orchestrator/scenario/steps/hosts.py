"""`hosts`: names mean other addresses for a node."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from orchestrator.scenario.steps.base import Applied, Context, Effect, Fields, Situation
from orchestrator.text.suggest import shown, suggestion

_CHANGED = Effect("hosts changed", "given other addresses for names")

_NAMES = 64
_ADDRESSES = 16


_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Where = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    BeforeValidator(_listed),
    Field(max_length=_ADDRESSES),
    WithJsonSchema(
        {
            "title": "name or address, or a list",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "maxItems": _ADDRESSES, "items": {"type": "string", "minLength": 1}},
            ],
        }
    ),
]


class Hosts(Fields):
    """Change what names mean in a node's /etc/hosts: another node, several, or none, as when a name server gives
    another answer.

    A program sees it when it looks the name up again; what it has connected or remembered stays. Of several addresses
    most programs try the first, and the next when that cannot be reached. `heal` gives the names the meaning
    that they have without the step: of several steps about a name the latest counts that is not healed.
    """

    verb = "hosts"
    meaning = "names mean other addresses for a node"
    example = """\
steps:
  - name: switch
    hosts: {node: client, set: {api: server, server: [server, proxy]}}
  - name: nobody
    hosts: {node: client, set: {api: []}}
"""
    effects = (_CHANGED,)

    node: str = Field(description="the node (or service: all its replicas)")
    set: dict[str, Where] = Field(
        min_length=1,
        max_length=_NAMES,
        description="name -> a node or address, or a list of them in their order; an empty list: the name is unknown",
    )

    def check(self, situation: Situation) -> None:
        nodes = situation.nodes(self.node, "node")
        if not nodes:
            return
        for node in nodes:
            if situation.kind(node) is None:
                message = f"{node} is an image of its own: nothing is known of how it looks names up"
                situation.problem(message, None, "node")
                return
        if len({name.lower() for name in self.set}) < len(self.set):
            situation.problem("a name is there twice: letter case makes no difference to a name", None, "set")
        known = situation.targets(nodes)
        for name, where in self.set.items():
            if not _NAME.fullmatch(name):
                message = f"{shown(name)} is no host name: letters, digits, hyphens and points"
                situation.problem(message, None, "set", name)
            for each in where:
                if each not in known and not _is_address(each):
                    message = f"{shown(each)} is no IPv4 address, and no node or name that {nodes[0]} could reach"
                    situation.problem(message, suggestion(each, sorted(known)), "set", name)
        for node in nodes:
            situation.earlier.named.setdefault(node, set()).update(self.set)
        situation.earlier.faults[situation.step] = Applied(self.verb, heals_itself=False)

    def describe(self) -> str:
        return f"hosts of {self.node}: {', '.join(self.set)}"

    def perform(self, context: Context) -> None:
        self._write(context, self.set)
        context.later(context.step, lambda: self._write(context, None))

    def _write(self, context: Context, names: Mapping[str, Sequence[str]] | None) -> None:
        for node in context.nodes(self.node):
            context.set_hosts(node, names)
            context.record(node, _CHANGED, about=", ".join(self.set))
