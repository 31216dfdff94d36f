"""RST, fact by fact: who sends one and when, what becomes of both ends, and what the history says of it."""

from __future__ import annotations

import errno
import socket

import pytest

from orchestrator.history.model import History
from tests.support.twonodes import PORT, TwoNodes, deaf, linger_zero, only, states

pytestmark = pytest.mark.netns

OPENED = ["SYN_SENT", "ESTABLISHED"]
ACCEPTED = ["SYN_RECV", "ESTABLISHED"]


def senders(history: History) -> list[str]:
    return [reset["node"] for reset in history.resets]


def assert_nothing_waits(nodes: TwoNodes) -> None:
    """No TIME_WAIT anywhere, nor anything else."""
    nodes.client.await_states()
    nodes.server.await_states()
    assert [side.counter("TW") for side in (nodes.client, nodes.server)] == [0, 0]


def assert_reset_by(closer: str, other: socket.socket, nodes: TwoNodes) -> None:
    """The other end reads `connection reset`, nothing waits anywhere, and the history says who sent the RST."""
    with pytest.raises(ConnectionResetError):
        other.recv(1)
    assert_nothing_waits(nodes)
    history = nodes.history()
    connection = only(history)
    assert (states(connection.client), states(connection.server)) == (OPENED, ACCEPTED)
    assert senders(history) == [closer]
    assert connection.closing.first_closer == closer
    assert connection.closing.kind == "rst"


@pytest.mark.parametrize("closer", ["client", "server"])
def test_close_with_unread_data_is_a_rst(nodes: TwoNodes, closer: str) -> None:
    """And the other one, which is ESTABLISHED, reads `connection reset`."""
    client, server = nodes.connected()
    own, other = (client, server) if closer == "client" else (server, client)
    other.send(b"never read")
    own.recv(1, socket.MSG_PEEK)
    own.close()
    assert_reset_by(closer, other, nodes)


@pytest.mark.parametrize("closer", ["client", "server"])
def test_so_linger_zero_makes_close_a_rst(nodes: TwoNodes, closer: str) -> None:
    client, server = nodes.connected()
    own, other = (client, server) if closer == "client" else (server, client)
    linger_zero(own)
    own.close()
    assert_reset_by(closer, other, nodes)


def test_rst_in_close_wait(nodes: TwoNodes) -> None:
    """The server sent its FIN first and its RST later: its FIN closed the connection."""
    client, server = nodes.connected()
    client.send(b"never read")
    server.shutdown(socket.SHUT_WR)
    nodes.server.await_states("FIN_WAIT2")
    linger_zero(server)
    server.close()
    nodes.client.await_states()
    assert client.recv(1) == b"", "the FIN was there before"
    with pytest.raises(BrokenPipeError):
        client.send(b"more")
    assert_nothing_waits(nodes)
    history = nodes.history()
    connection = only(history)
    assert states(connection.client) == [*OPENED, "CLOSE_WAIT"]
    assert states(connection.server) == [*ACCEPTED, "FIN_WAIT1", "FIN_WAIT2"]
    assert senders(history) == ["server"]
    assert connection.closing.first_closer == "server" and connection.closing.kind == "fin"


def test_end_in_close_wait_that_has_unread_data_answers_the_fin_with_a_rst(nodes: TwoNodes) -> None:
    client, server = nodes.connected()
    client.send(b"never read")
    client.close()
    nodes.client.await_states("FIN_WAIT2")
    server.close()
    nodes.client.await_states()
    nodes.server.await_states()
    assert nodes.client.counter("TW") == 1, "an orphan's minisocket is counted like a TIME_WAIT"
    history = nodes.history()
    connection = only(history)
    assert states(connection.client) == [*OPENED, "FIN_WAIT1", "FIN_WAIT2"]
    assert states(connection.server) == [*ACCEPTED, "CLOSE_WAIT"]
    assert connection.client is not None and connection.client.ended_by == "reset", "the orphan was killed"
    assert senders(history) == ["server"]
    assert connection.closing.first_closer == "client"


def test_listener_that_closes_resets_those_whom_nobody_accepted(nodes: TwoNodes) -> None:
    listener = nodes.server.listen()
    client = nodes.client.tcp()
    client.connect((nodes.server.address, PORT))
    nodes.server.await_states("ESTABLISHED")
    listener.close()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert_nothing_waits(nodes)
    history = nodes.history()
    connection = only(history)
    assert (states(connection.client), states(connection.server)) == (OPENED, ACCEPTED)
    assert senders(history) == ["server"]
    assert connection.closing.first_closer == "server"


# -- connections that never came to be ---------------------------------------------------------------------------------


def test_refused(nodes: TwoNodes) -> None:
    """A RST in SYN_SENT, sent by no socket."""
    client = nodes.client.tcp()
    with pytest.raises(ConnectionRefusedError):
        client.connect((nodes.server.address, PORT))
    assert_nothing_waits(nodes)
    assert nodes.client.counter("AttemptFails") == 1
    history = nodes.history()
    connection = only(history)
    assert states(connection.client) == ["SYN_SENT"]
    assert connection.server is None and connection.server_node == "server"
    assert senders(history) == ["server"]
    assert connection.closing.first_closer == "server"
    assert connection.client is not None and connection.client.unknown[-1].before < history.ticks[-1]


def test_nobody_answers(nodes: TwoNodes) -> None:
    """Each SYN is sent again, then the kernel gives up: no RST, and no connection on the other side."""
    with nodes.server.listen() as listener, deaf(listener):
        client = nodes.client.tcp()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 1)
        with pytest.raises(OSError) as raised:
            client.connect((nodes.server.address, PORT))
        assert raised.value.errno == errno.ETIMEDOUT
        assert_nothing_waits(nodes)
        history = nodes.history()
    connection = only(history)
    assert states(connection.client) == ["SYN_SENT"]
    assert connection.server is None
    assert connection.closing.first_closer is None
    assert history.resets == ()
    again = nodes.lines("retransmit")
    assert {(line["node"], line["state"]) for line in again} == {("client", "SYN_SENT")}
    assert len(again) == nodes.client.counter("RetransSegs")


def test_client_that_gives_up_while_nobody_answers(nodes: TwoNodes) -> None:
    """close() in SYN_SENT says nothing to anybody."""
    with nodes.server.listen() as listener, deaf(listener):
        client = nodes.client.tcp()
        client.setblocking(False)
        assert client.connect_ex((nodes.server.address, PORT)) == errno.EINPROGRESS
        nodes.client.await_states("SYN_SENT")
        client.close()
        assert_nothing_waits(nodes)
        history = nodes.history()
    assert states(only(history).client) == ["SYN_SENT"]
    assert history.resets == ()
