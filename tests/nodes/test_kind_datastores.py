"""Data stores as servers of pooled connections: the kinds postgres, redis, psycopg, redis-py and webapp."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.errors import InputError
from orchestrator.kinds.registry import argv, kind
from orchestrator.scenario.fields import SCHEMES
from orchestrator.scenario.loader import parse_scenario
from orchestrator.scenario.steps.request import Request
from orchestrator.system.resources import ROOT
from orchestrator.text.yamlsource import parse_yaml
from tests.support.kindsources import knobs_read
from tests.support.node_process import node

KINDS = ("postgres", "redis", "psycopg", "redis-py", "webapp")
CLIENTS = {"psycopg": "postgresql://127.0.0.1:5432/", "redis-py": "redis://127.0.0.1:6379/"}

installed = pytest.mark.kinds(*KINDS)


# -- what they promise, without a lab --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_the_knobs_are_those_that_are_read(name: str) -> None:
    assert knobs_read(name) == set(kind(name).knobs)


@installed
@pytest.mark.parametrize(
    ("name", "knob", "value", "said"),
    [
        ("postgres", "KEEPALIVE_TIMEOUT", "0.5ms", "whole milliseconds"),
        ("postgres", "TCP_KEEPALIVE_TIME", "500ms", "whole seconds"),
        ("redis", "KEEPALIVE_TIMEOUT", "1500ms", "whole seconds"),
        ("redis", "PORT", "0", "from 1 to 65535"),
        ("psycopg", "POOL_MAXSIZE", "3", "from 4"),
        ("psycopg", "KEEPALIVE_EXPIRY", "0", "more than 0s"),
        ("redis-py", "POOL_BLOCK", "maybe", "true or false"),
        ("webapp", "KEEPALIVE_TIMEOUT", "1500ms", "whole seconds"),
        ("webapp", "DATABASE_URL", "postgresql://%2Frun%2Fpostgresql/", "expected one host"),
        ("webapp", "DATABASE_URL", "postgresql://db/?passfile=/etc/passwd", "passfile is not taken"),
        ("webapp", "DATABASE_URL", "db:5432", "is refused"),
    ],
)
def test_a_wrong_knob_is_one_line(tmp_path: Path, name: str, knob: str, value: str, said: str) -> None:
    with node(argv(kind(name), sys.executable), TMPDIR=str(tmp_path), **{knob: value}) as process:
        assert process.process.wait(30) == 2
        (line,) = process.log().splitlines()
    assert line.startswith(f"{name}: {knob}: ")
    assert said in line


@installed
@pytest.mark.parametrize("name", ["postgres", "redis", "webapp"])
def test_no_arguments_are_taken(name: str, tmp_path: Path) -> None:
    command = [*argv(kind(name), sys.executable), "--daemonize"]
    own = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "takes no arguments" in done.stderr


@installed
@pytest.mark.parametrize(
    ("name", "command", "said"),
    [
        ("psycopg", {"url": "http://127.0.0.1/"}, "postgresql://"),
        ("psycopg", {"method": "POST"}, "method: a query has none"),
        ("psycopg", {"headers": {"A": "1"}}, "headers: a query has none"),
        ("psycopg", {"url": "postgresql://127.0.0.1/?host=/run/postgresql"}, "expected one host"),
        ("psycopg", {"url": "postgresql://127.0.0.1/?sslkey=/etc/passwd"}, "sslkey is not taken"),
        ("psycopg", {"timeout": 0.5}, "whole seconds"),
        ("redis-py", {"url": "http://127.0.0.1/"}, "redis://"),
        ("redis-py", {"body": "x"}, "body: a query has none"),
        ("redis-py", {"url": "redis://127.0.0.1/?unix_socket_path=/run/redis"}, "without a query"),
    ],
)
def test_a_wrong_command_sends_nothing(name: str, command: dict[str, Any], said: str) -> None:
    with node(argv(kind(name), sys.executable)) as client:
        client.next("ready")
        (done,) = client.do(do="request", **{"url": CLIENTS[name], **command})
        assert said in done["error"]
        assert client.end() == 0


@installed
def test_redis_py_has_one_timeout_for_a_pool() -> None:
    with node(argv(kind("redis-py"), sys.executable)) as client:
        client.next("ready")
        unused = "redis://127.0.0.1:1/"
        request, _ = client.do(do="request", url=unused, session="pool", timeout=1.0)
        assert (request["error"]["name"], request["local"], request["reused"]) == (
            "ConnectionRefusedError",
            None,
            False,
        )
        (done,) = client.do(do="request", url=unused, session="pool", timeout=2.0)
        assert "made with 1s" in done["error"]
        client.do(do="close", session="pool")
        assert len(client.do(do="request", url=unused, session="pool", timeout=2.0)) == 2


# -- URLs in scenarios -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["postgresql://server:5432/", "redis://server/0", "http://server/"])
def test_urls_of_data_stores_are_legal(url: str) -> None:
    assert parse_url(url) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://server/", "no client speaks postgres: expected a URL that begins with http://"),
        ("rediss://server/", "no client speaks rediss"),
        ("redis:///", "expected an absolute URL"),
        ("//server/", "expected an absolute URL"),
        ("https://server/", "http:// instead of https://"),
    ],
)
def test_other_urls_are_refused(url: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        parse_url(url)


def test_the_reference_names_every_scheme() -> None:
    page = (ROOT / "docs" / "scenario-reference.md").read_text()
    assert all(f"`{scheme}://`" in page for scheme in SCHEMES)


def parse_url(url: str) -> str:
    data = {"name": "a", "topology": "t.yaml", "steps": [{"request": {"from": "client", "url": url}}]}
    request = parse_scenario(parse_yaml(yaml.safe_dump(data), "s.yaml")).steps[0].action
    assert isinstance(request, Request)
    return request.url
