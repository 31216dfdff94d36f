"""What the socket tables and counters show of a connection, and how it is to be read."""

from __future__ import annotations

import errno
import re
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from orchestrator.history.model import Socket
from tests.support.twonodes import PORT, Side, TwoNodes, close_by_client, deaf, only, states, until

pytestmark = pytest.mark.netns

_TCP_INFO_CLOSE_WAIT = 8


def recv_queues(end: Socket | None) -> list[int]:
    """Recv-Q as the samples saw it, change by change."""
    assert end is not None
    return [reading.recv_q for reading in end.queues]


# -- queues ------------------------------------------------------------------------------------------------------------


def test_recv_q_of_close_wait_counts_the_fin_until_it_is_read(nodes: TwoNodes) -> None:
    client, server = nodes.connected()
    nodes.see()
    server.close()
    nodes.client.await_states("CLOSE_WAIT")
    assert nodes.client.row("CLOSE_WAIT").recv_q == 1, "the application has not read the end of file"
    nodes.see()
    assert client.recv(16) == b""
    assert nodes.client.row("CLOSE_WAIT").recv_q == 0, "it has, and does not close"
    nodes.see()
    assert recv_queues(only(nodes.history()).client) == [0, 1, 0]


def test_recv_q_of_close_wait_counts_unread_data_too(nodes: TwoNodes) -> None:
    client, server = nodes.connected()
    nodes.see()
    client.send(b"request")
    client.close()
    nodes.server.await_states("CLOSE_WAIT")
    assert nodes.server.row("CLOSE_WAIT").recv_q == len(b"request") + 1, "it never read the request either"
    nodes.see()
    assert recv_queues(only(nodes.history()).server) == [0, 8]
    assert server.recv(16) == b"request"


def test_full_accept_queue_is_one_longer_than_the_backlog(nodes: TwoNodes) -> None:
    backlog = 2
    with nodes.server.listen(backlog=backlog):
        for waiting in range(1, backlog + 2):
            nodes.client.tcp().connect((nodes.server.address, PORT))
            nodes.server.await_states(*["ESTABLISHED"] * waiting)
        before = nodes.server.counter("ListenOverflows"), nodes.server.counter("ListenDrops")
        last = nodes.client.tcp()
        last.setblocking(False)
        assert last.connect_ex((nodes.server.address, PORT)) == errno.EINPROGRESS
        until(lambda: nodes.server.counter("ListenOverflows") > before[0])
        assert nodes.server.counter("ListenDrops") > before[1]
        assert nodes.client.row("SYN_SENT").send_q == 1, "its SYN"
        listening = nodes.server.row("LISTEN")
        assert (listening.recv_q, listening.send_q) == (backlog + 1, backlog)
        nodes.see()
        history = nodes.history()
    assert history.counters["server"]["ListenOverflows"][-1][1] > 0
    (queue,) = [one for one in history.sockets if states(one) == ["LISTEN"]]
    assert recv_queues(queue)[-1] == backlog + 1
    assert sorted(len(states(connection.client)) for connection in history.connections) == [1, 2, 2, 2]


def test_accept_may_return_a_socket_that_the_client_has_left(nodes: TwoNodes) -> None:
    with nodes.server.listen() as listener:
        client = nodes.client.tcp()
        client.connect((nodes.server.address, PORT))
        client.close()
        nodes.server.await_states("CLOSE_WAIT")
        accepted = nodes.server.accept(listener)
        state = struct.unpack("B", accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))
        assert state == (_TCP_INFO_CLOSE_WAIT,)
        assert accepted.recv(1) == b""
        history = nodes.history()
    assert states(only(history).server) == ["SYN_RECV", "ESTABLISHED", "CLOSE_WAIT"]
    assert only(history).closing.first_closer == "client"


# -- owners and timers -------------------------------------------------------------------------------------------------


def test_half_closed_socket_is_in_fin_wait2_with_owner_and_without_timer(nodes: TwoNodes) -> None:
    """It never ends, whatever tcp_fin_timeout says: that is for orphans."""
    nodes.client.set(tcp_fin_timeout=1)
    other, _ = nodes.connected()
    client, server = nodes.connected()
    other.close()
    client.shutdown(socket.SHUT_WR)
    nodes.client.await_states("FIN_WAIT2", "FIN_WAIT2")
    nodes.client.await_states("FIN_WAIT2")
    row = nodes.client.row("FIN_WAIT2")
    assert row.inode and row.timer is None, "the orphan is gone, the half-closed socket stays"
    server.send(b"still")
    assert client.recv(16) == b"still"
    history = nodes.history()
    orphan, full = (connection.client for connection in history.connections)
    assert orphan is not None and orphan.ended_by == "expired"
    assert full is not None and full.intervals[-1].last == history.ticks[-1]


def test_what_the_receiver_loses_shows_the_retransmit_timer(nodes: TwoNodes) -> None:
    client, server = nodes.connected()
    with deaf(server):
        client.send(b"lost")
        row = nodes.client.row("ESTABLISHED")
        assert (row.timer, row.send_q) == ("on", 4)


def test_what_never_leaves_the_sender_shows_the_persist_timer(nodes: TwoNodes) -> None:
    client, _ = nodes.connected()
    nodes.client.set_link(up=False)
    client.send(b"never sent")
    row = nodes.client.row("ESTABLISHED")
    assert (row.timer, row.send_q) == ("persist", 10)


def test_ss_writes_seconds_as_if_they_were_milliseconds(nodes: TwoNodes) -> None:
    """`timer:(timewait,4.940ms,0)` is 4.94 s. Netlink has the number."""
    nodes.client.set(tcp_fin_timeout=9)
    client, _ = nodes.connected()
    client.close()
    nodes.client.await_states("FIN_WAIT2")
    until(lambda: nodes.client.row("FIN_WAIT2").expires < 9)  # whole seconds are written as such
    text = ss(nodes.client, "-tano")
    after = nodes.client.row("FIN_WAIT2").expires
    match = re.search(r"timer:\(timewait,([\d.]+)(\w+),", text)
    assert match is not None, text
    assert match[2] == "ms"
    assert after <= float(match[1]) < 9


def test_ss_hides_listen_and_time_wait_by_default(nodes: TwoNodes) -> None:
    with nodes.server.listen() as listener:
        close_by_client(*nodes.connect(listener))
        nodes.client.await_states("TIME_WAIT")
        assert ss(nodes.client, "-tn") == ss(nodes.server, "-tn") == ""
        assert ss(nodes.client, "-tan").startswith("TIME-WAIT")
        assert ss(nodes.server, "-tan").startswith("LISTEN")


def ss(side: Side, options: str) -> str:
    with side.inside():
        return subprocess.run(["ss", f"{options}H"], capture_output=True, text=True, check=True).stdout


# -- counters and tables -----------------------------------------------------------------------------------------------


def test_sockstat_counts_orphans_in_fin_wait2_as_time_wait(nodes: TwoNodes) -> None:
    close_by_client(*nodes.connected())
    client, _ = nodes.connected()
    client.close()
    nodes.client.await_states("FIN_WAIT2", "TIME_WAIT")

    def counted() -> bool:
        match = re.search(r"^TCP: .* tw (\d+)", nodes.client.read("sockstat"), re.MULTILINE)
        return match is not None and match[1] == "2"

    until(counted)  # it is counted a moment after it is seen


def test_each_node_has_a_table_of_connections_of_its_own(nodes: TwoNodes) -> None:
    """A shared one is negative here; a dump would walk all of the machine's."""
    with nodes.client.inside():
        assert int(Path("/proc/sys/net/ipv4/tcp_ehash_entries").read_text()) > 0
