"""What became of connections and requests, in sentences: the one place where they are made.

3 connections client -> server:8080: client closed first (FIN, idle); TIME_WAIT on client
6 requests by client: 5 answered 200, 1 failed with RemoteDisconnected
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.analysis.counted import (
    Explained,
    NoPlace,
    OldHalfMet,
    PoolWasFull,
    QueueWasFull,
    TableWasFull,
    explained,
)
from orchestrator.analysis.failures import failures
from orchestrator.analysis.ladder.list import ListedConnection, Telling
from orchestrator.analysis.requests import Requests, raw_by_client, requests_by_client
from orchestrator.analysis.summary import ConnectionSummary, Group, connection_groups, unobserved_by_node
from orchestrator.bounds import LOG_LINES
from orchestrator.history.model import ClosingKind, History, MinisocketEnd, Side
from orchestrator.recording.events import Event
from orchestrator.report.words.failures import sentences as failure_sentences
from orchestrator.tcp.states import TcpState
from orchestrator.text.durations import measured, time_between, write_duration
from orchestrator.text.numbers import plural
from orchestrator.text.safe import visible

_LOADS = 12
"""Rates that are told, and explanations; more are not read."""

_CUT_SHORT = {
    MinisocketEnd.RESET: "killed by a RST",
    MinisocketEnd.REUSED: "taken over by a new connection",
}


def sentences(history: History) -> list[str]:
    """All that is said of a run, the most telling first."""
    groups = [group(each) for each in connection_groups(history)]
    return [*groups, *unobserved_sentences(history), *request_sentences(history)]


def group(found: Group) -> str:
    return f"{plural(found.count, 'connection')} {connection(found.summary)}"


def connection(summary: ConnectionSummary) -> str:
    """`client -> server:8080: server closed first (FIN, idle); TIME_WAIT on server`."""
    port = "" if summary.port is None else f":{summary.port}"
    through = "".join(f" through {node}" for node in summary.via)
    return f"{summary.client} -> {summary.server}{port}{through}: {outcome(summary)}"


def outcome(summary: ConnectionSummary) -> str:
    """Who closed first, and what that left behind."""
    if not summary.established:
        if summary.gave_up:
            return f"never established: {summary.gave_up} gave up, no answer came"
        refused = summary.kind is ClosingKind.RST
        return f"refused with a RST by {summary.first_closer}" if refused else "never seen established"
    expired = [f"{node} had forgotten it" for node in summary.expired]
    if summary.open:
        return "; ".join([*expired, "still open at the end"])
    parts = [*expired, who_closed(summary)]
    if summary.time_wait:
        cut = "".join(f", {_CUT_SHORT[how]}" for how in dict.fromkeys(how for how, _ in summary.cut_short))
        parts.append(f"TIME_WAIT on {' and '.join(summary.time_wait)}{cut}")
    if summary.stuck:
        parts.append("at the end still " + ", ".join(_stuck(state, node, summary) for state, node in summary.stuck))
    if summary.first_closer and not summary.time_wait and not summary.stuck:
        parts.append("no TIME_WAIT seen")
    return "; ".join(parts)


def _stuck(state: TcpState, node: str, summary: ConnectionSummary) -> str:
    never = state is TcpState.FIN_WAIT2 and node in summary.endless
    return f"{state} on {node}" + (" (owned, no timer: it never ends)" if never else "")


def who_closed(summary: ConnectionSummary) -> str:
    """`server closed first (FIN, idle)`: with FIN or RST where the kernel's trace shows which of them it was."""
    if summary.first_closer:
        segment = summary.kind.upper() if summary.traced else ""
        if summary.kind is ClosingKind.RST and not summary.traced:
            segment = f"{summary.client} met a RST"
        parts = (segment, summary.reason or _by_timer(summary), "lost" if summary.lost else "")
        detail = ", ".join(filter(None, parts))
        gave_up = f"; {summary.gave_up} gave up, after a timeout" if summary.gave_up else ""
        return f"{summary.first_closer} closed first" + (f" ({detail})" if detail else "") + gave_up
    if summary.gave_up:
        return f"{summary.gave_up} gave up, after a timeout"
    if summary.kind is ClosingKind.SIMULTANEOUS:
        return "both closed at the same time"
    return "neither end sent a FIN or RST" if summary.traced else "the samples do not show who closed first"


def _by_timer(summary: ConnectionSummary) -> str:
    """`idle for its KEEPALIVE_TIMEOUT of 2s`."""
    if summary.timer is None:
        return ""
    what = "without an answer" if summary.unanswered else "idle"
    return f"{what} for its {visible(summary.timer.knob)} of {write_duration(summary.timer.seconds)}"


def unobserved_sentences(history: History) -> list[str]:
    """What the kernel counted and no sample showed, ends of connections that are shown elsewhere left out."""
    return [
        f"up to {plural(count, 'more socket')} on {node} came and went between two samples"
        for node, count in unobserved_by_node(history).items()
    ]


def request_sentences(history: History) -> list[str]:
    loads = [load(each) for each in history.loads[:_LOADS]]
    more = len(history.loads) - len(loads)
    return [
        *(
            f"{plural(got.count, 'request')} by {client}: {requests(got)}"
            for client, got in requests_by_client(history).items()
        ),
        *(
            f"{plural(sum(ended.values()), 'raw exchange')} by {client}: {exchanges(ended)}"
            for client, ended in raw_by_client(history).items()
        ),
        *loads,
        *([f"... and {more} more rates"] if more > 0 else []),
        *failure_sentences(failures(history)),
        *map(explanation, explained(history)[:_LOADS]),
    ]


def exchanges(ended: Mapping[str, int]) -> str:
    """Of steps `raw`: `all done`, `3 done, 2 ended by ConnectionRefusedError`."""
    parts = [(count, "done" if how == "done" else f"ended by {how}") for how, count in ended.items()]
    if len(parts) == 1 < parts[0][0]:
        return f"all {parts[0][1]}"
    return ", ".join(f"{count} {what}" for count, what in parts)


def explanation(found: Explained) -> str:
    """What a counter, or a library's words, mean."""
    match found:
        case QueueWasFull():
            size = "an accept queue" if found.backlog is None else f"the accept queue of {found.backlog}"
            port = "" if found.port is None else f":{found.port}"
            dropped = f"{plural(found.times, 'SYN')} or last ACKs of handshakes dropped (ListenOverflows)"
            return f"{size} on {found.node}{port} was full: {dropped}"
        case TableWasFull():
            size = "its table" if found.size is None else f"its table of {found.size}"
            times = plural(found.times, "connection")
            return f"no TIME_WAIT of {times} on {found.node}: {size} was full (TCPTimeWaitOverflow)"
        case PoolWasFull():
            times = plural(found.times, "connection") + (" or more" if found.times >= LOG_LINES.limit else "")
            return f"the pool of {found.node} was full, so it closed the surplus: {times}, as its library says"
        case NoPlace():
            times = plural(found.times, "segment") + (" or more" if found.times >= LOG_LINES.limit else "")
            return f"{found.node} dropped {times}: {visible(found.says)}, as it says"
        case OldHalfMet():
            return (
                f"{found.client} called for c{found.new} from the addresses of c{found.old}, whose old half "
                f"{found.node} had kept: a challenge ACK came back (TCPChallengeACK), and the RST that answered it "
                f"ended c{found.old}"
            )


def load(event: Event) -> str:
    """`client kept to 100 requests a second in load: 500 sent, none late, at most 1.2 ms after its time`."""
    what = f"{event['rate']:g} {'request' if event['rate'] == 1 else 'requests'} a second in {event.get('step') or '?'}"
    asked, sent, late = event["asked"], event["sent"], event["late"]
    many = f"all {asked} sent" if sent == asked else f"{sent} of {asked} sent"
    after = f"at most {measured(max(0.0, event['lateness']))} after its time"
    if not late:
        return f"{event['node']} kept to {what}: {many}, none late ({after})"
    return f"{event['node']} did not keep to {what}: {many}, {late} of them late, {after}"


def requests(got: Requests) -> str:
    """`5 answered 200, 1 failed with RemoteDisconnected`; `all answered 200` when there are several; and `2 attempts
    repeated by its library (ConnectionResetError)`."""
    told = _results(got)
    if not got.repeated:
        return told
    names = " and ".join(got.repeated)
    return f"{told}; {plural(got.repeated.total(), 'attempt')} repeated by its library ({names})"


def _results(got: Requests) -> str:
    parts = [(count, f"answered {status}") for status, count in sorted(got.answered.items())]
    parts += [(count, f"failed with {name}") for name, count in got.errors.most_common()]
    if len(parts) == 1 < got.count:
        return f"all {parts[0][1]}"
    return ", ".join(f"{count} {what}" for count, what in parts)


# -- a connection of a list ---------------------------------------------------------------------------------------


def opened(entry: ListedConnection) -> str:
    """When it was opened, seconds of the run; `before` for one that was there when the recording began."""
    after, until = entry.connection.opened
    return "before" if math.isinf(after) else time_between(after, until)


def requests_on(entry: ListedConnection) -> str:
    """`6`; `6, 1 failed`; `?` when nobody reports them."""
    count = entry.reports.count
    return f"{count}, {entry.failed} failed" if entry.failed else "?" if count is None else str(count)


def first_closer(entry: ListedConnection) -> str:
    """The node; `-` while it is open, `?` when the recording does not show it, `both` when both ends closed at the same
    time, `nobody` when an end gave up."""
    closing = entry.closing
    match closing.kind:
        case ClosingKind.OPEN:
            return "-"
        case ClosingKind.SIMULTANEOUS:
            return "both"
        case ClosingKind.TIMEOUT:
            return "nobody"
        case ClosingKind.UNKNOWN:
            return "?"
    # An end that belongs to no node is named by its address.
    return closing.by or (entry.client if closing.side is Side.CLIENT else entry.server)


def ended(entry: ListedConnection) -> str:
    """How it ended, and what was left: `RST; no TIME_WAIT`, `idle; TIME_WAIT on server`, `open`."""
    if not entry.established:
        return "never established"
    closing = entry.closing
    parts = []
    match closing.kind:
        case ClosingKind.OPEN:
            return "open"
        case ClosingKind.TIMEOUT:
            parts.append(f"timeout on {closing.by}")
        case ClosingKind.RST:
            parts.append("RST")
    if entry.reason not in ("", "peer") and closing.kind is not ClosingKind.TIMEOUT:
        parts.append(entry.reason)
    left = ", ".join(f"{state} on {node}" for state, node in entry.left) or "no TIME_WAIT"
    return "; ".join([*parts, f"TIME_WAIT on {' and '.join(entry.time_wait)}" if entry.time_wait else left])


TELLING = {
    Telling.ACCUSED: "it is evidence of a failed expectation",
    Telling.CAUSE: "a request failed by what became of it",
    Telling.FAILED: "a request on it failed",
    Telling.CLOSE_WAIT: "an end of it is left in CLOSE_WAIT",
    Telling.BY_SERVER: "the server closed it first",
    Telling.CLOSED: "it is the first that was closed",
    Telling.FIRST: "it is the first",
}
"""Why a connection is the one to look at."""
