"""The states that conntrack has of a TCP connection: the probe reads them, a scenario may name them.

This module is imported by the probe, in containers too: it needs nothing that is not there.
"""

from __future__ import annotations

from typing import Literal, get_args

ConntrackState = Literal[
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
]
"""As `conntrack -L` and nf_conntrack_tcp.h name them: of an entry, which knows both directions, not of a socket."""

CONNTRACK_STATES: tuple[str, ...] = ("NONE", *get_args(ConntrackState))
"""By their numbers: enum tcp_conntrack (linux/netfilter/nf_conntrack_tcp.h)."""
