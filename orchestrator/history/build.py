"""Reads `events.jsonl` and builds the history of the run from it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import field
from functools import partial

from orchestrator.bounds import UNKNOWN_LINES
from orchestrator.history.connections import join
from orchestrator.history.conservation import called, compare, retransmissions
from orchestrator.history.counters import Counters, Reading
from orchestrator.history.declared import groups, reporting, shared
from orchestrator.history.destroyed import with_reasons
from orchestrator.history.exact import Exact
from orchestrator.history.filtered import answers
from orchestrator.history.kernelevents import KINDS as TRACE_KINDS
from orchestrator.history.kernelevents import drained, understood
from orchestrator.history.model import Contradiction, History, Socket, Unobserved
from orchestrator.history.moves import moves_of
from orchestrator.history.nat import Translations, flows_of
from orchestrator.history.owners import with_reported_owners
from orchestrator.history.reports import share_headers, with_repeats
from orchestrator.history.sampled import Life, NodeTicks, gather_lives, rejoined, to_sockets
from orchestrator.history.segments import NO_WIRE, Pair, Segment, Wire, segment_of
from orchestrator.history.slowness import slowest
from orchestrator.history.strangers import of_the_lab, strangers, words
from orchestrator.history.texts import against_texts, with_doubts
from orchestrator.history.traced import trace_lives
from orchestrator.history.tracedlife import TracedLife
from orchestrator.history.unobserved import count_unobserved
from orchestrator.recording.events import Event
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.format1 import LINES_OF_FORMAT_1
from orchestrator.recording.lines import LINES
from orchestrator.recording.reader import read_events
from orchestrator.system.collector import collector_paused
from orchestrator.text.numbers import plural
from orchestrator.text.record import record

_OF_TRACE = frozenset(TRACE_KINDS)
_AS_REPORTED = {
    "served": "served",
    "answered": "answered",
    "closed": "closed",
    "loads": "load",
    "raw": "raw",
    "filtered": "filtered",
    "logs": "log",
    "conntrack": "conntrack",
    "happened": "node",
}
"""Field of a history -> the kind of lines that it has, as they are, in order of time."""

_KNOWN_IN_1 = {*LINES_OF_FORMAT_1, *LINES}


def build_history(events: Iterable[Event]) -> History:
    """The history that checked events show, `begin` first. Socket lines after the last tick are left out."""
    by_kind, traced, segments = _sorted_out(events)
    begin = by_kind["begin"][0]
    nodes = tuple(node["name"] for node in begin["nodes"])
    ticks = tuple(float(tick["t"]) for tick in by_kind["tick"])
    missed = {node: tuple(float(t["t"]) for t in by_kind["tick"] if node in (t.get("missed") or ())) for node in nodes}
    counters = Counters(_series(by_kind["tick"], nodes), map(_time, by_kind["moment"]))
    lives = _lives(by_kind.pop("socket", []), nodes, ticks)
    addresses, moves = moves_of(begin["nodes"], by_kind["address"], by_kind["node"])
    translations = Translations(flows_of(by_kind["nat"]))
    complete = bool(by_kind["segments"]) and not any(line["lost"] for line in by_kind["segments"])
    wire = Wire(segments, slowest(by_kind["node"])) if segments and complete else NO_WIRE
    segments.clear()
    if begin["format"] > 1:
        on_wire = by_kind["segment"] if complete else ()
        traced = understood(drained(traced), addresses.get, translations, on_wire, moves)
    pairs = {(node, life.local, life.peer) for node, of_node in lives.items() for life in of_node}
    strange = partial(strangers, wire=wire, addresses=addresses, translations=translations, sampled=pairs)
    trace = _trace(by_kind, drained(traced), counters, translations, shared(begin), wire, strange)
    sampled = {node: NodeTicks(ticks, missed[node]) for node in nodes}
    found = _sockets(lives, sampled, counters, trace, _longest(by_kind["tick"]), translations)
    trace.lives.clear()  # of a large run a tenth of all memory, and what follows takes as much
    sockets = with_reported_owners(found.sockets, (*by_kind["request"], *by_kind["served"], *by_kind["closed"]))
    requests = tuple(sorted(with_repeats(by_kind["request"]), key=_time))
    resets = trace.resets if trace.complete else None
    return History(
        nodes=nodes,
        groups=groups(begin),
        addresses=addresses,
        moments={moment["name"]: float(moment["t"]) for moment in by_kind["moment"]},
        texts_took={one["name"]: float(one["took"]) for one in by_kind["moment"] if one.get("took") is not None},
        ticks=ticks,
        missed={node: times for node, times in missed.items() if times},
        sockets=sockets,
        unobserved=found.unobserved,
        contradictions=found.contradictions,
        connections=join(sockets, addresses, resets, translations, requests, wire, moves),
        moves=moves,
        requests=requests,
        **{field: _in_order(by_kind[kind]) for field, kind in _AS_REPORTED.items()},
        counters=counters.series,
        speaking=reporting(begin, "server"),
        asking=reporting(begin, "client"),
        begin=begin,
        end=by_kind["end"][0] if by_kind["end"] else {},
        resets=trace.resets,
        retransmits=trace.retransmits,
        retransmits_counted=trace.retransmits_counted,
        exact=trace.complete,
        shared=shared(begin),
        notes=(
            *(note["text"] for note in by_kind["note"]),
            *trace.doubts,
            *_passed_over(by_kind, LINES if begin["format"] > 1 else _KNOWN_IN_1),
        ),
    )


def _in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=_time))


@collector_paused()
def history_of(folder: RunFolder) -> History:
    """What the recording in a run's folder shows. Raises InputError with file and line."""
    history = build_history(read_events(folder.events))
    return with_doubts(history, against_texts(history, folder.ss)) if history.exact else history


def _sorted_out(
    events: Iterable[Event],
) -> tuple[dict[str, list[Event]], list[Event], list[tuple[Pair, Segment]]]:
    """The events by their kind, those of the kernel's trace, and the segments, of which only a RST stays an event too.

    A large run has a million lines, and many of a kind: what is held of each decides how much memory it takes.
    """
    by_kind: dict[str, list[Event]] = defaultdict(list)
    traced: list[Event] = []
    segments: list[tuple[Pair, Segment]] = []
    headers: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
    of_trace = _OF_TRACE
    for event in events:
        kind = event["ev"]
        if kind in of_trace:
            traced.append(event)
            continue
        if kind == "filtered":
            answered = list(answers(event))
            segments += map(segment_of, answered)
            by_kind["segment"] += (line for line in answered if "R" in line["flags"])
        elif kind == "segment":
            segments.append(segment_of(event))
            if "R" not in event["flags"]:
                continue
        elif kind in ("request", "served"):
            share_headers(event, headers)
        elif kind == "begin" and event["format"] > 1:
            of_trace = _OF_TRACE & LINES.keys()
        by_kind[kind].append(event)
    return by_kind, traced, segments


@record
class _Trace:
    """The kernel trace of a run: the lives that it shows; and why it is not believed, or what it does not cover."""

    lives: list[TracedLife] = field(default_factory=list)
    complete: bool = False
    resets: tuple[Event, ...] = ()
    doubts: tuple[str, ...] = ()
    retransmits: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    retransmits_counted: Mapping[str, int] = field(default_factory=dict)
    later: frozenset[tuple[str, str, str]] = frozenset()
    """Node, local and peer address of those that were born while the last tick was being taken."""


def _trace(
    by_kind: Mapping[str, list[Event]],
    traced: Iterable[Event],
    counters: Counters,
    translations: Translations,
    others: frozenset[str],
    wire: Wire,
    strange: Callable[[Iterable[Event]], set[Pair]],
) -> _Trace:
    """The trace, when there is one and nothing of it was missed. Otherwise the samples are all there is to go by.
    `traced`: its events, as they were understood; `strange`: the address pairs among them that are not the lab's.

    Where others share a namespace nothing can show that nothing was missed: the counters are not of the node alone.
    """
    ticks = by_kind["tick"]
    if others:
        who, whose = ", ".join(sorted(others)), "its" if len(others) == 1 else "their"
        return _Trace(
            doubts=(
                f"others may use the network namespace of {who}: {whose} counters count them too, so nothing is exact",
            )
        )
    if not by_kind["traced"] or not ticks:
        return _Trace()
    lost = sum(int(line["lost"]) for line in by_kind["traced"])
    if lost:
        return _Trace(doubts=(f"the kernel's trace lost {lost} events, so samples are used instead",))
    told: dict[str, list[Event]] = {kind: [] for kind in TRACE_KINDS}
    for event in traced:
        told[event["ev"]].append(event)
    events = sorted((event for of_kind in told.values() for event in of_kind), key=_time)
    foreign = set() if wire is NO_WIRE else strange(told["state"])
    if foreign:
        events = of_the_lab(events, foreign)
        told = {kind: of_the_lab(of_kind, foreign) for kind, of_kind in told.items()}
    told = {kind: told[kind] for kind in ("rst", "minisocket", "retransmit")}
    # All that the last tick can have counted is compared; what is told ends with its time.
    end = _time(ticks[-1])
    counted = end + float(ticks[-1].get("took") or 0.0)
    after_end = bisect_right(events, end, key=_time) < bisect_right(events, counted, key=_time)
    until_end = trace_lives(events, end, translations) if after_end else None
    every_life = trace_lives(drained(events), counted, translations)
    differences = compare(every_life, (*told["rst"], *told["minisocket"]), counters, ticks)
    loopback = by_kind["traced"][-1].get("loopback") or {}
    doubts = [str(one) for one in differences if not one.agrees_with(int(loopback.get(one.what, 0)))]
    if doubts:
        return _Trace(doubts=(*doubts, "trace and counters disagree, so samples are used instead"))
    retransmits, more = retransmissions(told["retransmit"], counters, ticks)
    to_itself = dict.fromkeys(one.node for one in differences)
    notes = tuple(f"{node} also talks to itself over 127.0.0.1: of that only samples are known" for node in to_itself)
    lives = called(every_life if until_end is None else until_end, counters, ticks, wire)
    resets = tuple(event for event in with_reasons(told["rst"], by_kind["node"]) if event["t"] <= end)
    later = frozenset((life.node, life.local, life.peer) for life in every_life if life.born > end)
    return _Trace(lives, True, resets, (*notes, *words(foreign)), retransmits, more, later)


def _longest(ticks: list[Event]) -> float:
    """Seconds that the longest tick took."""
    return max((float(tick.get("took") or 0.0) for tick in ticks), default=0.0)


def _lives(lines: list[Event], nodes: tuple[str, ...], ticks: tuple[float, ...]) -> dict[str, list[Life]]:
    """Node -> the sockets that its samples show."""
    by_node: dict[str, list[Event]] = {node: [] for node in nodes}
    for line in lines:
        if ticks and line["t"] <= ticks[-1]:
            by_node[line["node"]].append(line)
    return {node: gather_lives(of_node) for node, of_node in by_node.items()}


@record
class _Found:
    """All sockets, those that no tick saw, and where trace and samples do not agree."""

    sockets: tuple[Socket, ...]
    unobserved: tuple[Unobserved, ...]
    contradictions: tuple[Contradiction, ...]


def _sockets(
    lives: dict[str, list[Life]],
    sampled: Mapping[str, NodeTicks],
    counters: Counters,
    trace: _Trace,
    slack: float,
    translations: Translations,
) -> _Found:
    sockets: list[Socket] = []
    unobserved: list[Unobserved] = []
    contradictions: list[Contradiction] = []
    if trace.complete:
        every_life = [life for of_node in lives.values() for life in of_node]
        exact = Exact(trace.lives, every_life, sampled, slack, translations, trace.later)
        sockets, contradictions = exact.sockets, exact.contradictions
        lives = {node: [life for life in exact.left if life.node == node] for node in lives}
    for node, seen in lives.items():
        of_node = rejoined(seen)
        sockets += to_sockets(of_node, sampled[node], counters)
        if not trace.complete:
            unobserved += count_unobserved(node, of_node, sampled[node], counters)
    return _Found(tuple(sockets), tuple(unobserved), tuple(contradictions))


def _series(ticks: list[Event], nodes: tuple[str, ...]) -> dict[str, dict[str, tuple[Reading, ...]]]:
    found: dict[str, dict[str, list[Reading]]] = {node: defaultdict(list) for node in nodes}
    for tick in ticks:
        for node, values in (tick.get("counters") or {}).items():
            for name, value in values.items():
                found[node][name].append((float(tick["t"]), value))
    return {node: {name: tuple(readings) for name, readings in series.items()} for node, series in found.items()}


def _passed_over(by_kind: Mapping[str, list[Event]], known: Container[str]) -> Iterator[str]:
    unknown = [(kind, len(events)) for kind, events in by_kind.items() if kind not in known]
    for kind, count in unknown[: UNKNOWN_LINES.limit]:
        yield f"{plural(count, 'line')} of the unknown kind `{kind}` passed over"
    if rest := unknown[UNKNOWN_LINES.limit :]:
        yield f"{plural(sum(count for _, count in rest), 'line')} of {len(rest)} more unknown kinds passed over"


def _time(event: Event) -> float:
    return float(event["t"])
