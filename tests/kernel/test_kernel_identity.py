"""Which socket, and whose: what the kernel's trace says of identity, what it leaves out, and the way round that."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from orchestrator.observe.sources.counters import Counters
from orchestrator.observe.sources.sockdiag import SockDiag
from tests.support.netspace import in_netns
from tests.support.twonodes import (
    IPPROTO_MPTCP,
    PORT,
    TwoNodes,
    assassinate,
    close_by_client,
    cookie_of,
    deaf,
    only,
    states,
    time_wait_on_client,
    two_nodes,
    until,
)

pytestmark = pytest.mark.netns


def test_syn_sent_is_reported_without_a_port(nodes: TwoNodes) -> None:
    """So a socket is known by its kernel address, not by its address pair."""
    client, _ = nodes.connected()
    local = f"{nodes.client.address}:{client.getsockname()[1]}"
    history = nodes.history()
    first, second = [line for line in nodes.lines("state") if line["node"] == "client"]
    assert (first["new"], first["local"]) == ("SYN_SENT", f"{nodes.client.address}:0")
    assert (second["new"], second["local"]) == ("ESTABLISHED", local)
    assert first["a"] == second["a"]
    end = only(history).client
    assert end is not None and end.local == local


def test_kernel_addresses_are_used_again_and_connections_stay_apart(nodes: TwoNodes) -> None:
    count = 200
    with nodes.server.listen() as listener:
        for _ in range(count):
            close_by_client(*nodes.connect(listener))
    nodes.server.await_states()
    history = nodes.history()
    for node in ("client", "server"):
        assert len({line["a"] for line in nodes.lines("state") if line["node"] == node}) < count
    assert len(history.connections) == count
    for connection in history.connections:
        assert states(connection.client) == ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"]
        assert states(connection.server) == ["SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK"]


def test_cookie_joins_socket_table_trace_and_minisocket(nodes: TwoNodes) -> None:
    client, server = nodes.connected()
    cookie = cookie_of(client)
    assert nodes.client.row("ESTABLISHED").sk == cookie
    close_by_client(client, server)
    nodes.client.await_states("TIME_WAIT")
    assert nodes.client.row("TIME_WAIT").sk == cookie
    history = nodes.history()
    assert [line["sk"] for line in nodes.lines("destroy") if line["node"] == "client"] == [cookie]
    end = only(history).client
    assert end is not None and end.sk == cookie


def test_cookie_that_nobody_read_before_close_is_not_the_minisockets(nodes: TwoNodes) -> None:
    """Each is given one when it is first looked at. The history joins the two by their address pair."""
    nodes.sample(on=False)  # a look at the table makes cookies too
    close_by_client(*nodes.connected(cookie=False))
    nodes.client.await_states("TIME_WAIT")
    cookie = nodes.client.row("TIME_WAIT").sk
    history = nodes.history()
    (destroyed,) = [line["sk"] for line in nodes.lines("destroy") if line["node"] == "client"]
    assert destroyed != cookie
    assert states(only(history).client)[-1] == "TIME_WAIT"
    assert len(history.sockets) == 2


def test_minisocket_of_a_stranger_at_the_same_kernel_address(nodes: TwoNodes) -> None:
    """The kernel uses the memory of a TIME_WAIT that a RST killed for the next minisocket of the whole machine: what
    becomes of that one is not the story of the first."""
    with one_cpu():  # each has free memory of its own
        port = time_wait_on_client(nodes)
        assassin = assassinate(nodes, port)
        nodes.client.await_states()
        in_netns(strangers)
    assassin.close()
    nodes.see()
    history = nodes.history()
    pair = f"{nodes.client.address}:{port}"
    assert [line["what"] for line in nodes.lines("minisocket") if line["local"] == pair] == ["born"]
    (victim,) = [one for one in history.sockets if one.local == pair and states(one)[0] == "SYN_SENT"]
    assert victim.ended_by == "reset"


def strangers() -> None:
    """Forty orphans of a namespace that is no node, from the first to the end of the last."""
    Path("/proc/sys/net/ipv4/tcp_fin_timeout").write_text("1")
    table = SockDiag()
    with closing(table), socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        for _ in range(40):
            socket.create_connection(listener.getsockname()).close()
        until(lambda: sum(row.state == "FIN_WAIT2" for row in table.rows()) == 0, "their time is over")


def test_rst_of_a_strangers_listener_is_not_ours(nodes: TwoNodes) -> None:
    """One that a listening socket sends bears that socket's addresses: every address, its port and no peer."""
    in_netns(stranger_resets)
    nodes.server.set(tcp_max_tw_buckets=0)
    with nodes.server.listen() as listener:
        client, server = nodes.connect(listener)
        server.close()
        assert client.recv(1) == b""
        nodes.server.await_states()
        client.close()
        nodes.client.await_states()
        history = nodes.history()
    (reset,) = history.resets
    last_ack = only(history).client
    assert last_ack is not None and states(last_ack)[-1] == "LAST_ACK"
    assert reset["node"] == "server"
    assert last_ack.intervals[-1].first <= reset["t"] <= last_ack.intervals[-1].last + 1e-3


def stranger_resets() -> None:
    """In a namespace that is no node a FIN meets a listening socket: with no room for an orphan there is none."""
    Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("0")
    with socket.socket() as listener:
        listener.bind(("", PORT))
        listener.listen()
        client = socket.create_connection(("127.0.0.1", PORT))
        listener.accept()[0].close()
        with closing(SockDiag()) as table, closing(Counters()) as counters:
            until(lambda: sorted(row.state for row in table.rows()) == ["CLOSE_WAIT", "LISTEN"])
            client.close()
            until(lambda: counters.changes(all_groups=False).get("OutRsts") == 1)


@contextmanager
def one_cpu() -> Iterator[None]:
    """This thread, and those that it starts, on one processor."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usual)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def test_orphan_that_an_earlier_lab_left_is_no_part_of_this_one(as_root: None, tmp_path: Path) -> None:
    """Its namespace lives until its FIN is acknowledged or given up, and its address may be another node's by then."""
    for lab in ("earlier", "later"):
        (tmp_path / lab).mkdir()
    with two_nodes(tmp_path / "earlier") as nodes:
        client, server = nodes.connected()
        with deaf(server):
            client.close()
        assert nodes.client.states() == ["FIN_WAIT1"]
    with two_nodes(tmp_path / "later") as nodes:
        nodes.see(ticks=50)  # it is sent again after 0.2, 0.6, 1.4 and 3 s
        history = nodes.history()
    assert history.connections == ()
    found = nodes.lines("state", "retransmit", "rst", "minisocket")
    assert found == [], found


def test_mptcp_shares_the_event_and_is_left_out(nodes: TwoNodes) -> None:
    """An MPTCP socket reports its own states beside those of the TCP socket below it."""
    try:
        listener = nodes.server.listen(protocol=IPPROTO_MPTCP)
    except OSError as error:
        pytest.skip(f"this kernel has no MPTCP: {error.strerror}")
    with listener:
        client = nodes.client.tcp(protocol=IPPROTO_MPTCP)
        client.connect((nodes.server.address, PORT))
        server = nodes.server.accept(listener)
        client.send(b"request")
        assert server.recv(16) == b"request"
        history = nodes.history()
    assert (states(only(history).client), states(only(history).server)) == (
        ["SYN_SENT", "ESTABLISHED"],
        ["SYN_RECV", "ESTABLISHED"],
    )
    assert len(nodes.lines("state")) == 4


def test_listener_on_an_address_of_its_own(nodes: TwoNodes) -> None:
    """One on every address has no node in the trace; this one has, and is no connection."""
    with nodes.server.listen(address=nodes.server.address) as listener:
        close_by_client(*nodes.connect(listener))
        nodes.server.await_states()
        nodes.see()
    nodes.see()
    history = nodes.history()
    assert states(only(history).client)[-1] == "TIME_WAIT"
    assert states(only(history).server)[-1] == "LAST_ACK"
    (other,) = [one for one in history.sockets if one not in (only(history).client, only(history).server)]
    assert states(other) == ["LISTEN"]
    assert other.intervals[-1].last < history.ticks[-1]


def test_what_a_node_says_to_itself_does_not_spoil_the_rest(nodes: TwoNodes) -> None:
    """127.0.0.1 is every node's: its sockets are nobody's in the trace, but its node's kernel counts them."""
    with nodes.client.listen(address="127.0.0.1") as listener:
        own = nodes.client.tcp()
        own.connect(listener.getsockname())
        nodes.client.accept(listener).close()
        own.close()
    close_by_client(*nodes.connected())
    nodes.server.await_states()
    history = nodes.history()
    (connection,) = [one for one in history.connections if one.server_node == "server"]
    assert states(connection.client)[-1] == "TIME_WAIT"
