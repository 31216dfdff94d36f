"""Why a fact does not hold, in one plain sentence for each cause."""

from __future__ import annotations

from orchestrator.recording import causes
from orchestrator.recording.causes import Reason
from orchestrator.recording.quantities import Instant
from orchestrator.recording.verdict import FactVerdict
from orchestrator.report.words import quantities as words
from orchestrator.text.durations import at, format_duration
from orchestrator.text.numbers import number, plural
from orchestrator.text.suggest import nearest

_QUEUES = {"recv_q": "Recv-Q", "send_q": "Send-Q"}


def sentence(fact: FactVerdict) -> str:
    """Why the fact does not hold; empty when it does."""
    return "; ".join(_told(reason, fact) for reason in fact.reasons)


def names_its_fact(fact: FactVerdict) -> bool:
    """Whether the sentence says of which fact of which node it is: `0 sockets in TIME_WAIT on server, expected 1`."""
    says = any(isinstance(reason, causes.OutOfRange | causes.BetweenSamples) for reason in fact.reasons)
    return says and fact.expected.unit in ("socket", fact.fact.removesuffix("s"))


def _told(reason: Reason, fact: FactVerdict) -> str:
    told = _missing(reason) or _wrong(reason, fact) or _doubtful(reason, fact) or _untold(reason, fact)
    assert told, f"no words for {reason}"
    instant = getattr(reason, "at", None)
    # Of an instant outside of the samples the sentence is about the instant itself.
    if isinstance(instant, Instant) and not isinstance(reason, causes.OutsideSamples):
        return f"{told} ({words.instant(instant)})"
    return told


def _missing(reason: Reason) -> str:
    """What the recording does not have."""
    match reason:
        case causes.NeverReached():
            return f"the run never reached {words.written(reason.moment)}{_how_it_ended(reason)}"
        case causes.EmptyWindow(start=start, end=end):
            first, last = (f"{words.written(each)} ({at(each.t or 0.0)})" for each in (start, end))
            return f"the window is empty: {first} is after {last}"
        case causes.NoSuchNode():
            return f"the recording has no node {reason.node}; it has {', '.join(reason.nodes)}"
        case causes.NoSuchPeer():
            return f"the recording has no node and no address {reason.peer}"
        case causes.NoSuchOwner():
            near = nearest(reason.owner, reason.owners)
            told = f"no socket of the run was owned by {reason.owner}; there were: {', '.join(reason.owners)}"
            return f"{told}; {near}" if near else told
        case causes.NeverSampled():
            return f"{' and '.join(reason.nodes)} was never sampled"
        case causes.OutsideSamples(at=instant) if instant.t is not None and instant.t > reason.last:
            return f"{words.instant(instant)} is {at(instant.t - reason.last)} after the last sample"
        case causes.OutsideSamples(at=instant):
            return f"{words.instant(instant)} is {at(reason.first - (instant.t or 0.0))} before the first sample"
        case causes.WindowOutsideSamples(first=first, last=last):
            window = f"the window {at(reason.start)} .. {at(reason.end)}"
            if first is None or last is None:
                return f"{window} was not observed"
            return f"{window} reaches beyond the samples, {at(first)} .. {at(last)}"
    return ""


def _how_it_ended(reason: causes.NeverReached) -> str:
    how = {"interrupted": ": it was interrupted", "failed": ": it failed"}.get(reason.run, "")
    return f"{how} ({reason.detail})" if how and reason.detail else how


def _wrong(reason: Reason, fact: FactVerdict) -> str:
    """What is there, and is not what was expected."""
    match reason:
        case causes.OutOfRange():
            return _found(fact)
        case causes.QueueOutOfRange():
            sockets = plural(reason.sockets, "socket")
            queue = f"{_QUEUES.get(fact.fact, fact.fact)} {number(reason.least, reason.most)}"
            return f"{sockets} in {fact.part} on {fact.node} with {queue}, expected {words.expected(fact.expected)}"
        case causes.SomeOutOfRange(of="connection"):
            return f"{plural(reason.count, 'connection')} of {fact.node} carried another number of requests"
        case causes.SomeOutOfRange(of="request"):
            return f"{plural(reason.count, 'request')} of {fact.node} did not take {words.expected(fact.expected)}"
        case causes.SomeOutOfRange():
            intervals = plural(reason.count, f"{fact.part} interval")
            return f"{intervals} on {fact.node} did not last {words.expected(fact.expected)}"
        case causes.HeldTooShort():
            held = f"{words.seconds(reason.held)} from {words.instant(reason.since)}"
            return f"it held for at most {held}, not for {format_duration(reason.wanted)}"
        case causes.MatchedNothing(of="socket"):
            return f"no socket was in {fact.part} on {fact.node}: the fact matched nothing"
        case causes.MatchedNothing(of="state_interval"):
            return (
                f"no {fact.part} interval on {fact.node} is known to have ended in the window: the fact matched nothing"
            )
        case causes.MatchedNothing(of="ended_request"):
            return f"no request of {fact.node} ended in the window: the fact matched nothing"
        case causes.MatchedNothing():
            return f"no request of {fact.node} in the window names its connection: the fact matched nothing"
    return ""


def _found(fact: FactVerdict) -> str:
    """`0..1 sockets in CLOSE_WAIT on client, expected 1`."""
    found = "?" if fact.actual is None else words.counted(fact.actual)
    state = ""
    if fact.expected.unit == "socket":
        state = " in other states" if fact.fact == "others" else f" in {fact.part or fact.fact}"
    return f"{found}{state} on {fact.node}, expected {words.expected(fact.expected)}"


def _doubtful(reason: Reason, fact: FactVerdict) -> str:
    """What the samples leave open."""
    match reason:
        case causes.BetweenSamples():
            samples = f"the samples at {at(reason.after)} and {at(reason.before)} do not tell"
            return f"{_found(fact)}: {samples}"
        case causes.OwnerUnknown():
            return f"{_found(fact)}: the owner of some sockets is not known"
        case causes.QueueUnknown():
            queue = _QUEUES.get(fact.fact, fact.fact)
            return f"the samples do not tell the {queue} of every socket in {fact.part} on {fact.node}"
        case causes.HoldingUnknown(recording_ends=True):
            return f"the recording ends too early to tell that it held for {format_duration(reason.wanted)}"
        case causes.HoldingUnknown():
            return f"it is not known to have held for {format_duration(reason.wanted)}"
        case causes.SampledTooCoarsely():
            meant = f"one every {format_duration(reason.period)} was meant"
            if reason.follows_trace:
                meant += ", fewer while the trace shows nothing"
            between = f"no sample between {at(reason.after)} and {at(reason.before)}"
            return f"sampled too coarsely: {between}, {meant}"
        case causes.SomeMayCount():
            what = plural(reason.count, fact.expected.unit)
            return f"{what} may or may not count: the samples do not tell"
        case causes.DurationUnknown():
            intervals = f"some {fact.part} intervals on {fact.node}"
            return f"{intervals} may have lasted less or more: the samples do not tell"
    return ""


def _untold(reason: Reason, fact: FactVerdict) -> str:
    """What neither programs nor counters tell."""
    match reason:
        case causes.AddressUnknown():
            return "some have no address that `where` could be compared with"
        case causes.NotReported():
            what = "its requests" if reason.what == "requests" else "what it served and closed"
            return f"{' and '.join(reason.nodes)} does not report {what}"
        case causes.NotFilterable(source="counter"):
            return f"{reason.counter} is one number for the whole node: it cannot be filtered by `where`"
        case causes.NotFilterable(source="conntrack"):
            return f"of the conntrack table of {reason.node} numbers alone are known: `where` cannot filter it"
        case causes.NotFilterable(source="trace"):
            return "segments of the kernel's trace cannot be filtered by `owner`"
        case causes.NotFilterable():
            return f"what the program of {reason.node} reports cannot be filtered by `owner`"
        case causes.CounterUnread():
            return f"the counter {reason.counter} of {reason.node} was not read"
        case causes.CounterBetweenReadings():
            return f"{reason.counter} was not read at {at(reason.start)} and {at(reason.end)} themselves"
        case causes.RequestsUntimed():
            return f"{plural(reason.count, 'request')} of {fact.node} do not tell when they began"
        case causes.ProbesUnseen():
            return f"{_found(fact)}: the samples do not tell whether each probe that {reason.node} sent was answered"
        case causes.BytesUnseen(connections=0):
            return f"{reason.node} had sockets that no sample shows: what went over them is not known"
        case causes.BytesUnseen():
            connections = plural(reason.connections, "connection")
            return f"{_found(fact)}: neither samples nor a FIN tell how much went over {connections} in that time"
        case causes.ConntrackUnread():
            return f"the conntrack table of {reason.node} was not read then: it is at named moments"
        case causes.AnswersForOthers():
            return f"{reason.node} answers for others by its packet filter, and no counter tells of that"
    return ""
