"""What a check looks at: a scenario, its topology, the kinds of the nodes; and the problems that it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from orchestrator.errors import Gathered, InputError
from orchestrator.fabric.addresses import names_of
from orchestrator.fabric.nats import routers
from orchestrator.kinds.registry import Kind
from orchestrator.scenario.loader import LoadedScenario
from orchestrator.scenario.translate import Keys
from orchestrator.text.suggest import did_you_mean, shown, suggestion
from orchestrator.topology.model import Node, Topology


class Subject:
    """`problems` is where all are noted, each with its place in the file."""

    def __init__(self, loaded: LoadedScenario, topology: Topology, kinds: Mapping[str, Kind]) -> None:
        self.problems = Gathered(loaded.source.path)
        self.topology = topology
        self._source, self._kinds = loaded.source, kinds
        self._names: Mapping[str, frozenset[str]] | None = None

    def resolve(self, keys: Keys, name: str, *, of_key: bool = False, also: Iterable[str] = ()) -> tuple[Node, ...]:
        nodes = self.topology.resolve(name)
        if not nodes:
            hint = suggestion(name, self.topology.names)
            if did_you_mean(name, self.topology.names) is None and (own := did_you_mean(name, also)):
                hint = f"did you mean {own}?"
            self.add(keys, f"no node is called {shown(name)} in {self.topology.path}", hint, of_key=of_key)
        return nodes

    def without(self, nodes: Sequence[str], able: Callable[[Kind], bool]) -> tuple[str, Sequence[str]] | None:
        """The first kind of those nodes that is not able, and the kinds that are; None when all are."""
        kinds = (self._kinds.get(node.kind or "") for name in nodes for node in self.topology.resolve(name))
        unable = next((kind.kind for kind in kinds if kind is not None and not able(kind)), None)
        return None if unable is None else (unable, [name for name, each in self._kinds.items() if able(each)])

    def role(self, node: Node) -> str | None:
        kind = self._kinds.get(node.kind or "")
        return kind.role if kind is not None else None

    @property
    def all_kinds(self) -> Mapping[str, Kind]:
        return self._kinds

    def kind(self, node: Node) -> Kind | None:
        return self._kinds.get(node.kind or "")

    def names_in(self, node: str) -> frozenset[str]:
        """The names in the node's /etc/hosts when the lab comes up."""
        if self._names is None:
            self._names = names_of(self.topology, routers(self.topology, self._kinds))
        return self._names[node]

    def what(self, node: Node) -> str:
        role = self.role(node)
        return f"a {role} ({node.kind})" if role else f"the image {node.image}"

    def add(self, keys: Keys, message: str, hint: str | None, *, of_key: bool = False) -> None:
        self.problems.append(InputError(message, place=self._source.place(keys, of_key=of_key), hint=hint))
