"""The clients in Python that are not requests, and curl: what all have in common, told by real processes that meet the
reference server and servers that misbehave."""

from __future__ import annotations

import itertools
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.conftest import Simctl
from tests.support.kindclient import answers, client
from tests.support.misbehaving import end_of_file, garbage, misbehaving, reset, short_body, silent, silent_in_the_body
from tests.support.node_process import ORIGIN, server

LIBRARIES = ("urllib3", "httpx", "aiohttp-client", "libcurl")
KINDS = (*LIBRARIES, "curl")
POOLS = ("requests", *LIBRARIES)
"""Clients whose sessions keep connections from step to step."""


# -- what all have in common -----------------------------------------------------------------------------------------

EVIL = {"X-One": "@/etc/passwd", "X-Two": '" url = "file:///etc/passwd"', "X-Three": "a\\nb", "X-Four": ""}
"""What could be taken for options, files, or the end of a quoted string."""


@pytest.mark.parametrize("name", KINDS)
def test_a_client_does_what_it_is_told_and_tells_what_happened(name: str) -> None:
    with server(ORIGIN) as (origin, port), client(name) as them:
        url = f"http://127.0.0.1:{port}"
        events = answers(them.do(do="request", url=url + "/bytes/9", session="pool", count=3))
        assert [(event["n"], event["nth"], event["reused"]) for event in events] == [
            (1, 1, False),
            (2, 2, True),
            (3, 3, True),
        ]
        assert {(event["status"], event["bytes"], event["method"]) for event in events} == {(200, 9, "GET")}
        served = [origin.next("served") for _ in events]
        for ours, theirs in zip(events, served, strict=True):
            assert ours["t0"] <= theirs["t"] <= ours["t"]
            assert (ours["local"], ours["peer"]) == (theirs["peer"], theirs["local"])
            assert ours["request_headers"] == theirs["request_headers"]
            assert ours["response_headers"] == theirs["response_headers"]

        body = "@/etc/passwd\n--next grüße"
        (event,) = answers(
            them.do(do="request", url=url + "/echo?[1-3]{a,b}", session="pool", method="POST", headers=EVIL, body=body)
        )
        theirs = origin.next("served")
        assert (theirs["method"], unquote(theirs["path"])) == ("POST", "/echo?[1-3]{a,b}")
        assert event["bytes"] == len(body.encode())
        assert {name: theirs["request_headers"].get(name) for name in EVIL} == EVIL

        (event,) = answers(them.do(do="request", url=url + "/bytes/100", method="HEAD"))
        assert (event["status"], event["bytes"], event["response_headers"]["Content-Length"]) == (200, 0, "100")
        (event,) = answers(them.do(do="request", url=url + "/", method="DELETE"))
        assert origin.next("served") and origin.next("served")["method"] == "DELETE"
        assert (event["session"], event["nth"]) == (None, 1)
        assert "error" not in them.do(do="close", session="pool")[-1]
        assert them.end() == 0


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_session_keeps_its_connection_between_commands_and_a_request_without_one_does_not(name: str) -> None:
    with server(ORIGIN, KEEPALIVE_TIMEOUT="1h") as (origin, port), client(name) as them:
        url = f"http://127.0.0.1:{port}/"
        kept = [answers(them.do(do="request", url=url, session="pool"))[0] for _ in range(3)]
        assert [event["nth"] for event in kept] == [1, 2, 3]
        assert len({event["sk"] for event in kept}) == 1
        assert {event["sk"] for event in kept} != {None}
        short = answers(them.do(do="request", url=url, count=3))
        assert [event["nth"] for event in short] == [1, 1, 1]
        assert {origin.next("closed")["peer"] for _ in short} == {event["local"] for event in short}
        them.do(do="close", session="pool")
        closed = origin.next("closed")
        assert (closed["peer"], closed["reason"], closed["requests"]) == (kept[0]["local"], "peer", 3)


@pytest.mark.parametrize("name", KINDS)
def test_workers_share_the_count(name: str) -> None:
    knobs = {"POOL_MAXSIZE": "3"} if name == "urllib3" else {}
    with server(ORIGIN) as (_, port), client(name, **knobs) as them:
        url = f"http://127.0.0.1:{port}/delay/30"
        events = answers(them.do(do="request", url=url, session="s", count=8, concurrency=3))
        assert sorted(event["n"] for event in events) == list(range(1, 9))
        by_connection: dict[str, list[int]] = {}
        for event in sorted(events, key=lambda event: float(event["t"])):
            by_connection.setdefault(event["local"], []).append(event["nth"])
        assert 2 <= len(by_connection) <= 3
        assert all(counted == list(range(1, len(counted) + 1)) for counted in by_connection.values())


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"url": "https://127.0.0.1/"}, "http://"),
    ({"url": "http://"}, "url"),
    ({"url": "http://x:99999/"}, "url"),
    ({"url": "http://x/ y"}, "url"),
    ({"url": "http://x/", "method": "GET /other"}, "method"),
    ({"url": "http://x/", "headers": {"A": "b\r\nc"}}, "headers"),
    ({"url": "http://x/", "headers": {"@a": "b"}}, "headers"),
    ({"url": "http://x/", "headers": {"A": 1}}, "headers"),
]


@pytest.mark.parametrize("name", KINDS)
def test_what_is_wrong_sends_nothing_and_what_is_in_the_environment_means_nothing(name: str) -> None:
    nowhere = "http://127.0.0.1:1"
    with server(ORIGIN) as (_, port), client(name, http_proxy=nowhere, ALL_PROXY=nowhere) as them:
        for command, named in WRONG:
            (done,) = them.do(do="request", **command)
            assert named in done["error"], done
        url = f"http://127.0.0.1:{port}/"
        events = answers(them.do(do="request", url=url, session="s", count=3, interval=0.1))
        pauses = [after["t0"] - before["t0"] for before, after in itertools.pairwise(events)]
        assert all(pause >= 0.095 for pause in pauses), pauses  # curl measures it in whole milliseconds


# -- errors have the same names --------------------------------------------------------------------------------------

ERRORS = [
    (end_of_file, "RemoteDisconnected", None),
    (reset, "ConnectionResetError", None),
    (short_body, "IncompleteRead", 200),
    (silent, "ReadTimeout", None),
    (silent_in_the_body, "ReadTimeout", 200),
    (garbage, "BadStatusLine", None),
]
ONCE: dict[str, dict[str, str]] = {"urllib3": {"RETRIES": "0"}}
"""Who would try again."""


@pytest.mark.parametrize("name", KINDS)
def test_one_name_for_the_same_error(name: str) -> None:
    with client(name, **ONCE.get(name, {})) as them:
        for behave, expected, status in ERRORS:
            with misbehaving(behave) as url:
                timeout = 0.3 if expected == "ReadTimeout" else 10.0
                (event, _) = them.do(do="request", url=url, session="s", timeout=timeout)
                assert event["error"]["name"] == expected, (behave, event)
                assert (event["status"], event["nth"], event["peer"]) == (status, 1, url.split("/")[2]), event
                assert event["request_headers"]["Host"] == url.split("/")[2]

        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            (event, _) = them.do(do="request", url=f"http://127.0.0.1:{bound.getsockname()[1]}/")
            assert event["error"]["name"] == "ConnectionRefusedError", event
            assert (event["local"], event["nth"], event["reused"], event["sk"]) == (None, None, False, None)
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
            first.connect(full.getsockname())  # a listener whose accept queue is full drops the SYN
            with socket.socket() as second:
                second.setblocking(False)
                second.connect_ex(full.getsockname())
                (event, _) = them.do(do="request", url=f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=0.3)
                assert event["error"]["name"] == "ConnectTimeout", event
        (event, _) = them.do(do="request", url="http://no-such-node.invalid/", timeout=5.0)
        assert event["error"]["name"] == "NameResolutionError", event
        (event, _) = them.do(do="request", url="http://255.255.255.255/")
        assert event["error"]["name"] in ("ENETUNREACH", "EACCES", "PermissionError"), event


# -- in a lab --------------------------------------------------------------------------------------------------------

LAB = """
services:
  server:
    image: simctl/origin
    environment: {KEEPALIVE_TIMEOUT: 4s}
    networks: [lab]
"""


@pytest.mark.netns
def test_idle_connections_in_a_lab(simctl: Simctl, tmp_path: Path) -> None:
    """All clients beside each other: who looks at an idle connection that the server has closed, and who does not."""
    names = ["requests", *KINDS]
    services = "".join(f"  {name}: {{image: simctl/{name}, networks: [lab]}}\n" for name in names)
    (tmp_path / "compose.yaml").write_text(LAB + services + "networks: {lab: {internal: true}}\n")
    at_idle: dict[str, Any] = {name: {"CLOSE_WAIT": 1, "others": 0} for name in POOLS}
    at_idle["aiohttp-client"] = {"others": 0}
    at_idle["curl"] = {"TIME_WAIT": 1, "others": 0}
    at_end = {name: {"ESTABLISHED": 1, "others": 0} for name in POOLS} | {"curl": {"TIME_WAIT": 2, "others": 0}}

    def ask(name: str, count: int, prefix: str) -> dict[str, Any]:
        request = {"from": name, "url": "http://server:8080/", "session": "pool", "count": count}
        return {"name": f"{prefix}-{name}", "request": request}

    scenario = {
        "name": "pools",
        "topology": "compose.yaml",
        "steps": [
            *(ask(name, 2, "first") for name in names),
            {"name": "idle", "wait": "5s"},
            *(ask(name, 1, "then") for name in names),
            {"name": "rest", "wait": "500ms"},  # the last of curl has closed, and the server answers that
        ],
        "expect": [
            {"that": "who has noticed", "at": "idle.end", **at_idle},
            {"that": "all go on", "over": "start .. end", **{name: {"requests": 3, "errors": 0} for name in names}},
            {"that": "with one new connection each", "at": f"then-{names[0]}.end", "requests": at_end["requests"]},
            {"that": "nothing is left of the old one", "at": "end", **at_end},
        ],
    }
    (tmp_path / "pools.yaml").write_text(json.dumps(scenario))
    done = simctl("run", tmp_path / "pools.yaml", "-r", "netns")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.images("origin")
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.images(name)) for name in KINDS])
def test_on_docker(simctl: Simctl, name: str) -> None:
    """The client's image: each client's own answer to the bundled question, which asks for what requests does."""
    done = simctl("run", "idle-close", "-r", "docker", "--set", f"CLIENT={name}", "--format", "json", timeout=110)
    assert done.stdout, done.stderr
    said = [verdict["outcome"] for verdict in json.loads(done.stdout)["verdicts"]]
    expected = {"curl": ["pass", "fail", "fail"], "aiohttp-client": ["pass", "fail", "pass"]}
    assert said == expected.get(name, ["pass"] * 3), done.stdout
