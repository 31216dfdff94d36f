"""Keep-alive probes: how many were sent, by the kernel's counter; and how many nothing answered, by samples.

A sample shows how many probes of a socket wait for an answer. One that waits together with a later one was not answered
in time, and neither was the last one of a connection that its kernel gave up for that. When the number goes back to 0
something came, so the last one was answered. TCP_KEEPINTVL is a whole number of seconds, so samples that lie closer to
each other than a second miss none that went unanswered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from orchestrator.history.index import Index
from orchestrator.history.lifetimes import death
from orchestrator.history.model import Socket
from orchestrator.judge.evidence import socket_seen
from orchestrator.judge.facts.evaluation import counter
from orchestrator.judge.filter import Filter
from orchestrator.judge.kernelcounters import kernel_counter
from orchestrator.judge.question import Question
from orchestrator.judge.tally import Inside, Sum, Tally
from orchestrator.recording.causes import ProbesUnseen

_SHORTEST = 1.0
"""Seconds: the shortest TCP_KEEPINTVL (tcp(7))."""

_GIVEN_UP = "TCP_KEEPALIVE_TIMEOUT"
"""The kernel's reason (enum sk_rst_reason) for the RST of an end whose probes nobody answered."""


class _Probe(NamedTuple):
    """A probe that nothing is known to have answered, sent in the interval; or perhaps answered (not `sure`)."""

    after: float
    before: float
    sure: bool


def keepalive_probes(index: Index, node: str, question: Question, inside: Inside, where: Filter) -> Tally:
    sent = kernel_counter(index, node, "TCPKeepAlive", inside, where)
    return sent if question.part == "sent" else _unanswered(index, node, inside, where, sent)


def _unanswered(index: Index, node: str, inside: Inside, where: Filter, sent: Tally) -> Tally:
    total, told = Sum(inside), True
    given_up = {(reset["local"], reset["peer"]) for reset in index.history.resets if reset.get("reason") == _GIVEN_UP}
    for socket in index.sockets.get(node, ()):
        matches = where.socket(socket) if socket.probes else False
        if matches is False:
            continue
        told = told and all(number is not None for _, number in socket.probes)
        for probe in _probes(index, socket, gave_up=(socket.local, socket.peer) in given_up):
            least = int(probe.sure and matches is True)
            total.add(probe.after, probe.before, least, 1, partial(socket_seen, index, socket, probe.before))
    seen = total.tally()
    most = seen.most if told and not _coarse(index, node, inside) else math.inf
    # No more can go unanswered than were sent.
    most = max(seen.least, min(most, sent.most))
    if most == seen.least:
        return Tally(seen.least, most, None, seen.evidence if seen.most else sent.evidence)
    doubt = seen.doubt if most == seen.most else ProbesUnseen(node=node)
    return Tally(seen.least, most, doubt, seen.evidence)


def _probes(index: Index, socket: Socket, *, gave_up: bool) -> Iterator[_Probe]:
    """Those of a socket that went unanswered, or may have."""
    ticks = index.ticks(socket.node)
    waiting: list[tuple[float, float]] = []
    for t, number in (*socket.probes, (math.inf, 0)):
        if number is None or number >= len(waiting):
            before = ticks.before(t)
            waiting += [(t if before is None else before, t)] * ((number or 0) - len(waiting))
            continue
        yield from (_Probe(*when, sure=True) for when in waiting[:-1])
        if t == math.inf and waiting:
            # It ended with the last one on its way: given up, reset by the answer, or the recording ends.
            yield _Probe(*waiting[-1], sure=gave_up and death(socket) < math.inf)
        waiting = []


def _coarse(index: Index, node: str, inside: Inside) -> bool:
    """Whether two samples of the node lie so far apart that a probe may have gone unanswered between them."""
    times = index.ticks(node).times
    return any(two - one >= _SHORTEST and inside.perhaps(one, two) for one, two in pairwise(times))


EVALUATIONS = {"keepalive_probes": counter(keepalive_probes)}
