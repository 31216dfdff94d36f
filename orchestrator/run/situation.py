"""What the check of a step may ask of the rest, before anything is started."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from orchestrator.fabric.nats import nats
from orchestrator.kinds.registry import Kind
from orchestrator.lab import knobs
from orchestrator.run.reloads import no_reload
from orchestrator.run.subject import Subject
from orchestrator.scenario.step import Step
from orchestrator.scenario.steps.base import Earlier
from orchestrator.scenario.translate import Keys
from orchestrator.text.record import record
from orchestrator.topology.model import Node


@record
class StepSituation:
    """What one step finds; orchestrator/scenario/steps/base.py says what each method is for."""

    checker: Subject
    of: Step
    keys: Keys
    earlier: Earlier

    @property
    def step(self) -> str:
        return self.of.name

    def without_pace(self, nodes: Sequence[str]) -> tuple[str, Sequence[str]] | None:
        return self.checker.without(nodes, lambda kind: kind.paces)

    def without_option(self, nodes: Sequence[str], option: str) -> tuple[str, Sequence[str]] | None:
        return self.checker.without(nodes, lambda kind: option in kind.options)

    def nodes(self, name: str, *keys: str) -> Sequence[str]:
        return [node.name for node in self.checker.resolve((*self.keys, *keys), name)]

    def able(
        self, name: str, *keys: str, client: bool = False, awake: bool = False, command: str | None = None
    ) -> Sequence[str]:
        nodes = self.checker.resolve((*self.keys, *keys), name)
        for node in nodes:
            unfit = (
                (client and self._no_client(node))
                or (command is not None and self._without(node, command))
                or self._ended(node)
                or (awake and self._paused(node))
            )
            if unfit:
                self.problem(*unfit, *keys)
                return ()
        names = [node.name for node in nodes]
        if awake and self.of.beside:
            self.earlier.running[self.step].update(names)
        return names

    def can_end(self, step: str) -> None:
        for node in sorted(self.earlier.running[step] - self.earlier.gone.keys()):
            if (by := self.earlier.paused.get(node)) is not None:
                message = f"the step {step} cannot end: {node}, which it waits for, is paused by the step {by}"
                self.problem(message, "`resume` it first")
                return

    def _no_client(self, node: Node) -> tuple[str, str] | None:
        if self.checker.role(node) == "client":
            return None
        others = [other.name for other in self.checker.topology.nodes if self.checker.role(other) == "client"]
        hint = f"clients of this topology: {', '.join(others)}" if others else "this topology has no client"
        return f"{node.name} is no client but {self.checker.what(node)}", hint

    def _without(self, node: Node, command: str) -> tuple[str, str] | None:
        kinds = self.checker.all_kinds
        if (kind := self.checker.kind(node)) is None or command in kind.commands:
            return None
        able = ", ".join(name for name, each in kinds.items() if each.role == "client" and command in each.commands)
        takes = " or ".join(f"`{each}`" for each in kind.commands)
        return f"{node.name} is a client of the kind {kind.kind}: it takes {takes}", f"kinds for `{command}`: {able}"

    def _ended(self, node: Node) -> tuple[str, None] | None:
        by = self.earlier.gone.get(node.name)
        return (f"{node.name} is gone: the step {by} ended its program", None) if by else None

    def _paused(self, node: Node) -> tuple[str, str] | None:
        by = self.earlier.paused.get(node.name)
        return (f"{node.name} is paused by the step {by} and cannot do it", "`resume` it first") if by else None

    def kind(self, node: str) -> str | None:
        return next((found.kind for found in self.checker.topology.nodes if found.name == node), None)

    def check_knobs(self, name: str, values: Mapping[str, str], *keys: str) -> None:
        for kind in self._kinds_of(name):
            for knob, value in values.items():
                if (unknown := knobs.unknown_knob(kind, knob)) is not None:
                    self.checker.add((*self.keys, *keys, knob), *unknown, of_key=True)
                elif (wrong := knobs.wrong_value(kind, knob, value)) is not None:
                    self.problem(wrong, None, *keys, knob)

    def check_reload(self, name: str, values: Mapping[str, str]) -> None:
        for node in self.checker.topology.resolve(name)[:1]:
            if (unfit := no_reload(node, self.checker.kind(node), self.checker.all_kinds)) is not None:
                self.problem(*unfit, "node")
                return
        self.check_knobs(name, values, "set")
        for kind in self._kinds_of(name):
            for knob in values:
                if kind.reload is not None and knob not in kind.reload.knobs and knob in kind.knobs:
                    message = f"a reload of {kind.kind} does not change {knob}: it takes a restart"
                    self.checker.add((*self.keys, "set", knob), message, "use `restart` with `set`", of_key=True)

    def _kinds_of(self, name: str) -> Sequence[Kind]:
        """The kind of the nodes of that name, which all have the same; none of images of their own."""
        nodes = self.checker.topology.resolve(name)
        return [kind for node in nodes[:1] if (kind := self.checker.kind(node)) is not None]

    @property
    def addresses(self) -> Mapping[str, str]:
        return {address.name: address.network for address in self.checker.topology.addresses}

    @property
    def nats(self) -> Sequence[str]:
        return [node.name for node in nats(self.checker.topology, self.checker.all_kinds)]

    def networks(self, node: str) -> Sequence[str]:
        return [leg.network for found in self.checker.topology.resolve(node) for leg in found.attachments]

    @property
    def members(self) -> Mapping[str, Sequence[str]]:
        return self.checker.topology.members

    def is_node(self, name: str) -> bool:
        return bool(self.checker.topology.resolve(name))

    def hosts(self, nodes: Sequence[str]) -> Collection[str]:
        given = (self.earlier.named.get(node, set()) for node in nodes)
        names = {*self.checker.topology.names, *self.addresses}.union(*given)
        for node in self.checker.topology.nodes:
            names |= {node.service, *({node.hostname} if node.hostname else ())}
            for leg in node.attachments:
                names |= {*leg.aliases, *({leg.ipv4_address} if leg.ipv4_address else ())}
            if node.name in nodes:
                names.update(node.extra_hosts)
        return names

    def targets(self, nodes: Sequence[str]) -> Collection[str]:
        return frozenset.intersection(*(self.checker.names_in(node) for node in nodes))

    def problem(self, message: str, hint: str | None, *keys: str) -> None:
        self.checker.add((*self.keys, *keys), message, hint)
