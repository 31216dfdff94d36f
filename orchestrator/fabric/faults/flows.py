"""All that the conntrack table of a node has is flushed, over netlink, as by `conntrack -F`.

Runs inside the probe, beside `wiring`. Source: linux/netfilter/nfnetlink_conntrack.h,
net/netfilter/nf_conntrack_netlink.c (ctnetlink_flush_conntrack).
"""

from __future__ import annotations

import os
import socket
import struct

from orchestrator.fabric.faults.base import Fault
from orchestrator.system.linux import inside_netns
from orchestrator.system.netlink import HEADER
from orchestrator.text.record import record

_NETFILTER = 12
_DELETE = 1 << 8 | 2
"""NFNL_SUBSYS_CTNETLINK with IPCTNL_MSG_CT_DELETE: without a tuple it is about all entries."""
_REQUEST, _ACK = 0x1, 0x4
_ERROR = 2
_FAMILY = struct.Struct("=BBH")
_CODE = struct.Struct("=i")


@record
class Settings:
    """There is nothing to choose."""


class Flows(Fault[Settings]):
    """What was forgotten stays so: there is nothing to heal."""

    name = "flows"
    settings = Settings

    def apply(self, node: str, settings: Settings) -> None:
        with inside_netns(self.wired.netns[node], self.wired.home):
            flush()

    def heal(self, node: str, settings: Settings) -> None:
        return


def flush() -> None:
    """Of the current network namespace. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER) as netlink:
        netlink.settimeout(30)
        netlink.send(
            HEADER.pack(HEADER.size + _FAMILY.size, _DELETE, _REQUEST | _ACK, 1, 0)
            + _FAMILY.pack(socket.AF_UNSPEC, 0, 0)
        )
        answer = netlink.recv(4096)
    _, kind, *_ = HEADER.unpack_from(answer)
    code = -_CODE.unpack_from(answer, HEADER.size)[0] if kind == _ERROR else 0
    if code:
        raise OSError(code, os.strerror(code))
