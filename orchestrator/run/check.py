"""Checks a scenario against its topology before anything is started: names, roles, moments, Sessions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import Gathered, InputError
from orchestrator.fabric.nats import nats
from orchestrator.kinds import errornames
from orchestrator.kinds.registry import Kind
from orchestrator.lab import knobs
from orchestrator.run.reloads import no_reload
from orchestrator.scenario.facts import FACTS
from orchestrator.scenario.loader import LoadedScenario
from orchestrator.scenario.model import WHENS, Expectation, NodeFacts
from orchestrator.scenario.schedule import moment_places, wrong_start
from orchestrator.scenario.step import Step
from orchestrator.scenario.steps.base import Earlier
from orchestrator.scenario.translate import OWN_KEYS, Keys
from orchestrator.scenario.values import Moment, Window
from orchestrator.text.suggest import did_you_mean, shown, suggestion
from orchestrator.topology.model import Node, Topology


def check_scenario(
    loaded: LoadedScenario,
    topology: Topology,
    kinds: Mapping[str, Kind],
    applies: Callable[[Expectation], bool] = lambda expectation: True,
) -> None:
    """Raises InputError, with all problems, when the scenario does not fit the topology.

    `kinds` are the node kinds by name. A node of any other image has no role. `applies`: whether an expectation is one
    of this run; what the run's kinds report matters to those alone.
    """
    checker = _Checker(loaded, topology, kinds, applies)
    checker.check_steps()
    for index, expectation in enumerate(loaded.scenario.expect):
        checker.check_expectation(("expect", index), expectation)
    checker.problems.raise_all()


class _Checker:
    def __init__(
        self,
        loaded: LoadedScenario,
        topology: Topology,
        kinds: Mapping[str, Kind],
        applies: Callable[[Expectation], bool],
    ) -> None:
        self.problems = Gathered(loaded.source.path)
        self.topology = topology
        self._scenario, self._source, self._kinds = loaded.scenario, loaded.source, kinds
        self._applies = applies
        self._places = moment_places(self._scenario.steps)

    def check_steps(self) -> None:
        earlier = Earlier()
        steps = self._scenario.steps
        for index, step in enumerate(steps):
            if step.at is not None and (wrong := wrong_start(steps, index)) is not None:
                self.add(("steps", index, "at"), *wrong)
            if step.beside:
                earlier.running[step.name] = set()
            step.action.check(_Situation(self, step, ("steps", index, step.verb), earlier))
        for index, step in enumerate(steps):
            if step.name in earlier.running:  # what nobody awaits is awaited when the steps are over
                _Situation(self, step, ("steps", index, step.verb), earlier).can_end(step.name)

    def check_expectation(self, keys: Keys, expectation: Expectation) -> None:
        if expectation.where is not None and expectation.where.peer is not None:
            self._check_peer((*keys, "where", "peer"), expectation.where.peer)
        for name in WHENS:
            match getattr(expectation, name):
                case Moment() as moment:
                    self._check_moment((*keys, name), moment)
                case Window() as window:
                    self._check_window((*keys, name), window)
        for name, facts in expectation.nodes.items():
            nodes = self.resolve((*keys, name), name, of_key=True, also=OWN_KEYS)
            for fact in facts.named():
                for node in nodes:
                    self._check_fact_role((*keys, name, fact), fact, node)
                    if self._applies(expectation):
                        self._check_reports((*keys, name, fact), fact, node)
            self._check_errors((*keys, name), facts, nodes, applies=self._applies(expectation))

    def resolve(self, keys: Keys, name: str, *, of_key: bool = False, also: Iterable[str] = ()) -> tuple[Node, ...]:
        nodes = self.topology.resolve(name)
        if not nodes:
            hint = suggestion(name, self.topology.names)
            if did_you_mean(name, self.topology.names) is None and (own := did_you_mean(name, also)):
                hint = f"did you mean {own}?"
            self.add(keys, f"no node is called {shown(name)} in {self.topology.path}", hint, of_key=of_key)
        return nodes

    def _check_peer(self, keys: Keys, peer: str) -> None:
        addresses = {leg.ipv4_address for node in self.topology.nodes for leg in node.attachments}
        if not self.topology.resolve(peer) and peer not in addresses:
            hint = suggestion(peer, self.topology.names)
            self.add(keys, f"the peer {shown(peer)} is no node, service or address of the topology", hint)

    def _check_moment(self, keys: Keys, moment: Moment) -> bool:
        """Whether the moment can be known: it names a step and lies inside of the run."""
        if moment.name not in self._places:
            steps = [step.name for step in self._scenario.steps]
            self.add(keys, f"no step is called {moment.step}", suggestion(moment.step or "", steps))
            return False
        place, last = self._places[moment.name], self._places["end"].last
        if moment.offset < 0 and place.last <= 1:
            self.add(keys, f"{moment} is before the start of the run", "nothing is recorded then")
            return False
        if moment.offset > 0 and place.first >= last - 1:
            self.add(keys, f"{moment} is after the end of the run", "add a `wait` step to go on recording")
            return False
        return True

    def _check_window(self, keys: Keys, window: Window) -> None:
        both = [self._check_moment(keys, moment) for moment in (window.start, window.end)]
        if not all(both):
            return
        start, end = self._places[window.start.name], self._places[window.end.name]
        # Moments of different steps with offsets towards each other: how they lie, only the run can tell.
        same = window.start.name == window.end.name and window.start.offset > window.end.offset
        crossed = start.first > end.last and window.start.offset >= 0 and window.end.offset <= 0
        if same or crossed:
            self.add(keys, f"the window {window} ends before it starts", f"write {window.end} .. {window.start}")

    def _check_fact_role(self, keys: Keys, fact: str, node: Node) -> None:
        wanted = FACTS[fact].roles
        if wanted and self.role(node) not in wanted:
            message = f"{fact} is known of a {' or '.join(wanted)} only; {node.name} is {self.what(node)}"
            self.add(keys, message, None, of_key=True)

    def _check_reports(self, keys: Keys, fact: str, node: Node) -> None:
        """A number of what nobody reports would be 0 whatever happens."""
        kind = self._kinds.get(node.kind or "")
        wanted = FACTS[fact].roles
        if kind is None or not FACTS[fact].reported or kind.role not in wanted or kind.reports_serving:
            return
        able = ", ".join(name for name, each in self._kinds.items() if each.reports_serving)
        message = f"{fact} is what a program reports; {node.name} is a {kind.kind}, which reports none of it"
        self.add(keys, message, f"kinds that do: {able}", of_key=True)

    def _check_errors(self, keys: Keys, facts: NodeFacts, nodes: Iterable[Node], *, applies: bool) -> None:
        """An error that nobody can report never happens: a slip of the pen would pass with 0.

        What another run of the matrix expects may be an error of another kind.
        """
        for fact, name in facts.error_names:
            for node in nodes:
                kind = self._kinds.get(node.kind or "")
                if kind is None or kind.role != "client":
                    continue
                able = [kind] if applies else self._kinds.values()
                if not any(errornames.knows(each, name) for each in able):
                    message = f"{kind.kind} reports no error of the name {shown(name)}"
                    self.add((*keys, fact, name), message, errornames.hint(kind, name), of_key=True)
                    break

    def without_pace(self, nodes: Sequence[str]) -> tuple[str, Sequence[str]] | None:
        kinds = (self._kinds.get(node.kind or "") for name in nodes for node in self.topology.resolve(name))
        unable = next((kind.kind for kind in kinds if kind is not None and not kind.paces), None)
        return None if unable is None else (unable, [name for name, each in self._kinds.items() if each.paces])

    def role(self, node: Node) -> str | None:
        kind = self._kinds.get(node.kind or "")
        return kind.role if kind is not None else None

    @property
    def all_kinds(self) -> Mapping[str, Kind]:
        return self._kinds

    def kind(self, node: Node) -> Kind | None:
        return self._kinds.get(node.kind or "")

    def what(self, node: Node) -> str:
        role = self.role(node)
        return f"a {role} ({node.kind})" if role else f"the image {node.image}"

    def add(self, keys: Keys, message: str, hint: str | None, *, of_key: bool = False) -> None:
        self.problems.append(InputError(message, place=self._source.place(keys, of_key=of_key), hint=hint))


@dataclass(frozen=True, slots=True)
class _Situation:
    """What one step finds; orchestrator/scenario/steps/base.py says what each method is for."""

    checker: _Checker
    of: Step
    keys: Keys
    earlier: Earlier

    @property
    def step(self) -> str:
        return self.of.name

    def without_pace(self, nodes: Sequence[str]) -> tuple[str, Sequence[str]] | None:
        return self.checker.without_pace(nodes)

    def nodes(self, name: str, *keys: str) -> Sequence[str]:
        return [node.name for node in self.checker.resolve((*self.keys, *keys), name)]

    def able(self, name: str, *keys: str, client: bool = False, awake: bool = False) -> Sequence[str]:
        nodes = self.checker.resolve((*self.keys, *keys), name)
        for node in nodes:
            unfit = (client and self._no_client(node)) or self._ended(node) or (awake and self._paused(node))
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

    def problem(self, message: str, hint: str | None, *keys: str) -> None:
        self.checker.add((*self.keys, *keys), message, hint)
