"""`simctl measure idle` against servers that are not ours, real ones and odd ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.measure.findings import Limit, Reaction, Truth, Way
from tests.support.measured import OK, measured, read_request, scripted
from tests.support.node_process import JETTY, PATIENCE, server


def test_bodies_of_every_framing_are_read() -> None:
    """Chunked with trailers, none, after an interim response, of HTTP/1.0, and up to the end of the connection."""
    bodies = [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
    ]

    def answer(connection: socket.socket, number: int) -> None:
        connection.settimeout(0.2)
        for body in bodies * 3:
            if not read_request(connection):
                return
            connection.sendall(body if number < 2 else b"HTTP/1.1 200 OK\r\n\r\nto the end")
            if number >= 2:
                return

    with scripted(answer) as port:
        told = measured(port, samples=1, requests=6)
    assert told.problems == ()
    assert told.limit == Limit(6, 6, closed=False, announced=False, time_was_up=False)
    assert told.idle.closed == (), "the end of the connection was the end of the response, not of an idle time"


def test_a_status_before_the_end_is_told() -> None:
    def answer(connection: socket.socket, _: int) -> None:
        connection.settimeout(0.2)
        try:
            while read_request(connection):
                connection.sendall(OK)
        except TimeoutError:
            connection.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

    with scripted(answer) as port:
        told = measured(port)
    assert (told.before.said, told.idle.said) == ((408,), (408, 408))


def test_a_server_that_leaves_closing_to_the_client() -> None:
    def answer(connection: socket.socket, _: int) -> None:
        while read_request(connection):
            connection.sendall(OK)

    with scripted(answer) as port:
        told = measured(port, timeout=0.5)
    assert (told.farewell.says_close, told.farewell.way) == (False, Way.NONE)
    assert (told.idle.open, told.before.open) == (2, 1)


def test_what_shows_nothing_is_named() -> None:
    """Connections that break before their answer: only the first two are served."""

    def answer(connection: socket.socket, number: int) -> None:
        connection.settimeout(0.2)
        while number < 2 and read_request(connection):
            connection.sendall(OK)

    with scripted(answer) as port:
        told = measured(port)
    assert len(told.problems) == 2
    assert all(problem.startswith("idle: ") for problem in told.problems)
    assert not told.decided


NGINX = """\
daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}
http {{
    access_log off; keepalive_timeout 1s 1s; client_header_timeout 2s; keepalive_requests 3;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hi"; }} }}
}}
"""
NODE = """\
const server = require('http').createServer((request, response) => response.end('hi'));
server.keepAliveTimeout = 500;
server.listen({port}, '127.0.0.1');
"""


@contextmanager
def real(argv: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.01)
            yield
        finally:
            process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


@pytest.mark.kinds("nginx")
def test_nginx(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert nginx is not None
    port = free_port()
    (tmp_path / "n.conf").write_text(NGINX.format(folder=tmp_path, port=port))
    with real([nginx, "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(tmp_path / "n.conf")], port):
        told = measured(port)
    assert told.advertised is not None
    assert (told.advertised.text, told.advertised.timeout_truth) == ("timeout=1", Truth.TRUE)
    assert told.limit == Limit(3, 5, closed=True, announced=True, time_was_up=False)
    assert told.before.closed[0] > 1.9, "client_header_timeout is another timer"


@pytest.mark.slow
@pytest.mark.kinds("node")
def test_node() -> None:
    node = shutil.which("node")
    assert node is not None
    port = free_port()
    with real([node, "-e", NODE.format(port=port)], port):
        told = measured(port, timeout=3.0)
    assert told.idle.ways == {Way.FIN: 2}
    assert told.idle.closed[0] >= 0.5 - told.accuracy
    assert told.before.open == 1, "its keepAliveTimeout begins with the first response"


@pytest.mark.slow
@pytest.mark.java
def test_jetty() -> None:
    with server(JETTY, KEEPALIVE_TIMEOUT="1s") as (_, port):
        told = measured(port)
    assert (told.idle.ways, told.reactions) == ({Way.FIN: 2}, {Reaction.NOTHING: 2})
    assert told.idle.closed[0] >= 1 - told.accuracy
