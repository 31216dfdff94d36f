"""Every claim of simctl about a run is held against what the model proves of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tests.truth.claims import ConnectionClaim, EndClaim, close_wait_queues, connections, gauges
from tests.truth.findings import Comparison
from tests.truth.model import Connection, Truth
from tests.truth.model_samples import TEXT_TAKES, Key
from tests.truth.model_wire import RST

_APART = 1.0
"""Seconds by which the birth of a connection may differ between simctl and the wire before they are two."""


_NOT_PASSED_THROUGH = frozenset({"TIME_WAIT", "CLOSING", "CLOSE_WAIT", "LAST_ACK"})
"""States that no single segment leads into and out of again."""


def compare(report: Mapping[str, Any], truth: Truth) -> Comparison:
    """The report of one run against the truth about it."""
    found = Comparison()
    found.figures.update(runs=1, segments=sum(len(capture.segments) for capture in truth.captures))
    found.figures["runs that lost their trace"] += any("samples are used instead" in note for note in report["notes"])
    for connection in truth.connections:
        found.unexplained += [f"{key}: {known.lost}" for key, known in connection.known.items() if known.lost]
    claims = connections(report)
    matched = _match(claims, truth, found, unseen=bool(report["unseen"]))
    for claim, connection in matched:
        found.figures["connections"] += 1
        for end in claim.ends:
            _compare_states(claim, end, connection, truth, found)
        _compare_closing(claim, connection, truth, found)
    _compare_gauges(report, truth, found)
    _compare_queues(report, truth, found)
    return found


def _match(
    claims: list[ConnectionClaim], truth: Truth, found: Comparison, *, unseen: bool
) -> list[tuple[ConnectionClaim, Connection]]:
    by_key: dict[Key, list[Connection]] = defaultdict(list)
    for connection in truth.connections:
        for key in connection.keys:
            by_key[key].append(connection)
    told: dict[int, list[ConnectionClaim]] = defaultdict(list)
    matched = []
    for claim in claims:
        if claim.opened[1] > truth.samples.end - truth.slack:
            continue
        nearest = {_nearest(by_key[end.key], claim) for end in claim.ends if not _inside(end, truth)}
        on_wire = [connection for connection in truth.connections if id(connection) in nearest]
        if not on_wire:
            _without_traffic(claim, truth, found)
        elif len(on_wire) > 1:
            apart = " and ".join(f"{c.began:.6f}" for c in on_wire)
            found.add("ends-of-two", str(claim), "these are one", f"they began at {apart}", on_wire[0].began)
        else:
            told[id(on_wire[0])].append(claim)
            matched.append((claim, on_wire[0]))
    for connection in truth.connections:
        same = told.get(id(connection), [])
        where = f"{connection.client} - {connection.server}"
        if len(same) > 1:
            found.add("told-twice", where, f"{len(same)} connections", "one SYN", connection.began)
        last = connection.began > truth.samples.end - 2 * truth.slack  # its claim may have been left out above
        if not same and connection.established and connection.client and not unseen and not last:
            found.add("not-told", where, "nothing", "established on the wire", connection.established)
    return matched


def _nearest(known: list[Connection], claim: ConnectionClaim) -> int | None:
    """The connection on these addresses that began when the claim says, or the one that was there already."""
    low, high = max(claim.opened[0], 0.0) - _APART, claim.opened[1] + _APART
    fitting = [c for c in known if low <= c.began <= high] or [c for c in known if c.began <= high][-1:]
    return id(min(fitting, key=lambda c: abs(c.began - claim.opened[1]))) if fitting else None


def _inside(end: EndClaim, truth: Truth) -> bool:
    """Whether both addresses are the node's own: then no network carries it."""
    hosts = [address.rpartition(":")[0] for address in end.key[1:]]
    return hosts[0] == hosts[1] or {truth.owners.get(host) for host in hosts} == {end.key[0]}


def _without_traffic(claim: ConnectionClaim, truth: Truth, found: Comparison) -> None:
    ends = [end for end in claim.ends if not _inside(end, truth)]
    states = {state for end in ends for state in end.states} - {"SYN_SENT", "CLOSED"}
    if states:
        found.add("not-on-wire", str(claim), ", ".join(sorted(states)), "no SYN of it is there", claim.opened[1])


def _compare_states(
    claim: ConnectionClaim, end: EndClaim, connection: Connection, truth: Truth, found: Comparison
) -> None:
    known = connection.known.get(end.key)
    if known is None or known.lost:
        return
    found.figures["sockets"] += 1
    slack, until = truth.slack, truth.samples.end
    spans = list(end.spans)
    if end.over < until:
        later = [c.began for c in truth.connections if end.key in c.known and c.began > connection.began]
        spans.append((end.over, min([until, *later]), frozenset({"CLOSED"})))
    for begin, last, states in spans:
        begin, last = max(begin, 0.0), min(last, until)
        if begin > until - slack:  # how the lab is taken down
            continue
        tested, decided = known.decided(begin, last, slack)
        found.figures["states compared"] += tested
        found.figures["states decided by the model"] += decided
        if len(states) > 1:
            found.figures["states simctl leaves open"] += tested
        refuted = known.excluding(states, begin, last, slack)
        told = "/".join(sorted(states))
        where, what = f"{claim}, {end.key[0]}", f"{told} from {begin:.3f} to {last:.3f}"
        if refuted is not None:
            t, possible = refuted
            truly = "/".join(sorted(possible))
            found.add("gap" if len(states) > 1 else f"state {told} for {truly}", where, what, f"it was in {truly}", t)
        elif len(states) == 1 and states <= _NOT_PASSED_THROUGH - known.within(begin - slack, last + slack):
            found.add(f"never {told}", where, what, "it never was", begin)


def _compare_closing(claim: ConnectionClaim, connection: Connection, truth: Truth, found: Comparison) -> None:
    if claim.closed is not None and claim.closed[1] > truth.samples.end - truth.slack:
        return
    first = truth.first_closing(connection)
    gave_up = claim.kind == "timeout"
    if first is None:
        if claim.closer is not None:
            t = claim.closed[1] if claim.closed else claim.opened[1]
            found.add("closing-not-on-wire", str(claim), f"{claim.closer} {claim.how}", "no FIN or RST is there", t)
        return
    segment, nodes = first
    wire = f"the first is {segment}"
    if claim.closer is None:
        quiet = segment.t >= truth.samples.end - 2 * truth.slack
        if gave_up:
            if connection.established:
                ended = not truth.never_arrived(connection, segment) and segment.t < _closed_at(claim) - truth.slack
            else:
                ended = segment.has(RST)
            if ended:
                found.add("gave-up", str(claim), claim.how, wire, segment.t)
        elif claim.kind == "open" and not quiet:
            found.add("told-open", str(claim), "still open", wire, segment.t)
        else:
            found.figures["closers simctl does not know"] += 1
        return
    found.figures["closers compared"] += 1
    if claim.closer not in nodes:
        found.add("first-closer", str(claim), f"{claim.closer} ({claim.how})", wire, segment.t)
    elif len(nodes) == 1 and claim.kind in ("fin", "rst"):
        if (claim.kind == "rst") != segment.has(RST):
            found.add("closing-kind", str(claim), claim.how, wire, segment.t)
        elif claim.closed and not claim.closed[0] - truth.slack <= segment.t <= claim.closed[1] + truth.slack:
            found.add("closing-time", str(claim), f"{claim.how} at {claim.closed[1]:.3f}", wire, segment.t)


def _closed_at(claim: ConnectionClaim) -> float:
    return claim.closed[0] if claim.closed else float("inf")


def _compare_gauges(report: Mapping[str, Any], truth: Truth, found: Comparison) -> None:
    """How many sockets each node has in each state at each moment, against what ss printed then."""
    for moment, t, node, told in gauges(report):
        rows = truth.samples.texts.get((moment, node))
        if not rows:
            continue
        moving = restless(truth, node, moment)
        for state in {row.state for row in rows} | set(told):
            if state == "LISTEN":
                continue
            sure = sum(row.state == state and (row.local, row.peer) not in moving for row in rows)
            low, high = told.get(state, (0, 0))
            found.figures["gauges compared"] += 1
            if low != high:
                found.figures["gauges simctl does not know"] += 1
            if high < sure or low > sure + len(moving):
                claim = f"{low}..{high} {state}" if low != high else f"{low} {state}"
                found.add(f"gauge {state}", f"{node} at {moment}", claim, f"ss printed {sure}", t)


def restless(truth: Truth, node: str, moment: str) -> set[tuple[str, str]]:
    """The address pairs of the node that may have changed while ss ran."""
    t = truth.samples.moments[moment]
    low, high = t - truth.slack, truth.samples.looked.get(moment, t + TEXT_TAKES) + truth.slack
    found = {
        (key[1], key[2])
        for connection in truth.connections
        for key in connection.keys
        if key[0] == node and any(low <= s.t <= high for life in connection.lives for s in life.segments)
    }
    # What began after the last tick is no connection of the model, and ss may have seen it.
    late = [s for capture in truth.captures for s in capture.segments if max(low, truth.samples.end) <= s.t <= high]
    found |= {pair for s in late for pair in ((s.source, s.target), (s.target, s.source))}
    for stretch in truth.samples.stretches:
        # One that the tick of the moment was the last to see has changed since then: perhaps before ss looked.
        changed = (low < stretch.first <= high and stretch.first != t) or low < stretch.last <= high
        if stretch.key[0] == node and changed:
            found.add(stretch.key[1:])
    return found


def _compare_queues(report: Mapping[str, Any], truth: Truth, found: Comparison) -> None:
    """Recv-Q in CLOSE_WAIT, where ss showed the same at this moment and the one before."""
    names = sorted(truth.samples.moments, key=lambda name: (truth.samples.moments[name], not name.endswith(".end")))
    for moment, node, (low, high) in close_wait_queues(report):
        t = truth.samples.moments[moment]
        before = [name for name in names if truth.samples.moments[name] < t]
        now, then = (truth.samples.texts.get((name, node)) for name in (moment, before[-1] if before else ""))
        if not now or not then or restless(truth, node, moment):
            continue
        waiting = {row for row in now if row.state == "CLOSE_WAIT"}
        if not waiting or not waiting <= set(then):
            continue
        found.figures["queues compared"] += 1
        smallest, largest = min(row.recv_q for row in waiting), max(row.recv_q for row in waiting)
        if smallest < low or largest > high:
            claim, wire = f"Recv-Q {low}..{high} in CLOSE_WAIT", f"ss printed {smallest}..{largest}"
            found.add("recv-q", f"{node} at {moment}", claim, wire, t)
