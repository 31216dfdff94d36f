"""The clients on Go's net/http, Node's http.Agent and undici: each in its own way, and all in a lab."""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.kindclient import answers, client
from tests.support.misbehaving import (
    OK,
    answer_once,
    answer_once_then_reset,
    misbehaving,
    read_request,
    silent,
)
from tests.support.node_process import ORIGIN, server

KINDS = ("go-client", "node-agent", "undici")


def answer(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(OK)
    silent(connection)


DEATHS = [(answer_once, "RemoteDisconnected"), (answer_once_then_reset, "ConnectionResetError")]


@pytest.mark.parametrize("name", KINDS)
def test_a_pooled_connection_that_dies_under_the_request(name: str) -> None:
    """Go makes a GET again, which is an exchange of its own; nobody does that with a POST."""
    with client(name) as them:
        for (dies, error), method in itertools.product(DEATHS, ("GET", "POST")):
            with misbehaving(dies, answer) as url:
                (first,) = answers(them.do(do="request", url=url, session="s", method=method))
                died, *again, _ = them.do(do="request", url=url, session="s", method=method)
                assert (died["error"]["name"], died["status"]) == (error, None)
                assert (died["n"], died["nth"], died["local"]) == (1, 2, first["local"])
                if (name, method) == ("go-client", "GET"):
                    (second,) = again
                    assert (second["n"], second["nth"], second["status"], second["error"]) == (1, 1, 200, None)
                    assert second["local"] != first["local"]
                    assert died["t0"] <= died["t"] <= second["t0"] <= second["t"]
                else:
                    assert not again
                    answers(them.do(do="request", url=url, session="s"))
                them.do(do="close", session="s")


def test_undici_obeys_the_servers_keep_alive_header_less_one_second() -> None:
    with (
        server(ORIGIN, KEEPALIVE_TIMEOUT="2s", ADVERTISE="true") as (origin, port),
        client("undici", KEEPALIVE_EXPIRY="1h") as them,
    ):
        (event,) = answers(them.do(do="request", url=f"http://127.0.0.1:{port}/", session="s"))
        assert event["response_headers"]["Keep-Alive"] == "timeout=2"
        closed = origin.next("closed")
        assert closed["reason"] == "peer"
        assert closed["t"] - event["t"] >= 0.99


def test_undici_opens_a_second_connection_for_a_request_that_follows_at_once() -> None:
    with server(ORIGIN) as (_, port), client("undici") as them:
        events = answers(them.do(do="request", url=f"http://127.0.0.1:{port}/", session="s", count=4))
        assert [event["nth"] for event in events] == [1, 1, 2, 2]


def test_go_follows_redirects_and_the_others_do_not() -> None:
    def redirect(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")

    def redirect_and_answer(connection: socket.socket) -> None:
        redirect(connection)
        read_request(connection)
        connection.sendall(OK)

    with client("go-client") as them, misbehaving(redirect_and_answer) as url:
        first, second = answers(them.do(do="request", url=url, session="s"))
        assert [(event["n"], event["status"], event["nth"]) for event in (first, second)] == [(1, 302, 1), (1, 200, 2)]
        assert second["url"] == url + "there"
        assert first["response_headers"]["Location"] == "/there"
        assert first["t"] <= second["t0"]
    for name in ("node-agent", "undici"):
        with client(name) as them, misbehaving(redirect) as url:
            (event,) = answers(them.do(do="request", url=url, session="s"))
            assert event["status"] == 302


# -- in a lab ---------------------------------------------------------------------------------------------------------


@pytest.mark.netns
@pytest.mark.kinds(*KINDS)
def test_who_closes_an_idle_connection(simctl: Simctl, tmp_path: Path) -> None:
    """What the server closed is closed by all of them at once; undici's own timer may be first."""
    done = simctl("run", _story(tmp_path), "-r", "netns", "-q", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr + done.stdout


def _story(folder: Path) -> Path:
    """Each client asks the server once and idles; so does undici with a timer that is quicker than the server's."""
    (folder / "compose.yaml").write_text(
        "services:\n  server: {image: simctl/origin, environment: {KEEPALIVE_TIMEOUT: 1s}}\n"
        + "".join(f"  {name}: {{image: simctl/{name}}}\n" for name in KINDS)
        + "  quick: {image: simctl/undici, environment: {KEEPALIVE_EXPIRY: 300ms}}\n"
    )
    clients = (*KINDS, "quick")
    asks = (f'  - request: {{from: {name}, url: "http://server:8080/", session: s}}\n' for name in clients)
    closed = "".join(f"    {name}: {{ESTABLISHED: 0, others: 0}}\n" for name in KINDS)
    again = (f'  - request: {{from: {name}, url: "http://server:8080/", session: s}}\n' for name in clients)
    none = "".join(f"    {name}: {{errors: 0, requests: 2, connections: 2}}\n" for name in clients)
    story = folder / "idle.yaml"
    story.write_text(
        f"name: idle\ntopology: compose.yaml\nsteps:\n{''.join(asks)}  - {{name: idle, wait: 2s}}\n{''.join(again)}"
        "expect:\n  - that: what the server closed is closed\n    at: idle.end\n"
        f"{closed}    server: {{TIME_WAIT: {len(KINDS)}, others: 0}}\n    quick: {{TIME_WAIT: 1, others: 0}}\n"
        f"  - that: so nobody asks on a dead connection\n    over: start .. end\n{none}"
    )
    return story


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "at"),
    [
        pytest.param(*pair, marks=pytest.mark.images(*pair))
        for pair in (("go-client", "go"), ("node-agent", "node"), ("undici", "node"))
    ],
)
def test_in_containers(simctl: Simctl, tmp_path: Path, name: str, at: str) -> None:
    (tmp_path / "compose.yaml").write_text(
        f"services:\n  client: {{image: simctl/{name}}}\n"
        f"  server: {{image: simctl/{at}, environment: {{KEEPALIVE_TIMEOUT: 5s}}}}\n"
    )
    story = tmp_path / "story.yaml"
    story.write_text(
        "name: story\ntopology: compose.yaml\nsteps:\n"
        '  - request: {from: client, url: "http://server:8080/bytes/1000", session: s, count: 3, interval: 100ms}\n'
        "expect:\n  - {that: one connection, over: start .. end, client: {errors: 0, requests: 3, connections: 1}}\n"
    )
    done = simctl("run", story, "-r", "docker", "-q", timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
