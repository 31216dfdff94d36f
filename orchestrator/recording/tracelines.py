"""The lines of `events.jsonl` that the kernel's trace adds, from its tracepoints, and those of segments that open and
close connections; see lines.py."""

from typing import Annotated, Literal, NotRequired

from orchestrator.recording.linefields import Cookie, Doc, Kernel, Line, Local, Node, Peer, State, Whole


class FromTrace(Line):
    """What all lines of the kernel's trace have. They say what the kernel reported and nothing else. Which node a
    socket belongs to, who sent a RST, what a timer means: that is for the reader to infer (history/kernelevents.py)."""

    cpu: Annotated[Whole, Doc("the CPU that reported it: events of one CPU are in the order in which they came about")]


class OfSocket(FromTrace):
    """What the lines of the kernel's trace about a socket of the lab have."""

    a: Kernel
    local: Local
    peer: Peer


class StateLine(OfSocket):
    """A socket changed its state. From the tracepoint sock:inet_sock_set_state."""

    old: State
    new: State


class Destroy(OfSocket):
    """A socket was destroyed. From tcp:tcp_destroy_sock."""

    sk: Cookie


class Rst(OfSocket):
    """A RST was sent. From tcp:tcp_send_reset. One that a listening socket sent bears its addresses, `0.0.0.0`."""

    reason: NotRequired[Annotated[str | None, Doc("the kernel's reason, since Linux 6.10")]]


class RstReceived(OfSocket):
    """A RST was received, or a socket whose program is gone got data. From tcp:tcp_receive_reset."""

    sk: Cookie


class Retransmit(OfSocket):
    """A segment was retransmitted. From tcp:tcp_retransmit_skb, or tcp:tcp_retransmit_synack for a SYN+ACK."""

    state: Annotated[State, Doc("of the socket; SYN_RECV for a SYN+ACK, which has no full socket yet")]


class Timer(FromTrace):
    """A timer of a minisocket (TIME_WAIT, or an orphan in FIN_WAIT2) was started or expired. From timer:timer_start and
    timer:timer_expire_entry with tw_timer_handler; of the machine's timers only those that were ever started just
    before an event of a socket of the lab. A minisocket has no other events. When one comes to be, its timer is
    started, and the same CPU reports the end of its full socket next (net/ipv4/tcp_minisocks.c, tcp_time_wait)."""

    timer: Annotated[Whole, Doc("number that stands for the kernel's address of the timer, which is used again")]
    what: Literal["start", "expire"]


class Other(FromTrace):
    """After the start of such a timer the same CPU reported something that is not of the lab."""

    old: NotRequired[Annotated[State | None, Doc("of a change of state")]]
    new: NotRequired[Annotated[State | None, Doc("of a change of state")]]


class TracedLine(Line):
    """The end of the trace."""

    lost: Annotated[Whole, Doc("events that the ring had no room for")]
    counts: NotRequired[Annotated[dict[str, Whole] | None, Doc("how many lines of each kind")]]
    loopback: NotRequired[Annotated[dict[str, Whole] | None,
                                    Doc("what sockets on 127.0.0.0/8 did, of any node and of this machine: "
                                        "the trace does not show whose they are")]]  # fmt: skip


class SegmentLine(Line):
    """A segment with SYN, FIN or RST entered the network. Its node is the one that sent it, whatever addresses it
    bears. From packet sockets at the nodes' interfaces."""

    node: Node
    local: Annotated[str, Doc("source address and port, as they stand in the segment")]
    peer: Annotated[str, Doc("destination address and port")]
    flags: Annotated[str, Doc("as tcpdump writes them: S for SYN, F for FIN, R for RST, P for PSH, `.` for ACK")]
    seq: Annotated[Whole, Doc("sequence number")]
    ack: Annotated[Whole, Doc("acknowledgment number; 0 without ACK")]
    len: Annotated[Whole, Doc("bytes of data in it")]


class SegmentsLine(Line):
    """The end of the segments."""

    count: Annotated[Whole, Doc("how many `segment` lines there are")]
    lost: Annotated[Whole, Doc("segments that there was no room for")]


class FilteredLine(Line):
    """A packet that a fault took on its way, after it had entered the network: it did not arrive. Its node is the one
    that sent it. Reported by the rule that took it (nfnetlink_log)."""

    node: Node
    step: Annotated[str, Doc("the step whose fault it is")]
    verdict: Annotated[str, Doc("`drop`; `reset`: a RST was sent back in the name of the other end; else the reason of "
                                "the ICMP message that was sent back")]  # fmt: skip
    protocol: Annotated[str, Doc("`tcp`, `udp`, `icmp`, or the number of another")]
    local: Annotated[str, Doc("source address, with its port where there is one")]
    peer: Annotated[str, Doc("destination address, with its port where there is one")]
    flags: NotRequired[Annotated[str | None, Doc("of TCP, as in `segment`")]]
    seq: NotRequired[Annotated[Whole | None, Doc("of TCP: sequence number")]]
    ack: NotRequired[Annotated[Whole | None, Doc("of TCP: acknowledgment number")]]
    len: Annotated[Whole, Doc("bytes of data in it")]


class FilterLine(Line):
    """The end of the packets that faults took."""

    count: Annotated[Whole, Doc("how many `filtered` lines there are")]
    complete: Annotated[bool, Doc("false: more were taken than reported, since there was no room for the reports")]
