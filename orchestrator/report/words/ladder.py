"""Words for what the rows and footnotes of a ladder tell. Those of its headline are in headline.py."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.analysis.ladder import endnotes, notes, packetnotes
from orchestrator.analysis.ladder import footnotes as below
from orchestrator.analysis.ladder.model import Head, Row
from orchestrator.analysis.ladder.notes import Note, Party, Quiet
from orchestrator.history.model import MinisocketEnd, Side
from orchestrator.scenario.steps import EFFECTS
from orchestrator.text.durations import duration
from orchestrator.text.numbers import short_count

_RST = {
    "NO_SOCKET": "no socket there",
    "TCP_ABORT_ON_CLOSE": "closed with data unread",
    "TCP_ABORT_ON_DATA": "data came after it had closed",
    # Only an orphan in FIN_WAIT2 says so, which Linux keeps as a minisocket; one in TIME_WAIT answers with an ACK.
    "TCP_TIMEWAIT_SOCKET": "data came after it had closed",
    "TCP_ABORT_ON_LINGER": "closed with TCP_LINGER2 below 0",
    "TCP_ABORT_ON_MEMORY": "no memory, or too many orphans",
    "TCP_DISCONNECT_WITH_DATA": "disconnected with data unsent",
    "TCP_KEEPALIVE_TIMEOUT": "no answer to keep-alive probes",
    "TCP_FLAGS": "no such connection, only a listening socket",
    "SOCK_DESTROY": "closed from outside",
    "INVALID_SYN": "a SYN came inside the connection",
    "TCP_RFC7323_PAWS": "a segment with an old timestamp",
    "TCP_INVALID_ACK_SEQUENCE": "an ACK of what it had not sent",
    "TCP_ACK_UNSENT_DATA": "an ACK of what it had not sent",
    "TCP_TOO_OLD_ACK": "an ACK that is too old",
    "TCP_OLD_ACK": "an ACK that is too old",
    "NOT_SPECIFIED": "",
}
"""enum sk_rst_reason (include/net/rstreason.h), by where net/ipv4 uses each name."""

_CUT_BY = {MinisocketEnd.REUSED: " by a new connection", MinisocketEnd.RESET: " by a RST"}

_QUIET = {
    Quiet.IDLE: " idle",
    Quiet.BUSY: ", data under way",
    Quiet.PERHAPS: ", whether idle is not known",
    Quiet.NO_ANSWER_YET: ", no answer yet",
    Quiet.NO_WHOLE_ANSWER_YET: ", no whole answer yet",
    Quiet.AT_WORK: ", no answer yet: handler at work",
    Quiet.NO_ANSWER: ", no answer",
    Quiet.OTHER: "",
}

_UNREAD = {
    below.Unread.FIN: "Recv-Q 1 in CLOSE_WAIT: the FIN came, the program has not read the end yet",
    below.Unread.NOTHING: "Recv-Q 0 in CLOSE_WAIT: the program has read the end and does not close",
    below.Unread.DATA: "Recv-Q above 1 in CLOSE_WAIT: the program has not even read what came before the FIN",
}


def said(row: Row) -> str:
    """What stands in the row, in one line; empty where only states change."""
    return ", ".join(filter(None, map(sentence, row.says)))


def beneath(remarks: Sequence[Note]) -> list[str]:
    """What stands below a row or a ladder, a line each."""
    return [text for text in map(sentence, remarks) if text]


def owner(head: Head) -> str:
    """`java pid 312`, or why there is none."""
    if not head.seen:
        return "not seen" if head.of_lab else "no node of the run"
    return f"{head.program} pid {head.pid}" if head.program else ""


def sentence(note: Note) -> str:
    """One remark; empty for a RST whose reason its kernel does not tell."""
    rooms = (_segment, _program, _state, _around, _footnote)
    told = next((text for say in rooms if (text := say(note)) is not None), None)
    assert told is not None, f"no words for {note}"
    return told


def _segment(note: Note) -> str | None:
    match note:
        case notes.Sent():
            return f"{note.flags} retransmission" if note.again else str(note.flags)
        case notes.SentAgain():
            least = "at least " if note.at_least else ""
            return f"{note.flags} retransmission, {least}{note.count} times in {duration(note.seconds)}"
        case notes.NotTakenUp():
            return f"{note.node} did not take it up"
        case notes.ResetReason():
            return reset_reason(note.reason, note.sender)
        case notes.FilterRule():
            return "by a rule of a packet filter"
        case packetnotes.Taken():
            return _taken(note)
        case packetnotes.ToldByIcmp():
            return f"ended by the ICMP message of step {note.step}"
        case packetnotes.FinGivenUp():
            return "gives up: no FIN of it was acknowledged"
        case packetnotes.MoreTaken():
            return f"{note.count} more packets of it were lost to such steps"
        case notes.CounterRose():
            return f"the counter OutRsts of {note.node} rose"
    return None


def _taken(note: packetnotes.Taken) -> str:
    size = f"{note.size} bytes, " if note.size else ""
    told = {"drop": "lost to", "reset": "refused with a RST by"}
    return f"{size}{told.get(note.verdict, f'refused with ICMP {note.verdict} by')} step {note.step}"


def reset_reason(reason: str, sender: Side) -> str:
    """The kernel's reason in words, where its name is known."""
    if reason == "TCP_STATE":  # tcp_disconnect(): close() with SO_LINGER 0, or the end of a listening socket
        return "aborted by SO_LINGER 0" + (", or never accepted" if sender is Side.SERVER else "")
    name = reason.replace("_", " ").lower()
    return _RST.get(reason, f"the kernel's reason: {name}" if name else "")


def _program(note: Note) -> str | None:
    match note:
        case notes.Request(whole=False):
            return f"{note.request or 'a request'}, in part"
        case notes.Request():
            return note.request
        case notes.NotServed():
            return f"{note.node} did not serve it"
        case notes.ServedLate():
            return f"too late: {note.node} serves {note.request}"
        case notes.Outcome():
            return _outcome(note)
        case notes.UnreadAnswer():
            return f"{note.status or 'answer'}, too late" if note.late else note.status
        case notes.MoreRequests():
            return f"{note.count} more requests in {duration(note.seconds)}: {_outcomes(note)}"
        case notes.OwnAccount():
            # By itself the reason `peer` would read as if the peer had closed it, or the server first.
            late = note.reason == "peer"
            return f"{note.node} closed after its peer had" if late else f"closed by {note.node}: {note.reason}"
        case notes.Unreported():
            sent, received = short_count(note.sent), short_count(note.received)
            return f"data, {sent} bytes to the server, {received} back: nobody reports it"
    return None


def _outcome(note: notes.Outcome) -> str:
    """`200 after 3.2 ms`, `RemoteDisconnected after 1.1 ms`."""
    told = f"{note.status}, then {note.error}" if note.status and note.error else note.status or note.error
    return told if note.seconds is None else f"{told} after {duration(note.seconds)}"


def _outcomes(note: notes.MoreRequests) -> str:
    names = [(_named(outcome), count) for outcome, count in note.outcomes]
    if len(names) > 1:
        return ", ".join(f"{count} x {name}" for name, count in names)
    return f"all {names[0][0]}" if note.known else names[0][0]


def _named(outcome: str | None) -> str:
    return "answers not reported" if outcome is None else outcome or "no answer"


def _state(note: Note) -> str | None:
    match note:
        case notes.AlreadyThere():
            return "already there when the recording begins"
        case notes.CutShort():
            by = "" if note.by is None else _CUT_BY.get(note.by, "")
            return f"TIME_WAIT cut short after {duration(note.least, note.most)}{by}"
        case notes.StateOver():
            known = note.least is not None and note.most is not None
            lasted = f" after {duration(note.least or 0.0, note.most)}" if known else ""
            return f"{note.state} is over{lasted}"
        case notes.GaveUp():
            return "gives up: no answer came" + ("" if note.calling else " (ETIMEDOUT)")
        case notes.LastAckOver():
            return "LAST_ACK is over, by an ACK or a RST"
        case notes.Gone():
            return "gone, the recording does not show how"
        case notes.FinWaits():
            return f"{_bare(note.end)} closes: its FIN waits behind {unacknowledged(note.unacknowledged)}"
        case notes.Arrives():
            return f"the {note.flags} of {_bare(note.sender)} arrives"
        case notes.BothFinsArrive():
            return "each FIN arrives"
        case notes.DoesNotRead():
            return f"{note.node} does not read"
        case notes.ReadsTheEnd():
            return f"{note.node} reads the end"
        case notes.NotAcknowledged():
            return "not acknowledged"
    return None


def _around(note: Note) -> str | None:
    match note:
        case notes.Befell():
            return befell(note)
        case notes.Forgot():
            return f"{note.node} has forgotten the connection"
        case notes.Steps():
            return f"{', '.join(note.names)}{' ends' if note.end else ''}"
        case notes.Silence(what=Quiet.IDLE_AT_FIRST, idle=float(idle)):
            return f"{duration(note.least, note.most)}, the first {duration(idle)} idle"
        case notes.Silence():
            return duration(note.least, note.most) + _QUIET[note.what]
        case endnotes.RunEnds(outcome="done"):
            return "the run ends"
        case endnotes.RunEnds(outcome="failed"):
            return "the run fails"
        case endnotes.RunEnds():
            return f"the run is {note.outcome or 'broken off'}"
        case endnotes.TimeWaitToGo():
            return f"TIME_WAIT on {note.node} has {note.seconds:.0f} s to go"
        case endnotes.CloseWaitStays():
            return f"CLOSE_WAIT stays until {note.node} closes"
        case endnotes.FinWait2Stays():
            return f"FIN_WAIT2 on {note.node}: owned, no timer: it never ends"
    return None


def befell(note: notes.Befell) -> str:
    """`server is killed`, `server is cut off (front)`."""
    if note.packets is not None:
        return f"{note.packets}: {EFFECTS[note.what].words}"
    where = f" ({note.network or note.name})" if note.network or note.name else ""
    return f"{note.node} is {EFFECTS[note.what].words}{where}"


def _footnote(note: Note) -> str | None:
    match note:
        case below.Times():
            return "5.27-5.32, ~5.30: between two observations; 5.303: to the millisecond"
        case below.RecvQ():
            return _UNREAD[note.unread]
        case below.NotSeen():
            return f"the end of {the(note.end)} was not seen: its column shows what the other end proves"
        case below.FewerShown():
            return (
                f"the trace shows {note.shown} retransmissions of {note.node}, its kernel counted {note.counted}: one "
                "may stand for several segments"
            )
    return None


def the(party: Party) -> str:
    """A node's name, or `the client`."""
    return party.node or f"the {party.side}"


def _bare(party: Party) -> str:
    return party.node or str(party.side)


def unacknowledged(size: int | None) -> str:
    """What a FIN waits behind."""
    return "data" if size is None else f"{size} unacknowledged bytes"
