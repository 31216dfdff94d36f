"""The lines of `events.jsonl`: one JSON object each, `t` in seconds since the start of the run, `ev` says what.

| ev | fields | written by |
|---|---|---|
| `begin` | format, scenario, runtime, clock (`real` or `virtual`), period (s between samples), quiet, nodes | the run |
| `node` | node, what (`started`, `ready`, `exited`, ..., `link down`), see drive/steps.py; detail | the run |
| `moment` | name: `start`, `STEP.start`, `STEP.end`, `end`; same t as its tick | the run |
| `tick` | took (s), counters {node: {name: absolute value}} (those that changed), missed [node] | the sampler |
| `socket` | node, sk, local, peer, state, recv_q, send_q, timer, expires, inode, uid, pid, comm | the sampler |
| `request` | node, step, session, method, url, t0, status, answer, error, local, peer, reused, nth, headers | clients |
| `served` | node, local, peer, method, path, status, nth | servers of ours |
| `closed` | node, local, peer, reason, requests | servers of ours |
| `state`, `destroy`, `rst`, `retransmit`, `minisocket`, `traced`, ... | see observe/trace.py | the trace |
| `nat` | node, what (`new`, `gone`), after, source, destination, new_source, new_destination | the sampler |
| `note` | text | anybody: something the reader should know |
| `end` | outcome of the run itself: `done`, `interrupted`, `failed`; detail | the run |

`begin` is the first line. Its `period` is what is meant: with large tables more time may lie between two ticks, and on
a virtual clock up to `quiet` s while the trace shows nothing (observe/pace.py); each tick says when it was. Its `nodes`
is a list of
`{name, service, kind, role, addresses: ["198.18.0.2"], events}`:
`events` says whether the node's program reports what it does (requests of a client, served and closed of a server).
`error` of a request is `{name, text}`; `answer` is what a data store said, which knows no status. Lines of other kinds
are passed over, and counted in a note.

A `socket` line is written when a socket appears or anything but its timer changes; `state` CLOSED means that it is
gone (and needs no queues). Its `t` is that of the tick that saw it, so between two ticks the truth lies in the open
interval; it stands next to its tick's line, before or after it. `sk` names one
socket of one node for its whole life (the kernel's cookie, in hexadecimal). A tick without lines for a socket says
that it stands as before. Addresses are `198.18.0.2:8080`, IPv4-mapped ones too. The node's address is joined with
the peer's by address pair and overlapping life. Of a tick, a node's table is read before its counters.

A `nat` line is an entry of the conntrack table of a node that translates addresses: a connection's first segment came
from `source` to `destination`, and left from `new_source` to `new_destination`; `gone`: the node forgot it. That was
after `after`, the reading before, and by `t`. Connections are joined through it (translations.py).
"""

from __future__ import annotations

from typing import Any

FORMAT = 1
"""Raised when a reader of the old format would misread the new one."""

COUNTERS = {
    "Tcp": ("ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "RetransSegs", "OutRsts"),
    "TcpExt": ("TW", "TWKilled", "TCPTimeWaitOverflow", "ListenOverflows", "ListenDrops", "TCPAbortOnTimeout"),
}
"""Which kernel counters a tick carries: group of /proc/net/snmp or /proc/net/netstat -> names."""

TCPEXT_EVERY = 1.0
"""Seconds: the `TcpExt` group is read at the first tick that comes this long after the last reading, and at every
named moment. A reader must not take the tick that shows a new value for the tick in which it changed."""

Event = dict[str, Any]
"""One decoded line."""


def answered(event: Event) -> str:
    """What a `request` or `served` got or gave: an HTTP status, or what a data store answered; empty for neither."""
    status = event.get("status")
    return str(event.get("answer") or "") if status is None else str(status)
