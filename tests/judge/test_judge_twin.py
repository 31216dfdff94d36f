"""The judge against a brute-force twin.

The twin knows nothing of stays, gaps and bounds. It takes the table of samples and writes down every run that is
consistent with it, on a grid of instants finer than the samples: each socket takes, from one sample to the next, every
path that the arcs of the state machine allow. Then it asks each of these runs whether the expectation holds. A pass
of the judge must be a pass in all of them, a fail a fail in all of them; and for one gauge at one moment an unknown
must be a pass in some and a fail in others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from orchestrator.recording.verdict import Outcome
from orchestrator.scenario.values import Range
from orchestrator.tcp.lifecycle import ARCS
from orchestrator.tcp.states import TcpState as S
from tests.support.builders import CODES, history, verdict

STEP = 3
"""Instants of the fine grid from one tick to the next; a tick is every third, and a run may change at any."""

NAMES = {state: code for code, state in CODES.items()} | {S.CLOSED: "-"}


@cache
def onward(state: S, alive: bool) -> frozenset[S]:
    """States that can follow, `state` included. CLOSED leads on only for what is not yet alive."""
    found = {state}
    if state is not S.CLOSED or not alive:
        for following in ARCS[state] - {S.LISTEN}:
            found |= onward(following, True)
    return frozenset(found)


@cache
def paths(start: S, end: S, steps: int, unobserved: bool, killed: bool, called: bool) -> frozenset[tuple[S, ...]]:
    """Every sequence of `steps` states inside the open interval from a sample `start` to a sample `end`."""
    if start is end and not unobserved:
        return frozenset({(start,) * steps})
    found: set[tuple[S, ...]] = set()

    def walk(so_far: tuple[S, ...], state: S, alive: bool) -> None:
        if len(so_far) == steps:
            if end in onward(state, alive):
                found.add(so_far)
            return
        for following in onward(state, alive):
            if following is S.TIME_WAIT and S.TIME_WAIT not in (start, end) and not killed:
                continue  # it lasts 60 s, unless something ends it
            if following is S.SYN_SENT and S.SYN_SENT not in (start, end) and not called:
                continue  # the kernel counts each SYN that it sends
            walk((*so_far, following), following, alive or following is not S.CLOSED)

    walk((), start, start is not S.CLOSED)
    return frozenset(found)


@dataclass(frozen=True)
class Table:
    """The samples: node -> one tuple of states per socket. `unseen`: node -> how many lived before each tick unseen.

    `missed`: ticks at which no node was sampled. `killed`: the counters allow a TIME_WAIT that ends early.
    """

    ticks: int
    sockets: tuple[tuple[str, tuple[S, ...]], ...]
    unobserved: tuple[tuple[str, int], ...]
    missed: frozenset[int]
    killed: bool

    def called(self, node: str, before: int, after: int) -> bool:
        """Whether ActiveOpens rose on the node between two ticks; the tick before may have counted for the first."""
        readings = dict(history(self.text()).counters[node]["ActiveOpens"])
        earlier = [t for t in range(before) if t not in self.missed]
        return readings[after * STEP] > readings[(earlier[-1] if earlier else before) * STEP]

    def text(self) -> str:
        rows = []
        for number, (node, states) in enumerate(self.sockets):
            cells = ["?" if t in self.missed else NAMES[state] for t, state in enumerate(states)]
            peer = "server:80" if node == "client" else "client:90"
            rows.append(f"{node}:{1000 + number} > {peer}{number} | {' '.join(cells)}")
        # A socket each that says nothing, so that both nodes are in every table.
        quiet = " ".join("?" if t in self.missed else "L" for t in range(self.ticks))
        rows += [f"{node}:7 | {quiet}" for node in ("client", "server")]
        for node in ("client", "server"):
            extra = [sum(1 for where, t in self.unobserved if (where, t) == (node, tick)) for tick in range(self.ticks)]
            rows.append(f"unseen {node} {' '.join(map(str, extra))}")
            if self.killed:
                rising = " ".join(str(t) for t in range(self.ticks))
                rows += [f"count {node} TW {rising}", f"count {node} OutRsts {rising}"]
        return "\n".join([f"ticks {' '.join(str(t * STEP) for t in range(self.ticks))}", *rows])


@dataclass(frozen=True)
class Asked:
    """Facts of two nodes, and a *when* whose times are fine instants."""

    facts: tuple[tuple[str, frozenset[S], str, Range], ...]
    """Node, the states that count, the fact's name, the range."""
    when: str
    start: int
    end: int
    length: int

    def text(self) -> str:
        by_node: dict[str, list[str]] = {}
        for node, _, name, expected in self.facts:
            by_node.setdefault(node, []).append(f"{name}: {expected}")
        nodes = ", ".join(f"{node}: {{{', '.join(facts)}}}" for node, facts in by_node.items())
        window = f"start + {self.start}s .. start + {self.end}s"
        when = {
            "at": f"at: start + {self.start}s",
            "always": f"always: {window}",
            "eventually": f"eventually: {window}",
            "for": f"eventually: {window}, for: {self.length}s",
        }[self.when]
        return f"{{{when}, {nodes}}}"


def runs(table: Table, facts: Sequence[tuple[str, frozenset[S], str, Range]]) -> Iterator[tuple[bool, ...]]:
    """For every run that the samples allow: whether all facts hold, at each fine instant."""
    known = [t for t in range(table.ticks) if t not in table.missed]
    parts: list[set[tuple[bool, ...]]] = []
    for before, after in pairwise(known):
        steps = (after - before) * STEP
        sums = {((0,) * len(facts),) * steps}
        for node, states in table.sockets:
            called = table.called(node, before, after)
            inner = paths(states[before], states[after], steps - 1, False, table.killed, called)
            sums = add(sums, node, ((states[before], *path) for path in inner), facts)
        for node, tick in table.unobserved:
            if before < tick <= after:
                called = table.called(node, before, after)
                inner = paths(S.CLOSED, S.CLOSED, steps - 1, True, table.killed, called)
                sums = add(sums, node, ((S.CLOSED, *path) for path in inner), facts)
        parts.append({tuple(holds(counts, facts) for counts in each) for each in sums})
    last = [
        sum(states[known[-1]] in counted for at, states in table.sockets if at == node) for node, counted, *_ in facts
    ]
    for chosen in product(*parts):
        yield (*(value for part in chosen for value in part), holds(last, facts))


Counts = tuple[tuple[int, ...], ...]


def add(
    sums: set[Counts], node: str, lives: Iterable[tuple[S, ...]], facts: Sequence[tuple[str, frozenset[S], str, Range]]
) -> set[Counts]:
    """Per fine instant and fact, how many sockets count, with one more socket that lives any of the lives."""
    marks = {
        tuple(tuple(int(at == node and state in counted) for at, counted, *_ in facts) for state in life)
        for life in lives
    }
    return {
        tuple(tuple(a + b for a, b in zip(x, y, strict=True)) for x, y in zip(total, mark, strict=True))
        for total in sums
        for mark in marks
    }


def holds(counts: Sequence[int], facts: Sequence[tuple[str, frozenset[S], str, Range]]) -> bool:
    return all(count in expected for count, (*_, expected) in zip(counts, facts, strict=True))


def answers(truth: tuple[bool, ...], asked: Asked) -> set[bool]:
    """What one run says. A run holds its value from one fine instant until just before the next; after the last
    sample it may go either way."""
    window = range(asked.start, asked.end + 1)
    if asked.when == "at":
        return {truth[asked.start]}
    if asked.when == "always":
        return {all(truth[t] for t in window)}
    if asked.when == "eventually":
        return {any(truth[t] for t in window)}
    found = set()
    for beyond in (True, False):
        longer = truth + (beyond,) * (asked.length + 1)
        found.add(any(all(longer[t : t + asked.length + 1]) for t in window))
    return found


# -- random tables and questions ---------------------------------------------------------------------------------


@st.composite
def lives(draw: st.DrawFn, ticks: int) -> tuple[S, ...]:
    """States at each tick: not there, then forward along the arcs, then perhaps gone."""
    states: list[S] = []
    state, alive = S.CLOSED, False
    for _ in range(ticks):
        state = draw(st.sampled_from(sorted({state} if alive and state is S.CLOSED else onward(state, alive))))
        alive = alive or state is not S.CLOSED
        states.append(state)
    return tuple(states)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    ticks = draw(st.integers(2, 4))
    nodes = st.sampled_from(["client", "server"])
    sockets = draw(st.lists(st.tuples(nodes, lives(ticks)), max_size=3))
    unobserved = draw(st.lists(st.tuples(nodes, st.integers(1, ticks - 1)), max_size=2))
    missed = frozenset[int]()
    if ticks > 2 and len(sockets) + len(unobserved) < 3 and draw(st.booleans()):
        missed = frozenset({draw(st.integers(1, ticks - 2))})
        unobserved = [(node, tick + 1 if tick in missed else tick) for node, tick in unobserved]
    return Table(ticks, tuple(sockets), tuple(unobserved), missed, draw(st.booleans()))


COUNTED = [S.SYN_SENT, S.ESTABLISHED, S.FIN_WAIT2, S.CLOSE_WAIT, S.LAST_ACK, S.TIME_WAIT]
RANGES = st.sampled_from([Range(0, 0), Range(1, 1), Range(0, 1), Range(1), Range(2, 2), Range(2), Range(1, 2)])


@st.composite
def questions(draw: st.DrawFn, ticks: int, whens: tuple[str, ...], most_facts: int) -> Asked:
    facts: list[tuple[str, frozenset[S], str, Range]] = []
    for node in draw(st.lists(st.sampled_from(["client", "server"]), min_size=1, max_size=2, unique=True)):
        named = draw(st.lists(st.sampled_from(COUNTED), max_size=2, unique=True))
        facts += [(node, frozenset({state}), state.value, draw(RANGES)) for state in named]
        if not named or draw(st.booleans()):
            others = frozenset(S) - {S.LISTEN, S.CLOSED} - set(named)
            facts.append((node, others, "others", draw(RANGES)))
    last = (ticks - 1) * STEP
    start = draw(st.integers(0, last))
    when = draw(st.sampled_from(whens))
    return Asked(tuple(facts[:most_facts]), when, start, draw(st.integers(start, last)), draw(st.integers(1, 7)))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_judge_says_of_no_run_what_is_not_true(data: st.DataObject) -> None:
    table = data.draw(tables())
    asked = data.draw(questions(table.ticks, ("at", "always", "eventually", "for"), 3))
    found = verdict(history(table.text(), period=STEP), asked.text()).outcome
    truths = set().union(*(answers(truth, asked) for truth in runs(table, asked.facts)))
    event(f"{asked.when}: {found.value}, truly {sorted(truths)}")
    if found is Outcome.PASS:
        assert truths == {True}
    if found is Outcome.FAIL:
        assert truths == {False}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_of_one_gauge_at_one_moment_the_judge_knows_all_that_can_be_known(data: st.DataObject) -> None:
    table = data.draw(tables())
    asked = data.draw(questions(table.ticks, ("at",), 1))
    # `others` depends on what else is named: ask for what the shortened question says.
    node, states, name, expected = asked.facts[0]
    if name == "others":
        asked = Asked(((node, frozenset(S) - {S.LISTEN, S.CLOSED}, name, expected),), "at", asked.start, asked.end, 0)
    else:
        assert len(states) == 1
    run = history(table.text(), period=STEP)
    # Where the counters leave open between which two ticks a socket lived, the twin, which was told, knows more.
    assume(sum(entry.count for entry in run.unobserved) == len(table.unobserved))
    sampled = [t for t in run.ticks if t / STEP not in table.missed]
    assume(not any(entry.after < t < entry.before for entry in run.unobserved for t in sampled))
    found = verdict(run, asked.text()).outcome
    truths = set().union(*(answers(truth, asked) for truth in runs(table, asked.facts)))
    event(f"{found.value}")
    truly = Outcome.UNKNOWN if len(truths) == 2 else Outcome.PASS if True in truths else Outcome.FAIL
    assert found is truly
