"""The requests that make a lab's network, to this kernel, in network namespaces that nobody else has."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from orchestrator.fabric import rtnetlink
from orchestrator.fabric.rtnetlink import Rtnetlink
from tests.support.netspace import in_netns

pytestmark = pytest.mark.netns


def test_more_pairs_than_fit_into_one_call() -> None:
    def body() -> None:
        netlink = Rtnetlink()
        netlink.do([rtnetlink.add_bridge("br0")])
        bridge = socket.if_nametoindex("br0")
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        netlink.do(
            [rtnetlink.add_veth(f"leg{n}", bridge, f"far{n}", here, bytes([2, 0, 0, 0, 0, n])) for n in range(150)]
        )
        names = {name for _, name in socket.if_nameindex()}
        assert {f"leg{n}" for n in range(150)} | {f"far{n}" for n in range(150)} <= names
        netlink.close()

    in_netns(body)


def test_one_that_is_refused_is_told_and_the_next_are_done() -> None:
    def body() -> None:
        netlink = Rtnetlink()
        netlink.do([rtnetlink.add_bridge("br0")])
        with pytest.raises(OSError, match="File exists") as told:
            netlink.do([rtnetlink.add_bridge("br1"), rtnetlink.add_bridge("br0"), rtnetlink.add_bridge("br2")])
        assert told.value.errno == errno.EEXIST
        netlink.do([rtnetlink.get(1)])  # its own answer, not one of those before
        assert {"br0", "br1", "br2"} <= {name for _, name in socket.if_nameindex()}

    in_netns(body)


def test_a_name_of_a_network_is_cut_at_what_the_kernel_takes() -> None:
    def body() -> None:
        netlink = Rtnetlink()
        netlink.do([rtnetlink.add_bridge("br0")])
        netlink.do([rtnetlink.bring_up(socket.if_nametoindex("br0"), "ä" * 200)])

    in_netns(body)
