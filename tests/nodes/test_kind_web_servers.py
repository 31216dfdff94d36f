"""lighttpd, Caddy and Puma. Debian's packages, real sockets, real labs."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.kindserver import assert_refuses, ended, listening
from tests.support.node_process import Wire
from tests.support.serverstories import ALL_PATHS, assert_runs_everywhere

KINDS = ("lighttpd", "caddy", "puma")
pytestmark = pytest.mark.kinds(*KINDS)
IMAGES = pytest.mark.images(*KINDS, "requests")


@pytest.mark.parametrize("name", ["lighttpd", "caddy"])
def test_files_on_one_connection(name: str, tmp_path: Path) -> None:
    with listening(name, tmp_path) as port, Wire(port) as wire:
        assert wire.get("/").body == b"hello\n"
        for size in (0, 10, 1000, 100_000, 1_000_000):
            response = wire.get(f"/bytes/{size}")
            assert (response.status, response.body) == (200, b"x" * size)
            assert "keep-alive" not in response.headers
        assert wire.get("/bytes/11").status == 404


def test_what_puma_answers_on_one_connection(tmp_path: Path) -> None:
    with listening("puma", tmp_path) as port, Wire(port) as wire:
        for ask, status, body in ALL_PATHS:
            wire.send(ask)
            response = wire.response(head=ask.startswith(b"HEAD"))
            assert (response.status, response.body) == (status, body), ask
            assert "keep-alive" not in response.headers


@pytest.mark.parametrize(
    ("name", "knobs", "last"),
    [
        ("lighttpd", {"KEEPALIVE_REQUESTS": "1"}, 1),
        ("lighttpd", {"KEEPALIVE_REQUESTS": "3"}, 3),
        ("caddy", {"KEEPALIVE_REQUESTS": "1"}, 1),
        ("puma", {"KEEPALIVE_REQUESTS": "1"}, 1),
        ("puma", {"QUEUE_REQUESTS": "false"}, 1),
    ],
)
def test_the_last_request_of_a_connection(name: str, knobs: dict[str, str], last: int, tmp_path: Path) -> None:
    with listening(name, tmp_path, **knobs) as port, Wire(port) as wire:
        said = [wire.get("/").headers.get("connection") for _ in range(last)]
        assert said == [None] * (last - 1) + ["close"]
        assert wire.read_end() == b""


@pytest.mark.netns
def test_as_reverse_proxies(simctl: Simctl, tmp_path: Path) -> None:
    """Caddy keeps its connection to the upstream, unless told not to; lighttpd opens one for each request."""
    (tmp_path / "compose.yaml").write_text(
        "services:\n"
        "  client: {image: simctl/requests}\n"
        '  caddy: {image: simctl/caddy, environment: {UPSTREAM: "server:8080"}}\n'
        '  fresh: {image: simctl/caddy, environment: {UPSTREAM: "server:8080", UPSTREAM_KEEPALIVE: "0"}}\n'
        '  lighttpd: {image: simctl/lighttpd, environment: {UPSTREAM: "server:8080"}}\n'
        '  hasty: {image: simctl/caddy, environment: {UPSTREAM: "server:8080", UPSTREAM_TIMEOUT: 200ms}}\n'
        "  server: {image: simctl/origin}\n"
    )
    asks = "".join(
        f'  - request: {{from: client, url: "http://{name}:8080/bytes/10", session: {name}, count: 4}}\n'
        for name in ("caddy", "fresh", "lighttpd")
    )
    (tmp_path / "proxies.yaml").write_text(
        f"name: proxies\ntopology: compose.yaml\nsteps:\n{asks}"
        '  - {name: slow, request: {from: client, url: "http://hasty:8080/delay/2000"}}\n'
        "expect:\n"
        "  - {that: it keeps one, where: {peer: caddy}, over: start .. slow.start, server: {connections: 1}}\n"
        "  - {that: it keeps none, where: {peer: fresh}, over: start .. slow.start, server: {connections: 4}}\n"
        "  - {that: it cannot, where: {peer: lighttpd}, over: start .. slow.start, server: {connections: 4}}\n"
    )
    done = simctl("run", tmp_path / "proxies.yaml", "-r", "netns", "-q", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr + done.stdout
    (recorded,) = (tmp_path / "runs").glob("*/events.jsonl")
    events = [json.loads(line) for line in recorded.read_text().splitlines()]
    assert [event["status"] for event in events if event["ev"] == "request"] == [200] * 12 + [504]


@pytest.mark.parametrize(
    ("name", "knob", "value", "words"),
    [
        ("lighttpd", "KEEPALIVE_TIMEOUT", "500ms", "whole seconds"),
        ("lighttpd", "UPSTREAM_KEEPALIVE", "32", "expected 0"),
        ("caddy", "KEEPALIVE_TIMEOUT", "0s", "not 0ms"),
        ("caddy", "UPSTREAM", "server", "expected host:port"),
        ("puma", "KEEPALIVE_TIMEOUT", "500ms", "whole seconds"),
        ("puma", "QUEUE_REQUESTS", "perhaps", "true or false"),
    ],
)
def test_a_value_that_it_cannot_take_is_one_line(name: str, knob: str, value: str, words: str, tmp_path: Path) -> None:
    assert_refuses(name, knob, value, words, tmp_path)


@pytest.mark.parametrize("name", KINDS)
def test_its_own_words_when_it_cannot_start(name: str, tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        status, log = ended(name, tmp_path, HTTP_PORT=str(taken.getsockname()[1]))
    assert status not in (0, 2)
    assert "address already in use" in log.lower()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("runtime", ["rootless", pytest.param("docker", marks=[pytest.mark.docker, IMAGES])])
@pytest.mark.parametrize("name", KINDS)
def test_it_runs_everywhere(simctl: Simctl, tmp_path: Path, name: str, runtime: str) -> None:
    assert_runs_everywhere(simctl, tmp_path, name, runtime)
