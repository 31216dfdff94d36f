"""The step `raw` in labs: what the kernel shows of it, what the judge counts, what a ladder says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.components import require
from tests.support.vanishing import IMPATIENT_ARP, events_of, passed, write

TOPOLOGY = """\
services:
  prober: {image: simctl/raw, networks: [lab]}
  server:
    image: simctl/origin
    environment: {KEEPALIVE_TIMEOUT: 1h}
    networks: [lab]
networks: {lab: {internal: true}}
"""
TO = 'from: prober, to: "server:8080"'
PART = "GET / HTTP/1.1\\r\\nHost: ser"
POST = "POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 9\\r\\n\\r\\n"
BY = 'from: writer, to: "server:8080"'
GET = "GET / HTTP/1.1\\r\\nHost: server\\r\\n\\r\\n"
BEHIND = """\
services:
  client: {{image: simctl/requests, networks: [lab]}}
  proxy:
    image: simctl/nginx
    environment: {{UPSTREAM: "server:8080", UPSTREAM_TIMEOUT: 1s}}
    networks: [lab]
  server:
    image: simctl/origin
    environment: {{FAULT: {fault}}}
    networks: [lab]
networks: {{lab: {{internal: true}}}}
"""
IMPATIENT = """\
services:
  prober:
    image: simctl/raw
    environment: {{{probing}}}
    sysctls: &arp
{arp}    networks: [lab]
  writer:
    image: simctl/raw
    environment: {{TCP_USER_TIMEOUT: 2s}}
    sysctls: *arp
    networks: [lab]
  server:
    image: simctl/origin
    environment: {{KEEPALIVE_TIMEOUT: 1h}}
    networks: [lab]
networks: {{lab: {{internal: true}}}}
"""
STEPS = [
    f"{{name: fin, raw: {{{TO}, do: [], count: 3, interval: 50ms}}}}",
    f"{{name: rst, raw: {{{TO}, do: [reset], count: 3, concurrency: 3}}}}",
    'name: nobody\n    raw: {from: prober, to: "server:81", do: []}',
    f'name: cut\n    raw: {{{TO}, do: [{{send: "{PART}", bytes: 6, every: 20ms}}, half-close, read: end]}}',
    f'name: pipelined\n    raw: {{{TO}, session: kept, do: [send: "{GET}{GET}", {{read: response, count: 2}}]}}',
    f'name: abort\n    raw: {{{TO}, do: [{{send: "{POST}", fill: 3}}, reset]}}',
]  # fmt: skip
EXPECT = [
    "{that: a FIN leaves TIME_WAIT, eventually: fin.start .. rst.end, prober: {TIME_WAIT: 3}, server: {others: 0}}",
    "{that: a RST leaves nothing, at: rst.end, prober: {TIME_WAIT: 3, others: 0}, server: {others: 0}}",
    "{that: RSTs by prober, over: rst.start .. nobody.end, prober: {first_fin: 3}, server: {closed_by: {error: 3}}}",
    "{that: exchanges, prober: {raw: {done: 9, ConnectionRefusedError: 1}}}",
    "{that: refused, over: nobody.start .. nobody.end, prober: {raw: 1, requests: 0, errors: 0}}",
    "{that: the server answers a FIN with its own, at: cut.end, server: {others: 0}, prober: {TIME_WAIT: 4}}",
    "{that: two in one segment, over: pipelined.start .. pipelined.end, prober: {statuses: {200: 2}, connections: 1}}",
    "{that: requests in part, prober: {requests: 4, errors: {Aborted: 2}}, server: {served: 2}}",
]


@pytest.mark.parametrize(
    "runtime",
    [
        pytest.param("netns", marks=pytest.mark.netns),
        pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.images("raw", "origin"), pytest.mark.slow]),
        pytest.param("vm", marks=[pytest.mark.vm, pytest.mark.slow]),
    ],
)
@pytest.mark.timeout(150)
def test_what_no_library_does(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    scenario = write(tmp_path, TOPOLOGY, STEPS, EXPECT)
    done = simctl("run", scenario, "-r", runtime, "-o", tmp_path / "runs", "--format", "json", timeout=120)
    report = passed(done)
    assert "10 raw exchanges by prober: 9 done, 1 ended by ConnectionRefusedError" in report["story"]
    assert report["raw"] == {"prober": {"done": 9, "ConnectionRefusedError": 1}}
    assert "4 requests by prober: 2 answered 200, 2 failed with Aborted" in report["story"]
    (run,) = (tmp_path / "runs").iterdir()
    cut, pipelined = (_of_step(tmp_path, step) for step in ("cut", "pipelined"))
    ladder = simctl("show", run, "--conn", _place(report, pipelined)).stdout
    rows = [row for row in ladder.splitlines() if "GET /" in row or "200 after" in row]
    assert ["GET" in row for row in rows] == [True, True, False, False], "both came before the first answer"
    ladder = simctl("show", run, "--conn", _place(report, cut)).stdout
    assert "GET /, in part" in ladder
    assert "server did not serve it" in ladder


@pytest.mark.parametrize("runtime", ["netns", "docker", "vm"])
@pytest.mark.parametrize("name", ["health-checks", "response-stops"])
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_stories(simctl: Simctl, name: str, runtime: str) -> None:
    require(runtime)
    passed(simctl("run", name, "-r", runtime, "--format", "json", timeout=200))


@pytest.mark.parametrize("runtime", ["netns", "vm"])
@pytest.mark.slow
@pytest.mark.timeout(150)
def test_timers_of_a_socket_that_a_program_sets_itself(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    """Keep-alive's three numbers and TCP_USER_TIMEOUT, with a peer that has vanished; the node's own are minutes."""
    require(runtime)
    probing = "TCP_KEEPALIVE: on, TCP_KEEPALIVE_TIME: 1s, TCP_KEEPALIVE_INTERVAL: 1s, TCP_KEEPALIVE_PROBES: 2"
    topology = IMPATIENT.format(arp=IMPATIENT_ARP, probing=probing)
    steps = [
        f"{{name: silent, raw: {{{TO}, do: [], session: a}}}}",
        f"{{name: impatient, raw: {{{BY}, do: [], session: a}}}}",
        "{name: vanish, link: {node: server, up: false}}",
        f"{{name: waits, background: true, raw: {{{TO}, do: [{{read: end, timeout: 1m}}], session: a}}}}",
        f"{{name: writes, raw: {{{BY}, do: [send: x, {{read: end, timeout: 1m}}], session: a}}}}",
        "{await: waits}",
    ]
    expect = [
        "{that: probes, over: waits.start .. waits.end, prober: {raw: {ETIMEDOUT: 1}}}",
        "{that: user timeout, over: writes.start .. writes.end, writer: {raw: {ETIMEDOUT: 1}}}",
    ]
    scenario = write(tmp_path, topology, steps, expect)
    passed(simctl("run", scenario, "-r", runtime, "-o", tmp_path / "runs", "--format", "json", timeout=120))
    told = {event["step"]: event for event in events_of(tmp_path / "runs") if event["ev"] == "raw"}
    assert 2 <= told["waits"]["t"] - told["silent"]["t0"] < 20
    assert 2 <= told["writes"]["t"] - told["writes"]["t0"] < 20


@pytest.mark.netns
@pytest.mark.kinds("nginx")
@pytest.mark.parametrize(
    ("fault", "headline", "wait"),
    [
        ("never-finish", "without a whole answer; a request failed with IncompleteRead", "no whole answer yet"),
        pytest.param("never-body", "without a whole answer", "no whole answer yet", marks=pytest.mark.slow),
        pytest.param("never-answer", "without an answer", "no answer yet", marks=pytest.mark.slow),
        pytest.param("close-in-body", "closed by server: cut", "", marks=pytest.mark.slow),
    ],
)
def test_a_ladder_tells_an_answer_that_was_begun_from_none(
    simctl: Simctl, tmp_path: Path, fault: str, headline: str, wait: str
) -> None:
    scenario = write(
        tmp_path,
        BEHIND.format(fault=fault),
        ['{name: get, request: {from: client, url: "http://proxy:8080/bytes/100000"}}', "{name: rest, wait: 400ms}"],
    )
    simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs", "-q")
    (run,) = (tmp_path / "runs").iterdir()
    ladders = [simctl("show", run, "--conn", name).stdout for name in ("c1", "c2")]
    told = " ".join(" ".join(ladders).split())
    assert headline in told
    assert {text for text in ("no whole answer yet", "no answer yet") if text in told} == ({wait} - {""})
    for ladder in ladders:
        if "FIN" in ladder and "IncompleteRead" in ladder:
            assert ladder.index("GET") < ladder.index("─ FIN ─"), "of an answer that was begun the request had come"


def _of_step(folder: Path, step: str) -> str:
    """The prober's address of the exchange of a step."""
    (local,) = [
        event["local"] for event in events_of(folder / "runs") if event["ev"] == "raw" and event["step"] == step
    ]
    return str(local)


def _place(report: dict[str, object], local: str) -> str:
    connections = report["connections"]
    assert isinstance(connections, list)
    places = [place for place, one in enumerate(connections, 1) if json.dumps(local) in json.dumps(one)]
    return f"c{places[0]}"
