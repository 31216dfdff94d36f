"""The sentence above a ladder: who closed first, how, and why when the server reports it; where TIME_WAIT landed."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.analysis.ladder import headlinenotes as told
from orchestrator.analysis.ladder.headlinenotes import Fate, Headline, Through
from orchestrator.analysis.ladder.notes import Note
from orchestrator.report.words.ladder import befell, sentence, the, unacknowledged
from orchestrator.text.durations import duration, write_duration
from orchestrator.text.numbers import plural


def headline(of: Headline) -> str:
    """`server closed first, with a FIN after 5.0 s idle (closed by server: idle); TIME_WAIT landed on server`."""
    through = f"through {' and '.join(map(_through, of.via))}: " if of.via else ""
    return through + "; ".join(map(_part, of.parts))


def _through(one: Through) -> str:
    return one.node + (", which forgot it" if one.forgot else "")


def _part(part: Note) -> str:
    text = _whole(part) or _closing(part)
    assert text, f"no words for {part}"
    return text


def _closing(part: Note) -> str:
    """Who closed first."""
    match part:
        case told.ClosedFirst(node=None):
            return "the recording does not show who closed first"
        case told.ClosedFirst():
            return f"{part.node} closed first"
        case told.ClosedBehindData():
            return f"{the(part.end)} closed first; its FIN waited behind {unacknowledged(part.unacknowledged)}"
        case told.ClosingSegment(rst=True):
            then = "then " if part.then else ""
            who = part.between or the(part.by)
            probes = part.unanswered_probes
            more = f": {the(probes)} did not answer its keep-alive probes" if probes else ""
            return f"{then}{who} reset the connection with a {_how(part)}{more}"
        case told.ClosingSegment():
            return f"{the(part.by)} closed first, with a {_how(part)}"
        case told.ClosedUnaware():
            return f"{the(part.end)} closed {duration(part.least, part.most)} later without having seen it"
    return ""


def _whole(part: Note) -> str:
    """What became of the connection otherwise."""
    match part:
        case told.NeverEstablished():
            if part.refused:
                return "never established: the server's node answered with a RST"
            if part.by_step is not None:
                return f"never established: step {part.by_step} refused the SYN"
            gave_up = f"{part.gave_up} gave up, no answer came" if part.gave_up else "no answer was seen"
            return f"never established: {gave_up}"
        case told.Simultaneous():
            return "both ends closed at the same time" + (": their FINs crossed" if part.crossed else "")
        case told.OpenToTheEnd():
            return "open at the end of the recording: nobody closed"
        case told.Closed():
            return "it was closed before the recording began" if part.before else "it was closed"
        case told.GaveUpAlone():
            again = f" after {plural(part.again, 'retransmission')}" if part.again else ""
            return f"{part.node} gave up{again}: no answer came, so neither FIN nor RST ended it"
        case told.Failures():
            if len(part.errors) == 1:
                return f"a request failed with {part.errors[0]}"
            return f"{len(part.errors)} requests failed with {', '.join(sorted(set(part.errors)))}"
        case told.TimeWaitLanded(nodes=()):
            return "no TIME_WAIT was seen"
        case told.TimeWaitLanded():
            return f"TIME_WAIT landed on {' and '.join(map(str, part.nodes))}"
        case told.Left():
            return "left at the end: " + ", ".join(f"{state} on {node}" for state, node in part.ends)
    return ""


def _waited(pause: told.Pause) -> str:
    """`idle; KEEPALIVE_TIMEOUT is 2s`."""
    answer = "a whole answer" if pause.begun else "an answer"
    what = f"without {answer}" if pause.unanswered else "idle"
    if pause.at_work:
        what += ": the handler was at work"
    return what if pause.timer is None else f"{what}; {pause.timer.knob} is {write_duration(pause.timer.seconds)}"


def _how(part: told.ClosingSegment) -> str:
    return "".join(_pieces(part))


def _pieces(part: told.ClosingSegment) -> Iterator[str]:
    yield "RST" if part.rst else "FIN"
    if part.fate is Fate.WAITED:
        yield f" that waited behind {unacknowledged(part.unacknowledged)}"
    elif part.fate is Fate.LOST_AT_FIRST:
        yield " that was lost at first"
    elif part.fate is Fate.NEVER_ARRIVED:
        yield " that never arrived"
    if part.pause is not None:
        comma = "" if part.fate is Fate.ARRIVED else ","
        yield f"{comma} after {duration(part.pause.least, part.pause.most)} {_waited(part.pause)}"
    if part.account is not None:
        yield f" ({sentence(part.account)})"
    elif part.ended is not None:
        yield f" ({befell(part.ended)})"
