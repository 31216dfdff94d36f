"""The kernel's counters that a recording has, by their names in `nstat`. The probe reads them, a scenario may name
them, a history looks them up: they stand here and nowhere else.

This module is imported by the probe, in containers too: it needs nothing that is not there.
"""

from __future__ import annotations

COUNTERS = {
    "Tcp": ("ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "RetransSegs", "OutRsts"),
    "TcpExt": (
        "TW",
        "TWKilled",
        "TCPTimeWaitOverflow",
        "ListenOverflows",
        "ListenDrops",
        "TCPAbortOnTimeout",
        "TCPAbortOnData",
        "TCPAbortOnClose",
        "TCPReqQFullDrop",
        "TCPTimeouts",
        "TCPKeepAlive",
        "TCPChallengeACK",
        "TCPToZeroWindowAdv",
        "TCPFromZeroWindowAdv",
        "TCPWinProbe",
    ),
}
"""Which kernel counters a tick carries: group of /proc/net/snmp or /proc/net/netstat -> names."""

NAMES = tuple(name for group in COUNTERS.values() for name in group)
"""All of them."""
