"""Histories and reports made by hand, for the tests of the reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.analysis.report import RunReport
from orchestrator.history.model import Closing, Connection, History, Socket, StateInterval, UnknownInterval
from orchestrator.history.readings import QueueReading
from orchestrator.recording.causes import BetweenSamples, OutOfRange
from orchestrator.recording.evidence import SocketSeen
from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.recording.verdict import FactVerdict, Margin, Outcome, Verdict, When, WhenKind, overall
from orchestrator.report.text import run as text
from orchestrator.tcp.states import TcpState
from tests.support.closings import STILL_OPEN, fin, seen

CLIENT, SERVER = "198.18.0.2", "198.18.0.3"
END = 8.6
_PERIOD = 0.05


def socket(
    node: str,
    local: str,
    peer: str,
    life: Sequence[tuple[str, float, float]],
    *,
    recv_q: Sequence[tuple[float, int]] = (),
) -> Socket:
    """A socket with these stays (state, first, last); gaps lie between them and around them, inside the run."""
    intervals = tuple(StateInterval(TcpState(state), first, last) for state, first, last in life)
    gaps = [UnknownInterval(one.last, two.first, frozenset({one.state, two.state})) for one, two in pairwise(intervals)]
    if intervals[0].first > 0:
        gaps.insert(
            0,
            UnknownInterval(
                intervals[0].first - _PERIOD, intervals[0].first, frozenset({TcpState.CLOSED, intervals[0].state})
            ),
        )
    if intervals[-1].last < END:
        gaps.append(
            UnknownInterval(
                intervals[-1].last, intervals[-1].last + _PERIOD, frozenset({TcpState.CLOSED, intervals[-1].state})
            )
        )
    queues = tuple(QueueReading(t, bytes_, 0) for t, bytes_ in recv_q)
    return Socket(node, f"{node}{local}", local, peer, intervals, tuple(gaps), queues, 1000, 4242, "python3")


def connection(
    client: Socket | None, server: Socket | None, opened: float, closing: Closing = STILL_OPEN, **more: Any
) -> Connection:
    return Connection(client, server, (opened - _PERIOD, opened), "client", "server", closing, **more)


def idle_history(**changes: Any) -> History:
    """The story of scenarios/idle-close.yaml: the server closes an idle connection, a second one stays open."""
    first = connection(
        socket(
            "client", f"{CLIENT}:40000", f"{SERVER}:8080",
            [("ESTABLISHED", 0.35, 5.40), ("CLOSE_WAIT", 5.45, 8.45)], recv_q=[(0.35, 0), (5.45, 1)],
        ),
        socket(
            "server", f"{SERVER}:8080", f"{CLIENT}:40000",
            [("ESTABLISHED", 0.35, 5.40), ("FIN_WAIT2", 5.45, 8.45), ("TIME_WAIT", 8.50, END)],
        ),
        0.35, fin("server", seen("CLOSE_WAIT", "client"), at=(5.40, 5.45)),
    )  # fmt: skip
    second = connection(
        socket("client", f"{CLIENT}:40001", f"{SERVER}:8080", [("ESTABLISHED", 8.50, END)]),
        socket("server", f"{SERVER}:8080", f"{CLIENT}:40001", [("ESTABLISHED", 8.50, END)]),
        8.50,
    )
    listening = socket("server", "0.0.0.0:8080", "0.0.0.0:0", [("LISTEN", 0.0, END)])
    ends = [end for each in (first, second) for end in (each.client, each.server) if end]
    history = History(
        nodes=("client", "server"),
        groups={},
        addresses={CLIENT: "client", SERVER: "server"},
        texts_took={},
        moments={
            "start": 0.3, "load.start": 0.3, "load.end": 0.4, "idle.start": 0.4, "idle.end": 8.4,
            "reuse.start": 8.4, "reuse.end": 8.55, "end": END,
        },
        ticks=(0.0, 0.3, 0.35, 0.4, 5.4, 5.45, 8.4, 8.45, 8.5, 8.55, END),
        missed={},
        sockets=(*ends, listening),
        unobserved=(),
        connections=(first, second),
        requests=(*(request(n=n) for n in range(1, 6)), request(n=1, step="reuse", local=f"{CLIENT}:40001")),
        served=(),
        closed=(),
        counters={"client": {"ActiveOpens": ((0.0, 7), (0.35, 8), (8.5, 9))}, "server": {"TW": ((0.0, 0), (8.5, 1))}},
        speaking=frozenset({"server"}),
        asking=frozenset({"client"}),
        begin={"scenario": "idle-close", "runtime": "netns", "clock": "real", "period": _PERIOD},
        end={"t": END, "ev": "end", "outcome": "done", "detail": ""},
    )  # fmt: skip
    return replace(history, **changes)


def request(**fields: Any) -> dict[str, Any]:
    """A request of the client, answered 200 unless an error is given."""
    n = fields.pop("n", 1)
    return {
        "t": 0.36, "t0": 0.35, "ev": "request", "node": "client", "step": "load", "session": "pool", "method": "GET",
        "url": "http://server:8080/", "status": None if "error" in fields else 200, "nth": n, "reused": n > 1,
        "local": f"{CLIENT}:40000", "peer": f"{SERVER}:8080", "request_headers": {"Connection": "keep-alive"},
        "response_headers": {"Content-Length": "2"}, **fields,
    }  # fmt: skip


def moment(name: str, t: float | None) -> Instant:
    """A named moment, seconds."""
    return Instant(name, 0, t)


def count(number: int, unit: str = "socket") -> Bounds:
    """Exactly so many."""
    return Bounds(number, number, unit)


def sock(node: str, fact: str, expected: int, actual: int | None, outcome: Outcome, **more: Any) -> FactVerdict:
    """The verdict on a number of sockets."""
    return FactVerdict(
        node=node,
        fact=fact,
        expected=count(expected),
        actual=None if actual is None else count(actual),
        outcome=outcome,
        **more,
    )


def at(name: str, t: float | None) -> When:
    """Asked at a moment."""
    return When(WhenKind.AT, moment(name, t))


FIN_WAIT2 = SocketSeen(
    node="server", sk="2", local=f"{SERVER}:8080", peer=f"{CLIENT}:40000", peer_node="client",
    state=TcpState.FIN_WAIT2, since=5.45, gap=None, recv_q=0, send_q=0, orphaned=False, pid=None, program=None,
)  # fmt: skip

PASSED = Verdict(
    "five requests share one connection",
    When(WhenKind.OVER, moment("load.end", 0.4), moment("load.start", 0.3)),
    Outcome.PASS,
    (
        FactVerdict(
            node="client", fact="connections", expected=count(1, "connection"), actual=count(1, "connection"),
            outcome=Outcome.PASS, margin=Margin(1, "connection"),
        ),
        FactVerdict(
            node="client", fact="requests", expected=count(5, "request"), actual=count(5, "request"),
            outcome=Outcome.PASS,
        ),
    ),
)  # fmt: skip
FAILED = Verdict(
    "the idle server closes first; the client does not look",
    at("idle.end", 8.4),
    Outcome.FAIL,
    (
        sock("client", "CLOSE_WAIT", 1, 1, Outcome.PASS, margin=Margin(1, "socket")),
        sock(
            "server", "TIME_WAIT", 1, 0, Outcome.FAIL,
            reasons=(OutOfRange(),), nearest=Instant("reuse.start", 0.1, 8.5), margin=Margin(1, "socket"),
            evidence=(FIN_WAIT2,),
        ),
        FactVerdict(
            node="server", fact="first_fin", expected=count(1, "connection"), actual=count(1, "connection"),
            outcome=Outcome.PASS,
        ),
    ),
    8.4,
)  # fmt: skip
UNKNOWN = Verdict(
    "the close is quick",
    When(WhenKind.ALWAYS, moment("idle.end", 8.4), moment("idle.start", 0.4)),
    Outcome.UNKNOWN,
    (
        FactVerdict(
            node="server", fact="FIN_WAIT1", expected=count(0), actual=Bounds(0, 1, "socket"),
            outcome=Outcome.UNKNOWN,
            reasons=(BetweenSamples(at=Instant("idle.start", 5.025, 5.425), after=5.4, before=5.45),),
        ),
    ),
    5.425,
)  # fmt: skip


def report(*verdicts: Verdict, history: History | None = None, folder: Path | None = None, **changes: Any) -> RunReport:
    """A report of `idle_history`, unless another history is given."""
    made = RunReport(
        folder=folder,
        scenario="idle-close",
        title="An idle Session meets a server with a keep-alive timeout",
        runtime="netns",
        clock="real",
        duration=END,
        history=history or idle_history(),
        verdicts=list(verdicts),
        outcome=overall(verdicts),
    )
    return replace(made, **changes)


def printed(report: RunReport, *, width: int = 80, verbose: bool = False, terminal: bool = False) -> str:
    """What `text.render` prints."""
    out = StringIO()
    text.render(report, Console(file=out, width=width, force_terminal=terminal), verbose=verbose)
    return out.getvalue()
