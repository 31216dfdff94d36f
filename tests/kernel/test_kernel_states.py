"""What becomes of a closed connection, fact by fact: the kernel of this machine against what the history says of it.

`sock:inet_sock_set_state` never says TIME_WAIT, and FIN_WAIT2 -> CLOSE has four meanings: each has its test here.
"""

from __future__ import annotations

import socket

import pytest

from tests.support.twonodes import TwoNodes, only, states

pytestmark = pytest.mark.netns

ACTIVE = ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2"]
PASSIVE = ["SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK"]


# -- the four meanings of FIN_WAIT2 -> CLOSE ---------------------------------------------------------------------------


def test_time_wait_is_never_reported_and_known_all_the_same(nodes: TwoNodes) -> None:
    """First meaning: a full socket in FIN_WAIT2 gets the peer's FIN."""
    client, server = nodes.connected()
    client.shutdown(socket.SHUT_WR)
    nodes.client.await_states("FIN_WAIT2")
    server.close()
    nodes.client.await_states("TIME_WAIT")
    connection = only(nodes.history())
    assert states(connection.client) == [*ACTIVE, "TIME_WAIT"]
    assert states(connection.server) == PASSIVE
    assert _reported(nodes, "client") == [*ACTIVE, "CLOSED"]


def test_orphan_in_fin_wait2_is_reported_closed_and_lives_on(nodes: TwoNodes) -> None:
    """Second meaning: close() turns the full socket into a minisocket in FIN_WAIT2. The peer does not end it."""
    client, _ = nodes.connected()
    client.close()
    nodes.client.await_states("FIN_WAIT2")
    orphan = nodes.client.row("FIN_WAIT2")
    assert (orphan.timer, orphan.inode) == ("timewait", 0)
    nodes.see()
    history = nodes.history()
    end = only(history).client
    assert states(end) == ACTIVE
    assert end is not None and end.intervals[-1].last == history.ticks[-1], "it was there to the end"
    assert _reported(nodes, "client") == [*ACTIVE, "CLOSED"]


def test_fin_timeout_of_a_full_socket(nodes: TwoNodes) -> None:
    """Third meaning. Only with tcp_fin_timeout above 60 s is an orphan a full socket first, for what is above; its time
    is over when the setting has gone below meanwhile."""
    nodes.client.set(tcp_fin_timeout=61)
    client, _ = nodes.connected()
    client.close()
    nodes.client.await_states("FIN_WAIT2")
    assert nodes.client.row("FIN_WAIT2").timer == "keepalive"
    nodes.client.set(tcp_fin_timeout=60)
    nodes.client.await_states()
    nodes.server.await_states()
    history = nodes.history()
    end = only(history).client
    assert states(end) == ACTIVE
    assert end is not None and end.intervals[-1].last - end.intervals[-1].first >= 1 - 1e-6
    assert states(only(history).server) == PASSIVE[:3]
    assert [reset["node"] for reset in history.resets] == ["client"]
    assert only(history).closing.first_closer == "client" and only(history).closing.kind == "fin", "its FIN was first"


def test_rst_in_fin_wait2(nodes: TwoNodes) -> None:
    """Fourth meaning."""
    client, server = nodes.connected()
    client.send(b"never read")
    client.shutdown(socket.SHUT_WR)
    nodes.client.await_states("FIN_WAIT2")
    server.close()
    nodes.client.await_states()
    history = nodes.history()
    assert states(only(history).client) == ACTIVE
    assert states(only(history).server) == PASSIVE[:3]
    assert [reset["node"] for reset in history.resets] == ["server"]
    assert _reported(nodes, "client") == [*ACTIVE, "CLOSED"]


# -- the life of a minisocket ------------------------------------------------------------------------------------------


def test_orphan_turns_to_time_wait_when_the_peer_closes(nodes: TwoNodes) -> None:
    """Nothing reports it: with the default tcp_fin_timeout the timer stays in its slot. The peer's FIN tells."""
    client, server = nodes.connected()
    client.close()
    nodes.client.await_states("FIN_WAIT2")
    nodes.see()
    server.close()
    nodes.client.await_states("TIME_WAIT")
    connection = only(nodes.history())
    assert states(connection.client) == [*ACTIVE, "TIME_WAIT"]
    assert connection.client is not None and connection.server is not None
    last_ack = connection.server.intervals[-1]
    assert last_ack.first <= connection.client.intervals[-1].first <= last_ack.last + 1e-3


@pytest.mark.parametrize("closer", ["client", "server"])
def test_peer_that_closes_after_the_orphan_is_gone_gets_a_rst(nodes: TwoNodes, closer: str) -> None:
    """The orphan's time is tcp_fin_timeout. Then TIME_WAIT lands nowhere. A FIN that meets the server meets a socket
    that listens, one that meets the client meets none."""
    own, other = (nodes.client, nodes.server) if closer == "client" else (nodes.server, nodes.client)
    own.set(tcp_fin_timeout=1)
    with nodes.server.listen() as listener:
        ends = dict(zip(("client", "server"), nodes.connect(listener), strict=True))
        ends[closer].close()
        own.await_states("FIN_WAIT2")
        own.await_states()
        assert other.states() == ["CLOSE_WAIT"], "for ever, as far as its kernel is concerned"
        ends[other.name].close()
        other.await_states()
        history = nodes.history()
    connection = only(history)
    active, passive = connection.client, connection.server
    if closer == "server":
        active, passive = passive, active
    assert states(active)[1:] == ACTIVE[1:]
    assert states(passive)[1:] == PASSIVE[1:]
    assert active is not None and active.ended_by == "expired"
    assert active.intervals[-1].last - active.intervals[-1].first >= 1 - 1e-6, "Linux timers are never early"
    assert [line["what"] for line in nodes.lines("minisocket")] == ["born", "expired"]
    assert connection.closing.first_closer == closer
    assert [reset["node"] for reset in history.resets] == [closer]


def test_peer_that_writes_to_an_orphan_kills_it_with_the_rst_that_it_gets(nodes: TwoNodes) -> None:
    """And the client's program is told: end of file, a first write that is well, a broken pipe at the second."""
    client, server = nodes.connected()
    server.close()
    nodes.server.await_states("FIN_WAIT2")
    assert client.recv(1) == b""
    client.send(b"a request on a stale connection")
    nodes.client.await_states()
    nodes.server.await_states()
    with pytest.raises(BrokenPipeError):
        client.send(b"more")
    nodes.see()
    history = nodes.history()
    connection = only(history)
    assert states(connection.client) == ["SYN_SENT", *PASSIVE[1:3]]
    assert states(connection.server) == ["SYN_RECV", *ACTIVE[1:]]
    assert connection.server is not None
    assert connection.server.intervals[-1].last < history.ticks[-1], "the RST was the end of it"
    assert [reset["node"] for reset in history.resets] == ["server"]
    assert connection.closing.first_closer == "server"


def test_simultaneous_close_leaves_time_wait_on_both(nodes: TwoNodes) -> None:
    client, server = nodes.connected()
    nodes.client.hold(nodes.server)
    nodes.server.hold(nodes.client)
    client.close()
    server.close()
    assert (nodes.client.states(), nodes.server.states()) == (["FIN_WAIT1"], ["FIN_WAIT1"])
    nodes.client.release()
    nodes.server.release()
    nodes.client.await_states("TIME_WAIT")
    nodes.server.await_states("TIME_WAIT")
    connection = only(nodes.history())
    assert states(connection.client) == ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "CLOSING", "TIME_WAIT"]
    assert states(connection.server) == ["SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "CLOSING", "TIME_WAIT"]
    assert connection.closing.first_closer is None


def _reported(nodes: TwoNodes, node: str) -> list[str]:
    """What the kernel's event said of the states of a node's only socket."""
    return [line["new"] for line in nodes.lines("state") if line["node"] == node]
