"""The segments that open and close connections, taken from the network between two namespaces: the real kernel's."""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path

import pytest

from orchestrator.observe.sources.segments import Segments
from orchestrator.recording.events import Event
from orchestrator.system.linux import CLONE_NEWNET, setns, unshare
from tests.support.netspace import in_netns

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("as_root")]

NODES = {"left": "198.18.0.1", "right": "198.18.0.2"}


class Two:
    """Two namespaces, each with one interface in a bridge of a third, which is the current one."""

    def __init__(self) -> None:
        from pyroute2 import IPRoute

        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.namespaces = {}
        with IPRoute() as ip:
            ip.link("add", ifname="br0", kind="bridge")
            bridge = ip.link_lookup(ifname="br0")[0]
            ip.link("set", index=bridge, state="up")
            for name in NODES:
                unshare(CLONE_NEWNET)
                self.namespaces[name] = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
                setns(home, CLONE_NEWNET)
                inside = {"ifname": "eth0", "net_ns_fd": self.namespaces[name]}
                ip.link("add", ifname=f"to-{name}", kind="veth", master=bridge, state="up", peer=inside)
        for name, address in NODES.items():
            setns(self.namespaces[name], CLONE_NEWNET)
            Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
            with IPRoute() as ip:
                index = ip.link_lookup(ifname="eth0")[0]
                ip.addr("add", index=index, address=address, prefixlen=24)
                ip.link("set", index=index, state="up")
        setns(home, CLONE_NEWNET)
        self.home = home

    def open(self, name: str) -> socket.socket:
        setns(self.namespaces[name], CLONE_NEWNET)
        made = socket.socket()
        setns(self.home, CLONE_NEWNET)
        return made

    def listen(self, name: str) -> socket.socket:
        listening = self.open(name)
        listening.bind((NODES[name], 8080))
        listening.listen()
        return listening

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Left calls right: their ends."""
        listening = self.listen("right")
        calling = self.open("left")
        calling.settimeout(20)
        calling.connect((NODES["right"], 8080))
        accepted, _ = listening.accept()
        listening.close()
        accepted.settimeout(20)
        return calling, accepted


def lines(act: str) -> list[Event]:
    def body() -> list[Event]:
        two = Two()
        segments = Segments({f"to-{name}": name for name in NODES}, time.monotonic())
        left, right = two.connect()
        match act:
            case "data, then right closes":
                left.sendall(b"x" * 100)
                assert right.recv(200)
                right.close()
                assert left.recv(10) == b""
                left.close()
            case "unread data":
                left.sendall(b"x")
                while not right.recv(1, socket.MSG_PEEK):
                    pass
                right.close()
                with pytest.raises(ConnectionResetError):
                    left.recv(10)
            case "linger 0":
                left.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                left.close()
                with pytest.raises(ConnectionResetError):
                    right.recv(10)
        found = segments.finish()
        left.close()
        right.close()
        return found

    return in_netns(body)


def test_a_connection_from_syn_to_fin_by_its_senders() -> None:
    *segments, last = lines("data, then right closes")
    assert [(one["node"], one["flags"]) for one in segments] == [
        ("left", "S"),
        ("right", "S."),
        ("right", "F."),
        ("left", "F."),
    ]
    syn, answer, first, second = segments
    assert (syn["local"].rpartition(":")[0], syn["peer"]) == ("198.18.0.1", "198.18.0.2:8080")
    assert (answer["local"], answer["peer"]) == (syn["peer"], syn["local"])
    assert answer["ack"] == (syn["seq"] + 1) % 2**32
    assert first["ack"] == (syn["seq"] + 101) % 2**32, "100 bytes had been received"
    assert second["ack"] == (first["seq"] + 1) % 2**32
    assert [one["len"] for one in segments] == [0, 0, 0, 0]
    times = [one["t"] for one in segments]
    assert times == sorted(times)
    assert -0.001 < times[0] < 20
    assert (last["ev"], last["count"], last["lost"]) == ("segments", 4, 0)


@pytest.mark.parametrize(("act", "sender"), [("unread data", "right"), ("linger 0", "left")])
def test_a_rst_by_its_sender(act: str, sender: str) -> None:
    found = [(one["node"], one["flags"]) for one in lines(act) if one["ev"] == "segment"]
    assert found == [("left", "S"), ("right", "S."), (sender, "R.")]
