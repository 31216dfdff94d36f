"""Checks a scenario against its topology before anything is started: names, roles, moments, Sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from orchestrator.errors import InputError
from orchestrator.scenario.facts import FACT_ROLES
from orchestrator.scenario.loaded import LoadedScenario
from orchestrator.scenario.model import WHENS, Expectation, Step
from orchestrator.scenario.translate import OWN_KEYS, Keys, raise_all
from orchestrator.scenario.values import Moment, Window
from orchestrator.text.suggest import did_you_mean, shown, suggestion
from orchestrator.topology.model import Node, Topology


def check_scenario(loaded: LoadedScenario, topology: Topology, roles: Mapping[str, str]) -> None:
    """Raises InputError, with all problems, when the scenario does not fit the topology.

    `roles` is node kind -> role (`client`, `server`, ...), as the node kinds say. A node of any other image has none.
    """
    checker = _Checker(loaded, topology, roles)
    checker.check_steps()
    for index, expectation in enumerate(loaded.scenario.expect):
        checker.check_expectation(("expect", index), expectation)
    raise_all(checker.problems, loaded.source)


class _Checker:
    def __init__(self, loaded: LoadedScenario, topology: Topology, roles: Mapping[str, str]) -> None:
        self.problems: list[InputError] = []
        self._scenario, self._source = loaded.scenario, loaded.source
        self._topology, self._roles = topology, roles
        self._order = _moment_order([step.name for step in self._scenario.steps])
        self._open: dict[str, set[str]] = {node.name: set() for node in topology.nodes}
        self._gone: dict[str, str] = {}
        """Node -> the step that stopped or killed it."""
        self._paused: dict[str, str] = {}
        """Node -> the step that paused it, until one resumes it."""

    def check_steps(self) -> None:
        for index, step in enumerate(self._scenario.steps):
            keys: Keys = ("steps", index, step.verb)
            match step:
                case Step(request=request) if request is not None:
                    nodes = self._alive((*keys, "from"), request.from_, client=True, awake=True)
                    self._check_host((*keys, "url"), request.url, nodes)
                    for node in nodes if request.session is not None else ():
                        self._open[node.name].add(request.session or "")
                case Step(close=close) if close is not None:
                    nodes = self._alive((*keys, "from"), close.from_, client=True, awake=True)
                    self._check_close((*keys, "session"), close.session, nodes)
                case Step(link=link) if link is not None:
                    self._check_network((*keys, "network"), link.network, self._resolve((*keys, "node"), link.node))
                case Step(exec=command) if command is not None:
                    self._alive((*keys, "node"), command.node)
                case Step(wait=None):
                    nodes = self._alive(keys, getattr(step, step.verb), awake=step.verb == "stop")
                    self._follow(step, nodes)

    def _follow(self, step: Step, nodes: Iterable[Node]) -> None:
        """What a step does to the nodes that later steps act on."""
        named = {node.name: step.name for node in nodes}
        if step.verb in ("stop", "kill"):
            self._gone |= named
        elif step.verb == "pause":
            self._paused |= named
        else:
            self._paused = {name: by for name, by in self._paused.items() if name not in named}

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
            nodes = self._resolve((*keys, name), name, of_key=True, also=OWN_KEYS)
            for fact in facts.named():
                for node in nodes:
                    self._check_fact_role((*keys, name, fact), fact, node)

    def _alive(self, keys: Keys, name: str, *, client: bool = False, awake: bool = False) -> tuple[Node, ...]:
        """The nodes of that name, when they are there and the step can do its work on them.

        `awake`: their programs have to do something for the step, so it would wait for ever on a paused one.
        """
        nodes = self._resolve(keys, name)
        for node in nodes:
            if client and self._role(node) != "client":
                others = [other.name for other in self._topology.nodes if self._role(other) == "client"]
                hint = f"clients of this topology: {', '.join(others)}" if others else "this topology has no client"
                self._add(keys, f"{node.name} is no client but {self._what(node)}", hint)
                return ()
            if node.name in self._gone:
                self._add(keys, f"{node.name} is gone: the step {self._gone[node.name]} ended its program", None)
                return ()
            if awake and node.name in self._paused:
                by = self._paused[node.name]
                self._add(keys, f"{node.name} is paused by the step {by} and cannot do it", "`resume` it first")
                return ()
        return nodes

    def _resolve(self, keys: Keys, name: str, *, of_key: bool = False, also: Iterable[str] = ()) -> tuple[Node, ...]:
        nodes = self._topology.resolve(name)
        if not nodes:
            hint = suggestion(name, self._topology.names)
            if did_you_mean(name, self._topology.names) is None and (own := did_you_mean(name, also)):
                hint = f"did you mean {own}?"
            self._add(keys, f"no node is called {shown(name)} in {self._topology.path}", hint, of_key=of_key)
        return nodes

    def _check_network(self, keys: Keys, network: str | None, nodes: Iterable[Node]) -> None:
        """A node's program may be gone: its kernel is still there, and its link with it."""
        for node in nodes:
            own = [leg.network for leg in node.attachments]
            if network is None and not own:
                self._add((*keys[:-1], "node"), f"{node.name} is on no network, so it has no link", None)
                return
            if network is not None and network not in own:
                self._add(keys, f"{node.name} is not on a network {shown(network)}", suggestion(network, own))
                return

    def _check_host(self, keys: Keys, url: str, nodes: Iterable[Node]) -> None:
        host = urlsplit(url).hostname or ""
        known = self._hosts() | {name for node in nodes for name in node.extra_hosts}
        if host not in {name.lower() for name in known}:
            hint = suggestion(host, sorted(known))
            self._add(keys, f"the URL's host {host} is no node, service, alias or address of the topology", hint)

    def _check_peer(self, keys: Keys, peer: str) -> None:
        addresses = {leg.ipv4_address for node in self._topology.nodes for leg in node.attachments}
        if not self._topology.resolve(peer) and peer not in addresses:
            hint = suggestion(peer, self._topology.names)
            self._add(keys, f"the peer {shown(peer)} is no node, service or address of the topology", hint)

    def _hosts(self) -> set[str]:
        names = set(self._topology.names)
        for node in self._topology.nodes:
            names |= {node.service, *({node.hostname} if node.hostname else ())}
            for leg in node.attachments:
                names |= {*leg.aliases, *({leg.ipv4_address} if leg.ipv4_address else ())}
        return names

    def _check_close(self, keys: Keys, session: str, nodes: Iterable[Node]) -> None:
        for node in nodes:
            opened = self._open[node.name]
            if session not in opened:
                hint = suggestion(session, sorted(opened)) or "a `request` with `session` opens one"
                self._add(keys, f"no earlier step left a Session {session} open on {node.name}", hint)
                return
            opened.discard(session)

    def _check_moment(self, keys: Keys, moment: Moment) -> bool:
        """Whether the moment can be known: it names a step and lies inside of the run."""
        if moment.name not in self._order:
            steps = [step.name for step in self._scenario.steps]
            self._add(keys, f"no step is called {moment.step}", suggestion(moment.step or "", steps))
            return False
        position, last = self._order[moment.name], max(self._order.values())
        if moment.offset < 0 and position <= 1:
            self._add(keys, f"{moment} is before the start of the run", "nothing is recorded then")
            return False
        if moment.offset > 0 and position >= last - 1:
            self._add(keys, f"{moment} is after the end of the run", "add a `wait` step to go on recording")
            return False
        return True

    def _check_window(self, keys: Keys, window: Window) -> None:
        both = [self._check_moment(keys, moment) for moment in (window.start, window.end)]
        if not all(both):
            return
        start, end = self._order[window.start.name], self._order[window.end.name]
        # Moments of different steps with offsets towards each other: how they lie, only the run can tell.
        same = start == end and window.start.offset > window.end.offset
        crossed = start > end and window.start.offset >= 0 and window.end.offset <= 0
        if same or crossed:
            self._add(keys, f"the window {window} ends before it starts", f"write {window.end} .. {window.start}")

    def _check_fact_role(self, keys: Keys, fact: str, node: Node) -> None:
        wanted = FACT_ROLES.get(fact)
        if wanted and self._role(node) not in wanted:
            message = f"{fact} is known of a {' or '.join(wanted)} only; {node.name} is {self._what(node)}"
            self._add(keys, message, None, of_key=True)

    def _role(self, node: Node) -> str | None:
        return self._roles.get(node.kind) if node.kind else None

    def _what(self, node: Node) -> str:
        role = self._role(node)
        return f"a {role} ({node.kind})" if role else f"the image {node.image}"

    def _add(self, keys: Keys, message: str, hint: str | None, *, of_key: bool = False) -> None:
        self.problems.append(InputError(message, place=self._source.place(keys, of_key=of_key), hint=hint))


def _moment_order(steps: list[str]) -> dict[str, int]:
    """Name of a moment -> its position, in the order in which they happen."""
    order = {"start": 0}
    for index, step in enumerate(steps):
        order[f"{step}.start"] = 2 * index + 1
        order[f"{step}.end"] = 2 * index + 2
    order["end"] = 2 * len(steps) + 1
    return order
