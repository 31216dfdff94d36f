"""What a run's captures and samples prove of its connections. It imports nothing of simctl and reads none of its
conclusions: the recording's folder has the captures, the texts of ss, the ticks, the scenario and the topology.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.truth.model_ends import End, Links, follow_end
from tests.truth.model_lives import Life, lives_of
from tests.truth.model_samples import Key, Samples, read_samples
from tests.truth.model_states import Known
from tests.truth.model_wire import FIN, RST, SYN, Capture, Segment, after, read_captures

CROSSED = 0.001
"""Seconds. Of two closing segments of which neither saw the other nobody says which was first."""

_PASSED_ON = 0.1
"""Seconds that a NAT needs at most to pass a segment on."""


@dataclass(slots=True)
class Connection:
    """One connection: a life at the client, and the same behind a NAT, where there is one."""

    lives: list[Life]
    client: Key | None
    """None for an end that is on no node."""
    server: Key | None
    known: dict[Key, Known] = field(default_factory=dict)

    @property
    def began(self) -> float:
        return self.lives[0].began

    @property
    def keys(self) -> Iterator[Key]:
        return (key for key in (self.client, self.server) if key is not None)

    @property
    def established(self) -> float | None:
        return self.lives[0].established

    def closings(self, translators: frozenset[str]) -> list[Segment]:
        """Its FINs and RSTs by who made them, oldest first: what a NAT passed on stands once."""
        found = sorted((s for life in self.lives for s in life.segments if s.closing), key=lambda s: s.t)
        return [s for s in found if s.sender not in translators or not any(_is_copy(s, other) for other in found)]


def _is_copy(segment: Segment, other: Segment) -> bool:
    late = segment.t - other.t
    same = (segment.flags, segment.seq) == (other.flags, other.seq)
    return same and segment.network != other.network and 0 <= late < _PASSED_ON


@dataclass(slots=True)
class Truth:
    """All of a run. `slack`: seconds by which two witnesses may differ."""

    captures: list[Capture]
    samples: Samples
    connections: list[Connection]
    stray: list[Segment]
    owners: Mapping[str, str]
    translators: frozenset[str]
    slack: float

    @property
    def nodes(self) -> list[str]:
        return [node["name"] for node in self.samples.begun["nodes"]]

    def ever(self, known: Known, *states: str) -> tuple[bool, bool]:
        """Whether an end surely was in one of the states before the moment `end`, and whether it may have been."""
        return known.ever(states, self.samples.end, self.slack)

    def first_closing(self, connection: Connection) -> tuple[Segment, frozenset[str]] | None:
        """The first FIN or RST, and the nodes that may have sent the first: more than one when they crossed.

        What comes after the moment `end` is how the lab is taken down.
        """
        closings = [s for s in connection.closings(self.translators) if s.t <= self.samples.end]
        if not closings:
            return None
        first = closings[0]
        nodes = {first.sender}
        for other in closings[1:]:
            unaware = other.source != first.source and after(other.ack, first.end) < 0
            if other.t - first.t < CROSSED and (unaware or other.has(RST)):
                nodes.add(other.sender)
        return first, frozenset(nodes)

    def never_arrived(self, connection: Connection, segment: Segment) -> bool:
        """Whether the end for which a FIN was, lived on without it to the end of the run, or of itself."""
        ends = {key[1]: known for key, known in connection.known.items()}
        known = ends.get(segment.target)
        if known is None or not segment.has(FIN):
            return False
        received = {"CLOSE_WAIT", "LAST_ACK", "CLOSING", "TIME_WAIT"}
        sets = [states for t, states in zip(known.times, known.sets, strict=True) if t >= segment.t]
        if known.lost or any(states & received for states in sets):
            return False
        # One that met an end that was gone, or that was answered with a RST, did arrive.
        answers = [s for life in connection.lives for s in life.segments if s.has(RST) and s.source == segment.target]
        met = any(0 <= s.t - segment.t < _PASSED_ON for s in answers)
        return not met and "CLOSED" not in known.within(segment.t, segment.t + self.slack)

    def resets(self, node: str) -> list[Segment]:
        """The RSTs that the node's own TCP put on a wire."""
        return [
            segment
            for capture in self.captures
            for segment in capture.segments
            if segment.has(RST) and segment.sender == node and segment.t <= self.samples.end
            if self.owners.get(segment.source.rpartition(":")[0]) == node
        ]

    def repeated(self, node: str) -> tuple[int, int]:
        """Frames that it sent again, at least, and those that it may have."""
        sides = [side for c in self.connections for life in c.lives for side in (life.client, life.server)]
        own = [side for side in sides if self.owners.get(side.address.rpartition(":")[0]) == node]
        times = [t for side in own for t in side.repeated if t <= self.samples.end]
        return len(times), sum(side.perhaps_repeated for side in own)


def read_truth(folder: Path) -> Truth:
    """Of a recorded run with captures."""
    captures = read_captures(folder / "captures")
    if not captures:
        raise ValueError(f"{folder}: there are no captures")
    samples = read_samples(folder, captures[0].zero)
    topology = yaml.safe_load((folder / "topology.yaml").read_text(encoding="utf-8"))
    scenario = yaml.safe_load((folder / "scenario.yaml").read_text(encoding="utf-8"))
    return build(captures, samples, topology, scenario)


def build(captures: list[Capture], samples: Samples, topology: Any, scenario: Any) -> Truth:
    """The same of what was read."""
    translators = frozenset(node["name"] for node in samples.begun["nodes"] if node["kind"] == "nat")
    owners = _owners(captures, translators)
    slack = 0.02
    links = Links.of(scenario.get("steps", []), samples.moments, slack)
    skips = {
        name for name, service in topology["services"].items() if "tcp_max_tw_buckets" in str(service.get("sysctls"))
    }
    lives: list[Life] = []
    stray: list[Segment] = []
    for capture in captures:
        found, left = lives_of(capture.segments)
        lives += [life for life in found if life.began <= samples.end]
        stray += left
    by_pair: dict[tuple[str, frozenset[str]], list[Life]] = defaultdict(list)
    for life in lives:
        by_pair[life.network, frozenset((life.client.address, life.server.address))].append(life)
    members = {capture.network: capture.nodes - translators for capture in captures}
    connections: list[Connection] = []
    for group in _joined(lives):
        connection = Connection(group, None, None)
        for life in group:
            following = by_pair[life.network, frozenset((life.client.address, life.server.address))]
            later = following[following.index(life) + 1 :]
            for address, is_client in ((life.client.address, True), (life.server.address, False)):
                node = owners.get(address.rpartition(":")[0])
                if node is None or node not in members[life.network]:
                    continue
                peer = life.other(address).address
                key = (node, address, peer)
                end = End(key, life, later, is_client, skips_time_wait=node in skips)
                connection.known[key] = follow_end(end, samples, links, slack)
                if is_client:
                    connection.client = key
                else:
                    connection.server = key
        connections.append(connection)
    connections.sort(key=lambda connection: connection.began)
    return Truth(captures, samples, connections, stray, owners, translators, slack)


def _owners(captures: Sequence[Capture], translators: frozenset[str]) -> dict[str, str]:
    """Address -> node; an address that a node got later is known by what it sent."""
    found = {address: node for capture in captures for address, node in capture.names.items()}
    named = set(found)
    for capture in captures:
        for segment in capture.segments:
            address = segment.source.rpartition(":")[0]
            if segment.sender not in translators and address not in named:
                found[address] = segment.sender
    return found


def _joined(lives: Sequence[Life]) -> Iterator[list[Life]]:
    """A NAT changes addresses, never sequence numbers: the same SYN in two networks is one connection."""
    by_isn: dict[int, list[Life]] = defaultdict(list)
    for life in sorted(lives, key=lambda life: life.began):
        by_isn[life.isn].append(life)
    for same in by_isn.values():
        while same:
            first = same.pop(0)
            group = [first]
            for other in list(same):
                if other.network not in {life.network for life in group} and _passed_on(first, other):
                    group.append(other)
                    same.remove(other)
            yield group


def _passed_on(first: Life, other: Life) -> bool:
    """Whether one of the first life's SYNs, which it may have sent several times, then came upon the other network."""
    calls = [segment.t for segment in first.segments if segment.has(SYN) and segment.t <= other.began]
    return any(other.began - t < 1 for t in calls)
