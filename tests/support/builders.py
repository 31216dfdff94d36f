"""Hand-made runs as tables: a row per socket, a column per tick.

    moment load.end 2
    client:41000 > server:8080 | -  E  E  CW/1  LA  -
    server:8080                | L  L  L  L     L   L
    server:8080 > client:41000 | -  E  E  F2    F2  T

A cell is a state (`E`, `SS`, `SR`, `F1`, `F2`, `CW`, `LA`, `CG`, `T`, `L`), `-` for no socket, `?` when the node was
missed at that tick; `/1` adds Recv-Q, `/1/20` Send-Q too. `{program/pid}` before the bar names the owner, `#7` the sk.
Ticks are 0, 1, 2, ... unless a line `ticks 0 0.5 ...` says otherwise; `start` and `end` are the first and the last.
The kernel's counters say that every socket was seen; `unseen server 0 0 2` adds two that were not, between the ticks 1
and 2; `count server TW 0 0 1` gives a counter's absolute values.
"""

from __future__ import annotations

import re
from dataclasses import fields
from itertools import accumulate
from typing import Any

import yaml

from orchestrator.history.build import build_history
from orchestrator.history.model import History
from orchestrator.judge.judge import judge
from orchestrator.recording.events import Event
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict
from orchestrator.report.words.verdicts import FactWords, of_fact
from orchestrator.scenario.model import Expectation
from orchestrator.tcp.states import TcpState
from orchestrator.text.record import record

S = TcpState
CODES = {
    "SS": S.SYN_SENT, "SR": S.SYN_RECV, "E": S.ESTABLISHED, "F1": S.FIN_WAIT1, "F2": S.FIN_WAIT2,
    "CW": S.CLOSE_WAIT, "LA": S.LAST_ACK, "CG": S.CLOSING, "T": S.TIME_WAIT, "L": S.LISTEN,
}  # fmt: skip
NODES = ("client", "server", "proxy", "app-1", "app-2")
HOSTS = {name: f"198.18.0.{number}" for number, name in enumerate(NODES, 2)}
ROLES = {"client": "client", "proxy": "proxy"}
COUNTERS = ("ActiveOpens", "PassiveOpens", "AttemptFails", "RetransSegs", "OutRsts", "TW", "TWKilled")

_ROW = re.compile(r"(\S+):(\d+)(?: > (\S+):(\d+))?(?: \{(\w+)/(\d+)\})?(?: #(\w+))?$")


def events(text: str, *more: Event, period: float = 0.05) -> list[Event]:
    """The lines of the run that a table tells. `more` lines are added where their time puts them."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    rows = [(left.strip(), right.split()) for left, bar, right in (line.partition("|") for line in lines) if bar]
    said = [line.split() for line in lines if "|" not in line]
    width = max([len(cells) for _, cells in rows] + [len(words) - 2 for words in said if words[0] in _WIDE])
    ticks = next(
        ([float(t) for t in words[1:]] for words in said if words[0] == "ticks"), [float(t) for t in range(width)]
    )
    counts = {node: {name: [0] * len(ticks) for name in COUNTERS} for node in NODES}
    missed: dict[int, set[str]] = {column: set() for column in range(len(ticks))}
    sockets: dict[int, list[Event]] = {column: [] for column in range(len(ticks))}
    for number, (left, cells) in enumerate(rows):
        assert len(cells) == len(ticks), f"{left}: {len(cells)} cells, {len(ticks)} ticks"
        _row(left, cells, ticks, f"{number:x}", sockets, missed, counts)
    for node in counts:
        for name in COUNTERS:
            counts[node][name] = list(accumulate(counts[node][name]))
    for words in said:
        if words[0] == "unseen":
            opens = counts[words[1]]["PassiveOpens" if words[1] != "client" else "ActiveOpens"]
            for column, extra in enumerate(accumulate(int(word) for word in words[2:])):
                opens[column] += extra
        elif words[0] == "count":
            counts[words[1]][words[2]] = [int(word) for word in words[3:]]
    moments = {"start": ticks[0], "end": ticks[-1]} | {w[1]: float(w[2]) for w in said if w[0] == "moment"}
    for words in said:
        if words[0] == "without":
            moments.pop(words[1])
    body: list[Event] = [{"t": t, "ev": "moment", "name": name} for name, t in moments.items()]
    for column, t in enumerate(ticks):
        body += sockets[column]
        body.append({"t": t, "ev": "tick", "took": 0.0, "missed": sorted(missed[column]), "counters": {
            node: {name: values[column] for name, values in counts[node].items()}
            for node in NODES if node not in missed[column]
        }})  # fmt: skip
    body += [*more, {"t": ticks[-1], "ev": "end", "outcome": "done"}]
    body.sort(key=lambda event: float(event["t"]))
    return [begin(period), *body]


_WIDE = ("unseen", "ticks")


def begin(period: float = 0.05) -> Event:
    nodes = [
        {"name": node, "service": node.rstrip("-12"), "kind": "any", "role": ROLES.get(node, "server"),
         "addresses": [HOSTS[node]], "events": node != "app-2"}
        for node in NODES
    ]  # fmt: skip
    return {"t": 0, "ev": "begin", "format": 1, "scenario": "test", "runtime": "netns", "clock": "real",
            "period": period, "nodes": nodes}  # fmt: skip


def _row(
    left: str, cells: list[str], ticks: list[float], sk: str,
    sockets: dict[int, list[Event]], missed: dict[int, set[str]], counts: dict[str, dict[str, list[int]]],
) -> None:  # fmt: skip
    match = _ROW.fullmatch(left)
    assert match, left
    node, port, peer, peer_port, comm, pid, own_sk = match.groups()
    local = f"{HOSTS[node]}:{port}" if peer else f"0.0.0.0:{port}"
    far = f"{HOSTS.get(peer, peer)}:{peer_port}" if peer else "0.0.0.0:0"
    base = {"ev": "socket", "node": node, "sk": own_sk or sk, "local": local, "peer": far}
    opens = counts[node]["ActiveOpens" if node in ("client", "proxy") else "PassiveOpens"]
    before, last_seen = "-", None
    for column, cell in enumerate(cells):
        if cell == "?":
            missed[column].add(node)
            continue
        code, recv_q, send_q = (*cell.split("/"), "0", "0")[:3]
        if cell != before and code == "-":
            sockets[column].append({**base, "t": ticks[column], "state": "CLOSED"})
        elif cell != before:
            line = {
                **base,
                "t": ticks[column],
                "state": CODES[code].value,
                "recv_q": int(recv_q),
                "send_q": int(send_q),
            }
            if comm and code != "T":
                line |= {"inode": int(pid), "comm": comm, "pid": int(pid), "uid": 0}
            sockets[column].append(line)
        was = before.split("/")[0]
        born = was == "-" and code not in ("-", "L", "SR") and last_seen is not None
        if born or (was == "SR" and code not in ("-", "SR")):
            opens[column] += 1
        before, last_seen = cell, column


def history(text: str, *more: Event, period: float = 0.05) -> History:
    return build_history(events(text, *more, period=period))


def request(t: float, port: int = 41000, *, node: str = "client", nth: int = 1, error: str | None = None) -> Event:
    """A request of a client to server:8080 that ended at `t`. Port 0: it got no connection."""
    event: dict[str, Any] = {"t": t, "ev": "request", "node": node, "step": "load", "method": "GET",
                             "url": "http://server:8080/", "t0": t - 0.01, "nth": nth, "reused": nth > 1}  # fmt: skip
    event |= {"local": f"{HOSTS[node]}:{port}", "peer": f"{HOSTS['server']}:8080"} if port else {}
    return event | ({"error": {"name": error, "text": "text"}} if error else {"status": 200})


def expect(text: str) -> Expectation:
    """An expectation from YAML; the sentence may be left out."""
    return Expectation.model_validate({"that": "it holds"} | yaml.safe_load(text))


def verdict(run: History, text: str) -> Verdict:
    (found,) = judge([expect(text)], run)
    return found


def fact(run: History, text: str) -> FactVerdict:
    """The verdict on an expectation that has one fact."""
    (found,) = verdict(run, text).facts
    return found


@record
class Worded(FactWords):
    """What a fact's verdict says in words, and its outcome."""

    outcome: Outcome


def in_words(found: FactVerdict) -> Worded:
    """A fact's verdict in words."""
    told = of_fact(found)
    return Worded(**{field.name: getattr(told, field.name) for field in fields(told)}, outcome=found.outcome)


def worded(run: History, text: str) -> Worded:
    """The verdict on an expectation that has one fact, in words."""
    return in_words(fact(run, text))


REQUESTS: list[Event] = [
    request(0.5), request(1.0, nth=2), request(1.5, nth=3, error="RemoteDisconnected"), request(2.0, 41001),
    request(2.5, 0, error="ConnectionRefusedError"),
]  # fmt: skip
TALK = "client:41000 > server:8080 | E E E E"
"""What a client reports of a talk that the table TALK shows, and of a call that was refused."""
