"""Options of a request step: what is wrong with one is told before anything starts; what they do in a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InputError, Place
from orchestrator.kinds.registry import load_kinds
from orchestrator.run.check import check_scenario
from orchestrator.scenario.loader import LoadedScenario, parse_scenario
from orchestrator.text.yamlsource import parse_yaml
from orchestrator.topology.model import Attachment, Network, Node, Topology
from tests.conftest import Simctl
from tests.support.components import require
from tests.support.vanishing import events_of, passed, write

CLIENTS = ("requests", "urllib3", "httpx", "libcurl", "undici")
SUBJECT = Topology(
    Path("lab.yaml"),
    tuple(
        Node(name, name, f"simctl/{kind}", kind, Place("lab.yaml", 1, 1), attachments=(Attachment("lab", (name,)),))
        for name, kind in (*((kind, kind) for kind in CLIENTS), ("server", "origin"))
    ),
    (Network("lab"),),
)
HEAD = "name: demo\ntopology: lab.yaml\nsteps:\n  - request:\n      url: http://server/\n      from: "
"""What follows begins in line 6."""


def check(text: str) -> None:
    source = parse_yaml(HEAD + text.replace("|", "\n      ") + "\n", "s.yaml")
    check_scenario(LoadedScenario(parse_scenario(source), source, Path("lab.yaml")), SUBJECT, load_kinds())


@pytest.mark.parametrize(
    "text",
    [
        "requests|body: {size: 1GB}|timeout: {connect: 1s, read: 2s}|session: a|hold: true",
        "httpx|body: {size: 1.5 MiB}|timeout: {connect: 1s, read: 2s, write: 3s, pool: 4s}",
        "urllib3|body: text|timeout: 1s|hold: false",
        "libcurl|body: {size: 1}|timeout: {total: 1m}",
        "undici|body: 17",
    ],
)
def test_the_sound_ones(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        ("requests|body: {size: 1G}", 7, 20, "`size`: expected a whole number of bytes such as 1GB", None),
        ("requests|body: {size: 0.5B}", 7, 20, "`size`: expected a whole number of bytes such as 1GB", None),
        ("requests|body: {size: true}", 7, 20, "`size`: expected a whole number of bytes such as 1GB", None),
        ("requests|body: {size: 0}", 7, 20, "`size`: must be at least 1, not 0", None),
        ("requests|body: {size: 2TiB}", 7, 20, "`size`: must be at most 1099511627776, not 2TiB", None),
        ("requests|body: {size: 1, sice: 1}", 7, 23, "unknown key sice in body", "did you mean size?"),
        ("requests|body: {}", 7, 7, "`size` is missing in body", "size: how large it is"),
        ("requests|body: [a]", 7, 13, "`body`: expected text", None),
        ("requests|timeout: {}", 7, 16, "`timeout`: no timeout is given: there are connect, read, write, pool", None),
        ("requests|timeout: {read: 0}", 7, 23, "`read`: must be above 0", None),
        ("requests|timeout: {read: 1}", 7, 23, "`read`: a duration needs a unit", None),
        ("requests|timeout: {reed: 1s}", 7, 17, "unknown key reed in timeout", "did you mean read?"),
        ("requests|timeout: 0", 7, 16, "`timeout`: must be above 0", None),
        ("requests|hold: yes please|session: a", 7, 13, "`hold`: expected true or false", None),
        (
            "requests|hold: true",
            7,
            7,
            "a response that is held stays open until its session is closed",
            "add `session`",
        ),
        ("undici|body: {size: 1}", 7, 20, "the client undici cannot make up a body by its size", "those that can: "),
        ("libcurl|hold: true|session: a", 7, 13, "the client libcurl cannot hold a response", "aiohttp-client, httpx"),
        (
            "requests|timeout: {pool: 1s}",
            7,
            23,
            "the client requests has no `pool` timeout of its own",
            "httpx, urllib3",
        ),
        ("libcurl|timeout: {read: 1s}", 7, 23, "the client libcurl has no `read` timeout of its own", "requests"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    text: str, line: int, column: int, message: str, hint: str | None
) -> None:
    with pytest.raises(InputError) as caught:
        check(text)
    (problem,) = caught.value.problems or [caught.value]
    assert message in problem.message
    assert hint is None or hint in (problem.hint or "")
    assert problem.place is not None
    assert (problem.place.line, problem.place.column) == (line, column)


LAB = """\
services:
  client:
    image: simctl/urllib3
    environment: {POOL_MAXSIZE: 1, POOL_BLOCK: "true"}
    networks: [lab]
  leaky: {image: simctl/requests, networks: [lab]}
  server:
    image: simctl/origin
    environment: {KEEPALIVE_TIMEOUT: 1h}
    networks: [lab]
networks: {lab: {internal: true}}
"""
URL = 'url: "http://server:8080/bytes/1000000", session: pool'
STEPS = [
    f"{{name: hold, request: {{from: client, {URL}, hold: true}}}}",
    f"{{name: wanting, request: {{from: client, {URL}, timeout: {{pool: 300ms}}}}}}",
    "{name: close, close: {from: client, session: pool}}",
    f"{{name: again, request: {{from: client, {URL}, timeout: {{pool: 300ms}}}}}}",
    f"{{name: leak, request: {{from: leaky, {URL}, hold: true, count: 3}}}}",
    'name: upload\n    request: {from: leaky, url: "http://server:8080/", method: POST, session: b, body: {size: 2MB}}',
]  # fmt: skip
EXPECT = [
    "{that: the response is open, at: hold.end, client: {ESTABLISHED: 1}, server: {ESTABLISHED: 1}}",
    "{that: no slot, over: wanting.start .. wanting.end, client: {errors: {PoolTimeout: 1}, connections: 0}}",
    "{that: closed with its session, at: close.end, client: {ESTABLISHED: 0}}",
    "{that: a slot, over: again.start .. again.end, client: {errors: 0, connections: 1, statuses: {200: 1}}}",
    "{that: each takes one, over: leak.start .. leak.end, leaky: {connections: 3, statuses: {200: 3}}}",
    "{that: and they stay, at: leak.end, leaky: {ESTABLISHED: 3}}",
    "{that: it went, over: upload.start .. upload.end, leaky: {bytes: {sent: 2000000..2001000}, statuses: {200: 1}}}",
]


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("netns", marks=[pytest.mark.netns, pytest.mark.kinds("urllib3")]),
        pytest.param(
            "docker", marks=[pytest.mark.docker, pytest.mark.images("requests", "urllib3", "origin"), pytest.mark.slow]
        ),
        pytest.param("vm", marks=[pytest.mark.vm, pytest.mark.slow]),
    ],
)
@pytest.mark.timeout(150)
def test_a_slot_that_never_comes_back(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    require(runtime)
    scenario = write(tmp_path, LAB, STEPS, EXPECT)
    done = simctl("run", scenario, "-r", runtime, "-o", tmp_path / "runs", "--format", "json", timeout=120)
    passed(done)
    told = [event for event in events_of(tmp_path / "runs") if event["ev"] == "request"]
    assert [event.get("held") for event in told] == [True, None, None, True, True, True, None]
    assert [event.get("bytes") for event in told if event["step"] == "leak"] == [None] * 3
    (run,) = (tmp_path / "runs").iterdir()
    ladder = simctl("show", run, "--conn", "c1").stdout
    assert "GET /bytes/1000000" in ladder
    assert "200 after" in ladder
