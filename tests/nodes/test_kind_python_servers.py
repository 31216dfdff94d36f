"""The servers of Python: gunicorn, uvicorn, hypercorn, aiohttp, granian. Real packages, sockets and labs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.system.resources import NODES
from tests.conftest import Simctl
from tests.support.kindserver import assert_refuses, listening
from tests.support.node_process import Wire
from tests.support.serverstories import ALL_PATHS, assert_runs_everywhere

sys.path.append(str(NODES / "base"))
from responses import response_to

KINDS = ("gunicorn", "uvicorn", "hypercorn", "aiohttp", "granian")
needed = pytest.mark.kinds(*KINDS)
IMAGES = pytest.mark.images(*KINDS, "requests")


@given(st.one_of(st.text(), st.from_regex(r"/(bytes|delay|status)/[0-9]{1,4}", fullmatch=True)), st.binary())
def test_every_path_has_a_response_whose_length_is_true(path: str, body: bytes) -> None:
    response = response_to(path, body)
    headers = response.headers(close=False)
    assert 200 <= response.status <= 599
    assert response.delay >= 0
    assert headers.get("Content-Length", "0") == str(len(response.body))
    assert ("Content-Length" in headers) is (response.status not in (204, 304))


@needed
@pytest.mark.parametrize("name", KINDS)
def test_what_it_answers_on_one_connection(name: str, tmp_path: Path) -> None:
    with listening(name, tmp_path) as port, Wire(port) as wire:
        for ask, status, body in ALL_PATHS:
            wire.send(ask)
            response = wire.response(head=ask.startswith(b"HEAD"))
            assert (response.status, response.body) == (status, body), ask
            assert "keep-alive" not in response.headers


@needed
@pytest.mark.parametrize("name", KINDS)
def test_one_request_a_connection(name: str, tmp_path: Path) -> None:
    with listening(name, tmp_path, KEEPALIVE_REQUESTS="1") as port, Wire(port) as wire:
        assert wire.get("/").headers["connection"] == "close"
        assert wire.read_end() == b""


@needed
def test_hypercorn_closes_when_reading_takes_too_long(tmp_path: Path) -> None:
    with listening("hypercorn", tmp_path, READ_TIMEOUT="1s") as port, Wire(port) as wire:
        assert wire.get("/").status == 200
        assert wire.read_end() == b""


@needed
def test_hypercorn_closes_what_never_asks(tmp_path: Path) -> None:
    with listening("hypercorn", tmp_path, KEEPALIVE_TIMEOUT="300ms") as port, Wire(port) as wire:
        assert wire.read_end() == b""


@needed
def test_a_sync_worker_closes_after_each_response(tmp_path: Path) -> None:
    with listening("gunicorn", tmp_path, WORKER_CLASS="sync", KEEPALIVE_TIMEOUT="60s") as port, Wire(port) as wire:
        assert wire.get("/").headers["connection"] == "close"
        assert wire.read_end() == b""


@needed
@pytest.mark.parametrize(
    ("name", "knob", "value", "words"),
    [
        ("gunicorn", "KEEPALIVE_TIMEOUT", "500ms", "whole seconds"),
        ("gunicorn", "KEEPALIVE_REQUESTS", "5", "expected 0 or 1"),
        ("uvicorn", "KEEPALIVE_TIMEOUT", "1500ms", "whole seconds"),
        ("hypercorn", "READ_TIMEOUT", "0s", "whole seconds"),
        ("aiohttp", "KEEPALIVE_TIMEOUT", "0s", "more than 0s"),
        ("granian", "BACKLOG", "100", "from 128"),
    ],
)
def test_a_value_that_it_cannot_take_is_one_line(name: str, knob: str, value: str, words: str, tmp_path: Path) -> None:
    assert_refuses(name, knob, value, words, tmp_path)


@needed
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("runtime", ["rootless", pytest.param("docker", marks=[pytest.mark.docker, IMAGES])])
@pytest.mark.parametrize("name", KINDS)
def test_it_runs_everywhere(simctl: Simctl, tmp_path: Path, name: str, runtime: str) -> None:
    assert_runs_everywhere(simctl, tmp_path, name, runtime)
