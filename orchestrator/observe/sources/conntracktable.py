"""How many connections stand in the conntrack table of one network namespace, by the state that it has of them.

A dump over netlink, as `conntrack -L` makes one: linux/netfilter/nfnetlink_conntrack.h. The kernel leaves out entries
whose time is over, and removes them as any look at the table does (nf_conntrack_netlink.c, ctnetlink_dump_table).
"""

from __future__ import annotations

import socket
import struct
from collections import Counter

from orchestrator.system.netlink import HEADER, attributes
from orchestrator.tcp.conntrack import CONNTRACK_STATES

_NETLINK_NETFILTER = 12
_GET = 0x101
"""NFNL_SUBSYS_CTNETLINK with IPCTNL_MSG_CT_GET."""
_DUMP = 0x301
"""NLM_F_REQUEST and NLM_F_DUMP."""
_ERROR, _DONE = 2, 3
_BODY = HEADER.size + 4
"""Bytes: `struct nfgenmsg` stands between the header and the attributes."""
_BUFFER = 1 << 16

_PROTOINFO, _OF_TCP, _STATE = 4, 1, 1

_NOTHING = memoryview(b"")


class ConntrackTable:
    """The table of the network namespace in which it is made. Raises OSError where the kernel has no such thing."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._netlink.bind((0, 0))
        self._number = 0

    def close(self) -> None:
        self._netlink.close()

    def states(self) -> dict[str, int]:
        """State -> how many entries for TCP over IPv4 are in it. Raises OSError."""
        self._number += 1
        head = HEADER.pack(_BODY, _GET, _DUMP, self._number, 0)
        self._netlink.send(head + bytes([socket.AF_INET, 0, 0, 0]))
        found: Counter[str] = Counter()
        while True:
            view = memoryview(self._netlink.recv(_BUFFER))
            while len(view) >= HEADER.size:
                length, kind, _, number, _ = HEADER.unpack_from(view)
                if number == self._number:  # not the rest of a dump that failed
                    if kind == _DONE:
                        return dict(found)
                    if kind == _ERROR:
                        raise OSError(-struct.unpack_from("=i", view, HEADER.size)[0], "conntrack dump refused")
                    if (state := state_of(view[_BODY:length])) is not None:
                        found[state] += 1
                view = view[(length + 3) & ~3 or len(view) :]


def state_of(entry: memoryview) -> str | None:
    """The state of the entry that these attributes are; None for another protocol than TCP."""
    of_tcp = attributes(attributes(attributes(entry).get(_PROTOINFO, _NOTHING)).get(_OF_TCP, _NOTHING))
    number = of_tcp.get(_STATE, _NOTHING)
    return CONNTRACK_STATES[number[0]] if len(number) and number[0] < len(CONNTRACK_STATES) else None
