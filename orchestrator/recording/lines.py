"""The lines of `events.jsonl`: one type for each `ev`. The checker, the page docs/recording.md and the JSON Schema are
made from these types (schema.py), so a field is described here and nowhere else.

A field that is not required may also be null. Lines may have more fields than these, and lines of other kinds are
passed over and counted in a note: a newer simctl may write them.
"""

from typing import Annotated, Any, NotRequired

from orchestrator.recording.linefields import (
    Cookie,
    Doc,
    Fields,
    Headers,
    Line,
    Local,
    Node,
    Number,
    Peer,
    State,
    Whole,
)
from orchestrator.recording.middlelines import AddressLine, ConntrackLine, LogLine, Nat
from orchestrator.recording.tracelines import (
    Destroy,
    FilteredLine,
    FilterLine,
    Other,
    Retransmit,
    Rst,
    RstReceived,
    SegmentLine,
    SegmentsLine,
    StateLine,
    Timer,
    TracedLine,
)


class BeginNode(Fields):
    """A node in the `begin` line."""

    name: str
    service: Annotated[str, Doc("its service in the Compose file; several nodes have one where it has replicas")]
    kind: NotRequired[Annotated[str | None, Doc("the node kind, or the image of a foreign one")]]
    role: Annotated[str, Doc("of its kind: client, server, proxy, ...; `foreign` without a kind")]
    addresses: Annotated[list[str], Doc("its IPv4 addresses")]
    events: Annotated[bool, Doc("whether its program reports: `request` of a client, `served`, `closed` of a server")]
    shared: NotRequired[Annotated[bool | None, Doc("whether processes that are not the node's may use its network "
                                                   "namespace: its counters count what those do, too")]]  # fmt: skip

    timers: NotRequired[Annotated[dict[str, Number] | None, Doc("knobs of its kind that are durations -> s, set or by "
                                                                "default; 0 is often off")]]  # fmt: skip
    sysctls: NotRequired[Annotated[dict[str, str] | None, Doc("kernel settings that the topology sets")]]


class Begin(Line):
    """The first line. Written by the run."""

    format: Annotated[Whole, Doc("format of the recording")]
    scenario: NotRequired[Annotated[str | None, Doc("the scenario's name")]]
    runtime: NotRequired[Annotated[str | None, Doc("where the nodes live: `netns`, `docker`, ...")]]
    clock: NotRequired[Annotated[str | None, Doc("`real` or `virtual`")]]
    period: Annotated[Number, Doc("s between two samples that are meant; with large tables more may lie between")]
    quiet: NotRequired[
        Annotated[Number | None, Doc("s that may lie between two samples while the trace shows nothing")]
    ]
    nodes: list[BeginNode]


class NodeLine(Line):
    """What befell a node. Written by the run."""

    node: Node
    what: Annotated[str, Doc("`started`, `ready`, `exited`, `killed`, `link down`, ...")]
    detail: NotRequired[Annotated[dict[str, Any] | None, Doc("more of it: `pid`, `status`, `signal`, `network`, ...")]]


class Moment(Line):
    """A named moment. Its time is that of its tick. Written by the run."""

    name: Annotated[str, Doc("`start`, `STEP.start`, `STEP.end`, `end`")]
    took: NotRequired[Annotated[Number | None, Doc("s after which what `ss` and `netstat` print was all there")]]


class Tick(Line):
    """A sample of all nodes. Of each, the socket table is read before the counters. Written by the sampler."""

    took: NotRequired[Annotated[Number | None, Doc("s that it took")]]
    counters: NotRequired[Annotated[dict[str, dict[str, Whole]] | None,
                                    Doc("node -> kernel counter -> absolute value of each that changed")]]  # fmt: skip
    missed: NotRequired[Annotated[list[str] | None, Doc("nodes that could not be sampled")]]


class SocketLine(Line):
    """A socket appeared, or anything but its timer changed. Its `t` is that of the tick that saw it, so the change lies
    between that tick and the one before; the line stands next to its tick's, before or after it. A tick without lines
    for a socket says that it stands as before. Written by the sampler."""

    node: Node
    sk: Cookie
    local: Local
    peer: Peer
    state: Annotated[State, Doc("its TCP state; CLOSED: it is gone")]
    recv_q: NotRequired[Annotated[Whole | None, Doc("Recv-Q, bytes; required unless CLOSED")]]
    send_q: NotRequired[Annotated[Whole | None, Doc("Send-Q, bytes; required unless CLOSED")]]
    timer: NotRequired[Annotated[str | None, Doc("which timer runs: `on`, `keepalive`, `timewait`, `persist`")]]
    expires: NotRequired[Annotated[Number | None, Doc("s until that timer fires")]]
    retrans: NotRequired[
        Annotated[
            Whole | None, Doc("retransmissions of the segment that is waited for, or probes of the timer that runs")
        ]
    ]
    probes: NotRequired[Annotated[Whole | None, Doc("where the timer `keepalive` runs: keep-alive probes that nothing "
                                                    "has answered yet; null there: not known, as in older "
                                                    "recordings")]]  # fmt: skip
    inode: NotRequired[Annotated[Whole | None, Doc("inode of the socket; none for a minisocket")]]
    uid: NotRequired[Annotated[Whole | None, Doc("user id of the owner")]]
    pid: NotRequired[Annotated[Whole | None, Doc("process id of the owner, as the observer sees it")]]
    comm: NotRequired[Annotated[str | None, Doc("command name of the owner")]]
    received: NotRequired[Annotated[Whole | None, Doc("bytes that came, a FIN as one; null: this and what follows are "
                                                      "not known, as of a minisocket. By TCP_INFO")]]  # fmt: skip
    acked: NotRequired[Annotated[Whole | None, Doc("bytes that the peer acknowledged, a SYN or FIN as one; null: 0")]]
    sent: NotRequired[Annotated[Whole | None, Doc("bytes of data sent, with what was sent again; null: 0")]]
    resent: NotRequired[Annotated[Whole | None, Doc("of `sent`, bytes that were sent again; null: 0, in older "
                                                     "recordings not known")]]  # fmt: skip
    unsent: NotRequired[Annotated[Whole | None, Doc("bytes that its program wrote and that are not sent; null: 0")]]
    sent_at: NotRequired[Annotated[Number | None, Doc("s; when it last sent data, to a tick of the kernel's clock "
                                                      "(1 to 10 ms); null: it never did")]]  # fmt: skip
    received_at: NotRequired[Annotated[Number | None, Doc("s; when data last came; null: none ever did")]]


class ErrorField(Fields):
    """What went wrong for a client."""

    name: Annotated[str, Doc("name of the exception or the error code")]
    text: NotRequired[Annotated[str | None, Doc("its message")]]


class Request(Line):
    """A request ended, at `t`. Written by clients, by way of simctl."""

    node: Node
    step: NotRequired[Annotated[str | None, Doc("the step that asked for it; in recordings of older versions, in which "
                                                "steps follow each other, the one in which it ended")]]  # fmt: skip
    session: NotRequired[Annotated[str | None, Doc("name of the client's session")]]
    method: NotRequired[Annotated[str | None, Doc("HTTP method, or the kind of query")]]
    url: NotRequired[str | None]
    t0: NotRequired[Annotated[Number | None, Doc("s; when the library was called")]]
    status: NotRequired[Annotated[Whole | None, Doc("HTTP status; null without a response")]]
    answer: NotRequired[Annotated[str | None, Doc("what a data store answered, which knows no status")]]
    error: NotRequired[Annotated[ErrorField | None, Doc("null when all went well")]]
    send_error: NotRequired[Annotated[ErrorField | None, Doc("what sending gave, where the library went on to read")]]
    local: NotRequired[Annotated[str | None, Doc("the connection's own address; null when none came about")]]
    peer: NotRequired[Annotated[str | None, Doc("the connection's other address")]]
    sk: NotRequired[Cookie | None]
    reused: NotRequired[Annotated[bool | None, Doc("whether the connection had carried a request before")]]
    nth: NotRequired[Annotated[Whole | None, Doc("number of the request on its connection, from 1")]]
    n: NotRequired[Annotated[Whole | None, Doc("number of the request of its command, from 1")]]
    id: NotRequired[Annotated[Whole | None, Doc("number of the command")]]
    request_headers: NotRequired[Annotated[Headers | None, Doc("name as sent -> value")]]
    response_headers: NotRequired[Annotated[Headers | None, Doc("name as received -> value")]]
    bytes: NotRequired[Annotated[Whole | None, Doc("size of the response's body")]]
    held: NotRequired[Annotated[bool | None, Doc("true: its client read the head, and left the body unread and the "
                                                 "response open")]]  # fmt: skip
    whole: NotRequired[Annotated[bool | None, Doc("false: its client sent a part of it, and then gave it up")]]


class RawLine(Line):
    """An exchange of a step `raw` ended, at `t`: what became of its actions. HTTP requests in what it sent have lines
    `request` of their own. Written by clients, by way of simctl."""

    node: Node
    step: NotRequired[Annotated[str | None, Doc("the step that asked for it")]]
    session: NotRequired[Annotated[str | None, Doc("name of the client's session")]]
    url: NotRequired[Annotated[str | None, Doc("where it went: `tcp://server:8080`")]]
    t0: NotRequired[Annotated[Number | None, Doc("s; when it began")]]
    local: NotRequired[Annotated[str | None, Doc("the connection's own address; null when none came about")]]
    peer: NotRequired[Annotated[str | None, Doc("the connection's other address")]]
    sk: NotRequired[Cookie | None]
    id: NotRequired[Annotated[Whole | None, Doc("number of the command")]]
    n: NotRequired[Annotated[Whole | None, Doc("number of the exchange of its command, from 1")]]
    actions: Annotated[Whole, Doc("how many actions the step has")]
    done: Annotated[Whole, Doc("how many of them were done")]
    error: NotRequired[Annotated[ErrorField | None, Doc("what ended it before; null when nothing did")]]
    open: NotRequired[Annotated[bool | None, Doc("whether the connection was left open, for a later step")]]
    sent: NotRequired[Annotated[Whole | None, Doc("bytes that it wrote")]]
    received: NotRequired[Annotated[Whole | None, Doc("bytes that it read")]]


class LoadLine(Line):
    """Requests at a rate have ended: how their client kept to it. Written by clients, by way of simctl."""

    node: Node
    step: NotRequired[Annotated[str | None, Doc("the step that asked for them")]]
    session: NotRequired[Annotated[str | None, Doc("name of the client's session")]]
    id: NotRequired[Annotated[Whole | None, Doc("number of the command")]]
    t0: NotRequired[Annotated[Number | None, Doc("s; when the first was to be sent")]]
    rate: Annotated[Number, Doc("requests a second that were asked for")]
    asked: Annotated[Whole, Doc("how many were asked for")]
    sent: Annotated[Whole, Doc("how many were sent: the library was called")]
    late: Annotated[Whole, Doc("how many of them were sent more than 10 ms after their time")]
    lateness: Annotated[Number, Doc("s; the largest time that one was sent after its own")]
    seconds: NotRequired[Annotated[Number | None, Doc("s from the time of the first until the last was sent")]]


class Served(Line):
    """A request was read whole and goes to its handler. Written by servers that report."""

    node: Node
    local: NotRequired[str | None]
    peer: NotRequired[str | None]
    sk: NotRequired[Cookie | None]
    method: NotRequired[Annotated[str | None, Doc("HTTP method, or the kind of query")]]
    path: NotRequired[str | None]
    status: NotRequired[Annotated[Whole | None, Doc("HTTP status; null: there will never be one")]]
    answer: NotRequired[Annotated[str | None, Doc("what a data store answers")]]
    nth: NotRequired[Annotated[Whole | None, Doc("number of the request on its connection, from 1")]]
    request_headers: NotRequired[Headers | None]
    response_headers: NotRequired[Headers | None]


class Answered(Line):
    """A server's program has written a response whole: its kernel has it, and sends it as soon as it can. Its request
    is the `served` line of the same connection with the same `nth`. Written by servers that report; recordings of
    older versions have none."""

    node: Node
    local: NotRequired[str | None]
    peer: NotRequired[str | None]
    sk: NotRequired[Cookie | None]
    status: NotRequired[Annotated[Whole | None, Doc("HTTP status")]]
    answer: NotRequired[Annotated[str | None, Doc("what a data store answered")]]
    nth: NotRequired[Annotated[Whole | None, Doc("number of the request on its connection, from 1")]]


class Closed(Line):
    """A server closes a connection: `t` is just before its FIN. Written by servers that report."""

    node: Node
    local: NotRequired[str | None]
    peer: NotRequired[str | None]
    sk: NotRequired[Cookie | None]
    reason: Annotated[
        str,
        Doc(
            "`idle`, `request`, `limit`, `peer`, `error`, `shutdown`; of a fault `unannounced`, `unanswered`, `cut`, "
            "`unread`"
        ),
    ]
    requests: NotRequired[Annotated[Whole | None, Doc("how many requests it had carried")]]


class Note(Line):
    """Something that the reader should know. Written by anybody."""

    text: str


class End(Line):
    """How the run itself ended. The last line. Written by the run."""

    outcome: Annotated[str, Doc("`done`, `interrupted`, `failed`")]
    detail: NotRequired[Annotated[str | None, Doc("why it failed")]]


LINES: dict[str, type] = {
    "begin": Begin,
    "node": NodeLine,
    "moment": Moment,
    "tick": Tick,
    "socket": SocketLine,
    "request": Request,
    "raw": RawLine,
    "load": LoadLine,
    "served": Served,
    "answered": Answered,
    "closed": Closed,
    "log": LogLine,
    "state": StateLine,
    "destroy": Destroy,
    "rst": Rst,
    "rst_received": RstReceived,
    "retransmit": Retransmit,
    "timer": Timer,
    "other": Other,
    "traced": TracedLine,
    "segment": SegmentLine,
    "segments": SegmentsLine,
    "filtered": FilteredLine,
    "filter": FilterLine,
    "address": AddressLine,
    "nat": Nat,
    "conntrack": ConntrackLine,
    "note": Note,
    "end": End,
}
"""`ev` -> the type of its lines, in the format that is written today. Of older ones see format1.py."""
