"""How TIME_WAIT ends before its time, is taken over, or is skipped, and what the history says of it."""

from __future__ import annotations

import errno
import socket

import pytest

from tests.support.twonodes import PORT, TwoNodes, assassinate, states, time_wait_on_client, until

pytestmark = pytest.mark.netns

ACTIVE = ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2"]
PASSIVE = ["SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK"]


def test_rst_kills_time_wait(nodes: TwoNodes) -> None:
    port = time_wait_on_client(nodes)
    intruder = assassinate(nodes, port)
    nodes.client.await_states()
    intruder.close()
    nodes.see()
    history = nodes.history()
    (victim,) = [one for one in history.sockets if one.node == "client" and states(one)[0] == "SYN_SENT"]
    assert states(victim) == [*ACTIVE, "TIME_WAIT"]
    assert victim.ended_by == "reset"
    assert victim.unknown[-1].before - victim.unknown[-1].after < 1e-6
    assert victim.unknown[-1].before == pytest.approx(history.resets[0]["t"], abs=1e-3)


def test_rst_does_not_kill_time_wait_with_rfc1337(nodes: TwoNodes) -> None:
    nodes.client.set(tcp_rfc1337=1)
    port = time_wait_on_client(nodes)
    before = nodes.client.counter("InSegs")
    intruder = assassinate(nodes, port)
    until(lambda: nodes.client.counter("InSegs") >= before + 2, "the SYN and the RST have come")
    intruder.close()
    assert nodes.client.states() == ["TIME_WAIT"]
    nodes.see(ticks=6)
    history = nodes.history()
    assert [reset["node"] for reset in history.resets] == ["server"]
    (survivor,) = [one for one in history.sockets if one.node == "client" and states(one)[0] == "SYN_SENT"]
    assert states(survivor) == [*ACTIVE, "TIME_WAIT"]
    assert (survivor.ended_by, survivor.intervals[-1].last) == (None, history.ticks[-1])


# -- what becomes of the address pair ----------------------------------------------------------------------------------


def test_new_syn_takes_time_wait_over(nodes: TwoNodes) -> None:
    with nodes.server.listen() as listener:
        client, server = nodes.connect(listener)
        address = client.getsockname()
        server.close()
        nodes.server.await_states("FIN_WAIT2")
        client.close()
        nodes.server.await_states("TIME_WAIT")
        again = nodes.client.tcp()
        again.bind(address)
        again.connect((nodes.server.address, PORT))
        nodes.server.accept(listener)
        nodes.server.await_states("ESTABLISHED")
        history = nodes.history()
    first, second = history.connections
    assert states(first.server) == ["SYN_RECV", *ACTIVE[1:], "TIME_WAIT"]
    assert first.server is not None and first.server.ended_by == "reused"
    assert (states(second.client), states(second.server)) == (ACTIVE[:2], PASSIVE[:2])
    assert second.opened[0] <= first.server.unknown[-1].before <= second.opened[1] + 1e-3


def test_client_reuses_its_own_time_wait_after_a_second(nodes: TwoNodes) -> None:
    nodes.client.set(tcp_tw_reuse=1, ip_local_port_range="40000 40000")
    with nodes.server.listen() as listener:
        client, server = nodes.connect(listener)
        client.close()
        server.close()
        nodes.client.await_states("TIME_WAIT")
        nodes.server.await_states()
        until(lambda: _connects(nodes), "tcp_tw_reuse", every=0.1)
        nodes.server.accept(listener)
        history = nodes.history()
    first, second = [one for one in history.connections if one.server is not None]
    assert states(first.client) == [*ACTIVE, "TIME_WAIT"]
    assert first.client is not None and first.client.ended_by == "reused"
    assert first.client.intervals[-1].last < history.ticks[-1]
    assert states(second.client) == ["SYN_SENT", "ESTABLISHED"]


def _connects(nodes: TwoNodes, address: str = "") -> bool:
    try:
        nodes.client.tcp().connect((address or nodes.server.address, PORT))
    except OSError as error:
        assert error.errno == errno.EADDRNOTAVAIL
        return False
    return True


def test_reuse_by_default_is_for_loopback_only(nodes: TwoNodes) -> None:
    """tcp_tw_reuse is 2: what is measured on 127.0.0.1 is not what happens between two machines."""
    nodes.client.set(ip_local_port_range="40000 40000")
    with nodes.server.listen() as far, nodes.client.listen(address="127.0.0.1") as near:
        for listener, address in ((far, nodes.server.address), (near, "127.0.0.1")):
            one = nodes.client.tcp()
            one.connect((address, PORT))
            accepted = nodes.client.accept(listener)
            one.close()
            accepted.close()
        nodes.client.await_states("TIME_WAIT", "TIME_WAIT")
        until(lambda: _connects(nodes, "127.0.0.1"), "tcp_tw_reuse on loopback", every=0.1)
        assert not _connects(nodes), "though its TIME_WAIT is older"


def test_time_wait_sockets_are_fewer_than_closes_when_ports_repeat(nodes: TwoNodes) -> None:
    """The counter tells the closes, the table what is left of them."""
    ports, closes = 20, 60
    nodes.client.set(ip_local_port_range=f"40000 {40000 + ports - 1}")
    with nodes.server.listen() as listener:
        for _ in range(closes):
            client, server = nodes.connect(listener)
            server.close()
            assert client.recv(1) == b""
            client.close()
            until(lambda: set(nodes.server.states()) == {"TIME_WAIT"})
        assert nodes.server.counter("TW") == closes
        left = len(nodes.server.states())
        assert left <= ports
        history = nodes.history()
    ends = [connection.server for connection in history.connections]
    assert len(ends) == closes
    assert all(states(end)[-1] == "TIME_WAIT" for end in ends)
    assert sum(end is not None and end.ended_by == "reused" for end in ends) == closes - left


def test_over_tcp_max_tw_buckets_time_wait_is_skipped(nodes: TwoNodes) -> None:
    nodes.client.set(tcp_max_tw_buckets=1)
    time_wait_on_client(nodes)
    client, server = nodes.connected()
    client.shutdown(socket.SHUT_WR)
    nodes.client.await_states("FIN_WAIT2", "TIME_WAIT")
    server.close()
    nodes.client.await_states("TIME_WAIT")
    assert nodes.client.counter("TCPTimeWaitOverflow") == 1
    nodes.see()
    history = nodes.history()
    first, second = history.connections
    assert states(first.client) == [*ACTIVE, "TIME_WAIT"]
    assert states(second.client) == ACTIVE
    assert second.client is not None and second.client.intervals[-1].last < history.ticks[-1]
    assert history.counters["client"]["TCPTimeWaitOverflow"][-1][1] == 1


def test_over_tcp_max_tw_buckets_an_orphan_ends_at_once(nodes: TwoNodes) -> None:
    """Its peer's FIN meets nobody, as if the time of the orphan were over."""
    nodes.client.set(tcp_max_tw_buckets=1)
    time_wait_on_client(nodes)
    client, server = nodes.connected()
    client.close()
    nodes.server.await_states("CLOSE_WAIT")
    nodes.client.await_states("TIME_WAIT")
    server.close()
    nodes.server.await_states()
    history = nodes.history()
    second = history.connections[1]
    assert states(second.client) == ACTIVE
    assert states(second.server) == PASSIVE
    assert [reset["node"] for reset in history.resets] == ["client"]
