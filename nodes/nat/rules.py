"""The rules of nftables that make a node a NAT, from its knobs.

A flow of TCP may need two things that are scarce, and gets both with its first segment or none of them: a place in the
table, and a port of the NAT's own. What is taken stands in a set; `run.py` removes from it what conntrack has
forgotten.
"""

from __future__ import annotations

import socket

from knobs import KnobError, Knobs

FLOWS, PORTS = "taken_flows", "taken_ports"
"""Sets: flows by their own source and where they go; where a flow goes, with the port that it leaves by."""

DROPPED = "without_a_place"
"""Counter: first segments of flows, the repeated ones too, that were dropped since one of the two was used up."""

_MOST_FLOWS = 65536

_FIRST = "tcp flags & (fin | syn | rst | ack) == syn"
"""Only a SYN begins a flow. Left to itself conntrack takes any segment for the first one (nf_conntrack_tcp_loose), and
what was forgotten would come back, perhaps with another port."""

_OF_NO_FLOW = "meta l4proto tcp ct state new,invalid"

_LONGEST = 2**32 // 1000 - 1
"""Seconds: the kernel counts a timeout in ticks, in 32 bits, and a longer one would be cut down to a short one
without a word (nf_conntrack_proto_tcp.c, tcp_timeout_nlattr_to_obj). There are 1000 ticks a second at most."""

_TIMEOUTS = {
    "syn_sent": ("CONNTRACK_SYN_SENT", 120),
    "syn_recv": ("CONNTRACK_SYN_RECV", 60),
    "established": ("CONNTRACK_ESTABLISHED", 432000),
    "fin_wait": ("CONNTRACK_FIN_WAIT", 120),
    "close_wait": ("CONNTRACK_CLOSE_WAIT", 60),
    "last_ack": ("CONNTRACK_LAST_ACK", 30),
    "time_wait": ("CONNTRACK_TIME_WAIT", 120),
    "close": ("CONNTRACK_CLOSE", 10),
    "retrans": ("CONNTRACK_MAX_RETRANS", 300),
    "unack": ("CONNTRACK_UNACKNOWLEDGED", 300),
}
"""State, as nft calls it -> its knob, and the kernel's own seconds."""

_TABLE = """\
table ip simctl {{}}
flush table ip simctl
table ip simctl {{
  ct timeout {timeouts} {{
    protocol tcp
    l3proto ip
    policy = {{ {policy} }}
  }}
  {sets}
  chain flows {{
    type filter hook prerouting priority mangle; policy accept;
    {first} ct timeout set "{timeouts}" accept
    {unknown}
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    {unknown_on_the_way}
  }}
  chain destination {{
    type nat hook prerouting priority dstnat; policy accept;
    {destination}
  }}
  chain source {{
    type nat hook postrouting priority srcnat; policy accept;
    {source}
  }}
}}
"""
"""A segment of no flow that is not dropped comes to this node's own TCP, which knows no such connection and sends a
RST; one that would only pass through gets its RST from the rules. To flush a table leaves its sets and what is in
them, so the rules can be changed beside flows that go on."""


def rules(knobs: Knobs, name: str) -> str:
    """What `nft -f` makes a NAT of, or another one. `name` is one that no earlier rules had. Raises KnobError."""
    unknown = knobs.word("ON_UNKNOWN", "drop", "drop", "reset", "pick-up")
    picks_up = unknown == "pick-up"
    policy = (
        f"{state}: {knobs.whole_seconds(knob, seconds, at_most=_LONGEST)}"
        for state, (knob, seconds) in _TIMEOUTS.items()
    )
    return _TABLE.format(
        timeouts=f"flows_{name}",
        policy=", ".join(policy),
        sets="\n  ".join(_sets(knobs)),
        first="ip protocol tcp ct state new" if picks_up else _FIRST,
        unknown=f"{_OF_NO_FLOW} drop" if unknown == "drop" else "",
        unknown_on_the_way=(
            f"{_OF_NO_FLOW} {_FIRST.replace('==', '!=')} reject with tcp reset" if unknown == "reset" else ""
        ),
        destination=_destination(knobs, "" if picks_up else _FIRST),
        source="\n    ".join(_source(knobs)),
    )


def limited(knobs: Knobs) -> bool:
    """Whether flows take what others need."""
    return knobs.given("CONNTRACK_MAX") or knobs.given("SOURCE_PORTS")


def _destination(knobs: Knobs, first: str) -> str:
    """Several in turn, flow by flow."""
    own = knobs.port("HTTP_PORT", 8080)
    targets = [f"{_address(host, port)} . {port}" for host, port in knobs.endpoints("UPSTREAM")]
    if not targets:
        return ""
    chosen = ", ".join(f"{number} : {target}" for number, target in enumerate(targets))
    words = f"tcp dport {own} {first} dnat ip to"
    if len(targets) == 1:
        return f"{words} {targets[0].replace(' . ', ':')}"
    return f"{words} numgen inc mod {len(targets)} map {{ {chosen} }}"


def _sets(knobs: Knobs) -> list[str]:
    found = [f"counter {DROPPED} {{ }}"] if limited(knobs) else []
    if knobs.given("CONNTRACK_MAX"):
        size = knobs.number("CONNTRACK_MAX", 0, at_least=1, at_most=65536)
        kind = "ipv4_addr . inet_service . ipv4_addr . inet_service"
        found.append(f"set {FLOWS} {{ type {kind}; size {size}; flags dynamic; }}")
    if knobs.given("SOURCE_PORTS"):
        found.append(f"set {PORTS} {{ type ipv4_addr . inet_service . mark; size {_MOST_FLOWS}; flags dynamic; }}")
    return found


def _source(knobs: Knobs) -> list[str]:
    """The kernel chooses among ports of its own accord too, but gives one that rests (TIME_WAIT) to the next flow when
    its sequence numbers let it (nf_nat_used_tuple_harder): nobody's NAT of a cloud does that."""
    if not knobs.truth("MASQUERADE", True):
        if limited(knobs):
            raise KnobError("SOURCE_PORTS and CONNTRACK_MAX are for MASQUERADE: true; leave them out")
        return []
    if not limited(knobs):
        return ["masquerade"]
    place = ""
    if knobs.given("CONNTRACK_MAX"):
        place = f"add @{FLOWS} {{ ip saddr . tcp sport . ip daddr . tcp dport }} "
    lines = ["ip protocol != tcp masquerade"]
    if not knobs.given("SOURCE_PORTS"):
        return [*lines, f"{place}masquerade", f"counter name {DROPPED} drop"]
    flow = "ip daddr . tcp dport . ct mark"
    for port in knobs.ports("SOURCE_PORTS", most=1024):
        lines.append(f"ct mark set {port}")
        lines.append(f"{flow} != @{PORTS} {place}add @{PORTS} {{ {flow} }} masquerade to :{port}")
    return [*lines, f"counter name {DROPPED} drop"]


def why_dropped(knobs: Knobs) -> str:
    """What was used up, where the counter has counted."""
    reasons = []
    if knobs.given("CONNTRACK_MAX"):
        reasons.append(f"its table of {knobs.number('CONNTRACK_MAX', 0)} was full")
    if knobs.given("SOURCE_PORTS"):
        reasons.append("all its ports to that server were taken")
    return "no place for the first segment of a flow: " + ", or ".join(reasons)


def _address(host: str, port: int) -> str:
    try:
        return str(socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise KnobError(f"UPSTREAM: {host} has no IPv4 address here: {error.strerror}") from None
