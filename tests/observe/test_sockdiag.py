"""The socket table over netlink, against real sockets and against what ss prints of the same sockets."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from random import Random

import pytest

from orchestrator.observe.sources.counters import Counters
from orchestrator.observe.sources.counters import parse as parse_counters
from orchestrator.observe.sources.sockdiag import SockDiag, SocketRow, sk_of
from tests.support.netspace import in_netns

pytestmark = pytest.mark.netns


def _listener(backlog: int = 16) -> socket.socket:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(backlog)
    return server


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the kernel did not get there"
        time.sleep(0.002)


def _states(rows: list[SocketRow]) -> list[str]:
    return sorted(row.state.value for row in rows)


def test_the_idle_close_story_row_by_row() -> None:
    def story() -> None:
        table = SockDiag()
        with _listener() as server:
            client = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
            first = table.changes()
            assert _states(first.rows) == ["ESTABLISHED", "ESTABLISHED", "LISTEN"]
            assert table.changes().rows == []

            accepted.close()
            _until(lambda: "CLOSE_WAIT" in _states(table.rows()) and "FIN_WAIT2" in _states(table.rows()))
            rows = {row.state.value: row for row in table.changes().rows}
            assert rows["CLOSE_WAIT"].recv_q == 1, "the unread FIN counts 1"
            assert rows["CLOSE_WAIT"].inode == client.fileno() or rows["CLOSE_WAIT"].inode > 0
            assert rows["FIN_WAIT2"].timer == "timewait"
            assert rows["FIN_WAIT2"].inode == 0, "an orphan belongs to nobody"

            client.close()
            _until(lambda: "TIME_WAIT" in _states(table.rows()))
            last = table.changes()
            assert _states(last.rows) == ["TIME_WAIT"]
            assert len(last.gone) == 1

            # The cookie names the socket from its birth to its minisocket.
            end = {row.local: row.sk for row in first.rows if row.state == "ESTABLISHED"}
            assert last.rows[0].sk == end[last.rows[0].local]

    in_netns(story)


def test_what_went_over_a_connection_is_told_when_it_changed_and_when_it_was() -> None:
    def story() -> None:
        table = SockDiag()
        with _listener() as server:
            client = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
            first = {row.local: row.traffic for row in table.changes().rows}
            name, far = (f"127.0.0.1:{end.getsockname()[1]}" for end in (client, accepted))
            begun = first[name]
            assert begun is not None
            assert (begun.sent, begun.sent_ago) == (0, None)
            client.sendall(b"x" * 100)
            sent = time.monotonic()
            assert accepted.recv(100) == b"x" * 100
            rows = {row.local: row.traffic for row in table.changes().rows}
            ours, theirs = rows[name], rows[far]
            assert ours is not None and theirs is not None
            assert (ours.sent, ours.received, ours.acked) == (100, 0, 101), "the SYN counts 1"
            assert (theirs.sent, theirs.received, theirs.received_ago is None) == (0, 100, False)
            assert table.changes().rows == [], "only what moves is told: time alone does not"
            (now,) = [row.traffic for row in table.rows() if row.local == name]
            assert now is not None and now.sent_ago is not None
            assert now.sent_ago <= time.monotonic() - sent + 0.02, "to a tick of the kernel's clock"
            fields = theirs.fields(1000.0)
            assert set(fields) == {"received", "received_at"}
            assert 999 < fields["received_at"] <= 1000
            client.close()
            accepted.close()

    in_netns(story)


def test_minisockets_and_listening_sockets_have_no_traffic() -> None:
    def story() -> None:
        table = SockDiag()
        with _listener() as server:
            with socket.create_connection(server.getsockname()):
                accepted, _ = server.accept()
            accepted.close()
            _until(lambda: "TIME_WAIT" in _states(table.rows()))
            assert {row.state.value: row.traffic for row in table.rows()} == {"LISTEN": None, "TIME_WAIT": None}

    in_netns(story)


def test_cookie_is_what_the_socket_itself_says() -> None:
    def story() -> None:
        with _listener() as server:
            cookie = int.from_bytes(server.getsockopt(socket.SOL_SOCKET, 57, 8), "little")
            (row,) = SockDiag().rows()
            assert row.sk == f"{cookie:x}"

    in_netns(story)


def test_ipv4_mapped_addresses_read_as_ipv4() -> None:
    def story() -> None:
        with socket.socket(socket.AF_INET6) as server:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.bind(("::", 0))
            server.listen()
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)):
                accepted, _ = server.accept()
                with accepted:
                    rows = SockDiag().rows()
                    assert {row.local for row in rows if row.state == "ESTABLISHED"} == {
                        f"127.0.0.1:{port}",
                        next(row.peer for row in rows if row.local == f"127.0.0.1:{port}"),
                    }

    in_netns(story)


def test_agrees_with_ss_on_many_time_wait_and_a_few_others() -> None:
    """Buffers of bare minisockets take the fast way, mixed ones the other; both must tell what ss tells."""

    def story() -> None:
        table = SockDiag()
        with _listener(256) as server:
            for _ in range(1500):
                with socket.create_connection(server.getsockname()):
                    accepted, _ = server.accept()
                    accepted.close()
            kept = [socket.create_connection(server.getsockname()) for _ in range(40)]
            _until(lambda: _states(table.rows()).count("TIME_WAIT") == 1500)
            ours = sorted((row.state.value, row.local, row.peer) for row in table.changes().rows)
            text = subprocess.run(["ss", "-tanH"], capture_output=True, text=True, check=True).stdout
            names = {"ESTAB": "ESTABLISHED", "TIME-WAIT": "TIME_WAIT"}
            theirs = sorted(
                (names.get(words[0], words[0]), words[3], words[4].replace("*", "0"))
                for words in (line.split() for line in text.splitlines())
            )
            assert ours == theirs
            assert table.changes().rows == []
            for client in kept:
                client.close()

    in_netns(story)


def test_full_accept_queue_shows_backlog_plus_one() -> None:
    def story() -> None:
        with _listener(backlog=1) as server:
            clients = [socket.socket() for _ in range(4)]
            for client in clients:
                client.setblocking(False)
                client.connect_ex(server.getsockname())
            table = SockDiag()
            _until(lambda: any(row.state == "LISTEN" and row.recv_q == 2 for row in table.rows()))
            listen = next(row for row in table.rows() if row.state == "LISTEN")
            assert (listen.recv_q, listen.send_q) == (2, 1)
            assert "SYN_SENT" in _states(table.rows())
            for client in clients:
                client.close()

    in_netns(story)


def test_counters_count_what_happened_in_this_namespace_only() -> None:
    def story() -> dict[str, int]:
        counters = Counters()
        assert counters.changes(all_groups=True)["ActiveOpens"] == 0
        with _listener() as server, socket.create_connection(server.getsockname()):
            accepted, _ = server.accept()
            accepted.close()
        return counters.changes(all_groups=True)

    moved = in_netns(story)
    assert (moved["ActiveOpens"], moved["PassiveOpens"]) == (1, 1)


def test_counters_of_a_kernel_that_lacks_a_name() -> None:
    text = "TcpExt: SyncookiesSent TW\nTcpExt: 5 7\n"
    assert parse_counters(text, "TcpExt") == {"TW": 7}
    assert parse_counters("", "Tcp") == {}


def test_changes_add_up_to_the_table_whatever_way_the_buffers_went() -> None:
    """Connections open and close in bunches, so that sockets move between mixed and uniform buffers."""

    def story() -> None:
        table = SockDiag()
        told: dict[str, tuple[object, ...]] = {}
        random = Random(7)
        with _listener(512) as server:
            held: list[socket.socket] = []
            for _ in range(25):
                for _ in range(random.randrange(120)):
                    held.append(socket.create_connection(server.getsockname()))
                    held.append(server.accept()[0])
                random.shuffle(held)
                for _ in range(random.randrange(len(held) + 1)):
                    held.pop().close()
                changes = table.changes()
                for socket_id in changes.gone:
                    del told[sk_of(socket_id)]
                told |= {row.sk: (row.state, row.local, row.peer, row.inode) for row in changes.rows}
                assert changes.total == len(told)
            for one in held:
                one.close()
            _until(lambda: not {"ESTABLISHED", "FIN_WAIT1", "LAST_ACK"} & set(_states(table.rows())))
            changes = table.changes()
            for socket_id in changes.gone:
                del told[sk_of(socket_id)]
            told |= {row.sk: (row.state, row.local, row.peer, row.inode) for row in changes.rows}
            assert told == {row.sk: (row.state, row.local, row.peer, row.inode) for row in table.rows()}

    in_netns(story)
