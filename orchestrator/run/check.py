"""Checks a scenario against its topology before anything is started: names, roles, moments, Sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from orchestrator.kinds import errornames
from orchestrator.kinds.registry import Kind
from orchestrator.run.situation import StepSituation
from orchestrator.run.subject import Subject
from orchestrator.scenario.facts import FACTS
from orchestrator.scenario.loader import LoadedScenario
from orchestrator.scenario.model import WHENS, Expectation, NodeFacts
from orchestrator.scenario.schedule import moment_places, wrong_start
from orchestrator.scenario.steps.base import Earlier
from orchestrator.scenario.translate import OWN_KEYS, Keys
from orchestrator.scenario.values import Moment, Window
from orchestrator.text.suggest import shown, suggestion
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


class _Checker(Subject):
    def __init__(
        self,
        loaded: LoadedScenario,
        topology: Topology,
        kinds: Mapping[str, Kind],
        applies: Callable[[Expectation], bool],
    ) -> None:
        super().__init__(loaded, topology, kinds)
        self._scenario, self._applies = loaded.scenario, applies
        self._places = moment_places(self._scenario.steps)

    def check_steps(self) -> None:
        earlier = Earlier()
        steps = self._scenario.steps
        for index, step in enumerate(steps):
            if step.at is not None and (wrong := wrong_start(steps, index)) is not None:
                self.add(("steps", index, "at"), *wrong)
            if step.beside:
                earlier.running[step.name] = set()
            step.action.check(StepSituation(self, step, ("steps", index, step.verb), earlier))
        for index, step in enumerate(steps):
            if step.name in earlier.running:  # what nobody awaits is awaited when the steps are over
                StepSituation(self, step, ("steps", index, step.verb), earlier).can_end(step.name)

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
