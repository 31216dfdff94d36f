"""A scenario against its topology: names, roles, hosts, moments, Sessions; each with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InputError, Place
from orchestrator.kinds.registry import load_kinds
from orchestrator.run.check import check_scenario
from orchestrator.scenario.loader import LoadedScenario, parse_scenario
from orchestrator.text.yamlsource import parse_yaml
from orchestrator.topology.model import Attachment, Network, Node, Topology

KINDS = load_kinds()


def node(name: str, kind: str | None, *, service: str | None = None, address: str | None = None) -> Node:
    service = service or name
    return Node(
        name,
        service,
        image=f"simctl/{kind}" if kind else "redis:7",
        kind=kind,
        place=Place("lab.yaml", 1, 1),
        attachments=(Attachment("lab", (service, f"{service}.example"), address),),
        hostname="front" if name == "server" else None,
        extra_hosts={"legacy": "198.18.0.9"} if kind == "requests" else {},
    )


TOPOLOGY = Topology(
    Path("lab.yaml"),
    (
        node("client", "requests"),
        node("server", "origin", address="198.18.0.9"),
        node("worker-1", "requests", service="worker"),
        node("worker-2", "requests", service="worker"),
        node("cache", None),
        node("old", "curl"),
    ),
    (Network("lab"),),
)

STEPS = """\
name: demo
topology: lab.yaml
steps:
  - name: load
    request: {from: client, url: "http://server:8080/", session: pool}
  - name: idle
    wait: 8s
"""
"""Seven lines."""
EXPECT = STEPS + "expect:\n  - that: x\n    "
"""Ends in line 10, before column 5."""


def check(text: str) -> None:
    source = parse_yaml(text, "s.yaml")
    check_scenario(LoadedScenario(parse_scenario(source), source, Path("lab.yaml")), TOPOLOGY, KINDS)


STEP = STEPS + "  - "
"""Ends in line 8, before column 5."""


AT = f"{STEP}{{at: "
BESIDE = f"""{STEP}name: slow
    request: {{from: client, url: "http://server/", session: s}}
    background: true"""
"""Ends in line 10."""
PACED = f"{STEP}request: {{from: old, url: 'http://server/', "


@pytest.mark.parametrize(
    ("text", "line", "column", "says", "hint"),
    [
        # nodes of steps
        (f"{STEP}stop: sever", 8, 11, "no node is called sever in lab.yaml", "did you mean server?"),
        (f'{STEP}stop: "\\e[31m"', 8, 11, "no node is called '\\x1b[31m'", "known"),
        (f"{STEP}exec: {{node: zzz, command: [ls]}}", 8, 18, "no node is called zzz", "known: client, server"),
        (f"{STEP}request: {{from: clint, url: 'http://server/'}}", 8, 21, "no node is called clint", "mean client?"),
        (
            f"{STEP}request: {{from: server, url: 'http://server/'}}",
            8,
            21,
            "server is no client but a server (origin)",
            "",
        ),
        (
            f"{STEP}request: {{from: cache, url: 'http://server/'}}",
            8,
            21,
            "no client but the image redis:7",
            "clients of",
        ),
        (
            f"{STEP}close: {{from: server, session: pool}}",
            8,
            19,
            "server is no client",
            "clients of this topology: client",
        ),
        (f"{STEP}kill: client\n  - stop: client", 9, 11, "client is gone: the step kill-3 ended its program", None),
        (f"{STEP}stop: worker\n  - pause: worker-2", 9, 12, "worker-2 is gone: the step stop-3", None),
        (f"{STEP}pause: client\n  - stop: client", 9, 11, "client is paused by the step pause-3", "`resume` it first"),
        (
            f"{STEP}pause: worker-2\n  - resume: worker-1\n  - request: {{from: worker, url: 'http://server/'}}",
            10,
            21,
            "worker-2 is paused by the step pause-3",
            "`resume` it first",
        ),
        # hosts
        (
            f"{STEP}request: {{from: client, url: 'http://sever/'}}",
            8,
            34,
            "the URL's host sever",
            "did you mean server?",
        ),
        (f"{STEP}request: {{from: client, url: 'http://10.0.0.1/'}}", 8, 34, "the URL's host 10.0.0.1", "known"),
        # Sessions
        (f"{STEP}close: {{from: client, session: pol}}", 8, 36, "no earlier step left a Session pol open", "pool?"),
        (f"{STEP}close: {{from: worker, session: pool}}", 8, 36, "open on worker-1", "a `request` with `session`"),
        (
            f"{STEP}close: {{from: client, session: pool}}\n  - close: {{from: client, session: pool}}",
            9,
            36,
            "no earlier step left a Session pool open on client",
            "a `request`",
        ),
        # steps beside others
        (f"{STEP}await: load", 8, 12, "no step load runs in the background here", "background: true"),
        (f"{AT}idel.start + 1s, wait: 1s}}", 8, 10, "no step is called idel", "did you mean idle?"),
        (f"{AT}now.start + 1s, wait: 1s, name: now}}", 8, 10, "now cannot start at a moment of itself", "idle.start"),
        (
            f"{AT}later.start, wait: 1s}}\n  - {{name: later, wait: 1s}}",
            8,
            10,
            "later is a later step",
            "idle.start + 1s",
        ),
        (f"{AT}end, wait: 1s}}", 8, 10, "no step can start at the end of the run", "idle.start + 1s"),
        (f"{AT}idle.end - 1s, wait: 1s}}", 8, 10, "is not known before it is", "idle.start + 1s"),
        (f"{AT}start - 1s, wait: 1s}}", 8, 10, "start - 1s is before the start of the run", "start + 1s"),
        (f"{BESIDE}\n  - await: slow\n  - await: slow", 12, 12, "no step slow runs in the background here", "with"),
        (f"{BESIDE}\n  - await: slwo", 11, 12, "no step slwo runs in the background here", "did you mean slow?"),
        (f"{BESIDE}\n  - pause: client", 9, 14, "slow cannot end: client, which it waits for, is paused", "resume"),
        (f"{BESIDE}\n  - pause: client\n  - await: slow", 12, 12, "the step slow cannot end: client", "resume"),
        (
            f"{BESIDE}\n  - close: {{from: client, session: s}}",
            11,
            36,
            "slow may be using the Session s",
            "await: slow",
        ),
        (f"{BESIDE}\n  - stop: client\n  - pause: client", 12, 12, "client is gone: the step stop-4", None),
        (f"{PACED}rate: 5, duration: 1s}}", 8, 55, "the client curl cannot keep to a `rate`", "requests"),
        (f"{PACED}duration: 1s}}", 8, 59, "the client curl cannot keep to a `duration`", "httpx"),
        (f"{PACED}interval: 1s..2s}}", 8, 59, "the client curl cannot keep to a range of pauses", "urllib3"),
        # expectations
        (f"{EXPECT}clint: {{LISTEN: 0}}", 10, 5, "no node is called clint", "did you mean client?"),
        (f"{EXPECT}alway: {{LISTEN: 0}}", 10, 5, "no node is called alway", "did you mean always?"),
        (f"{EXPECT}server: {{requests: 5}}", 10, 14, "requests is known of a client only; server is a server", None),
        (f"{EXPECT}client: {{served: 5}}", 10, 14, "served is known of a server or proxy only; client is", None),
        (f"{EXPECT}cache: {{closed_by: {{idle: 5}}}}", 10, 13, "cache is the image redis:7", None),
        (f"{EXPECT}where: {{peer: sever}}\n    client: {{LISTEN: 0}}", 10, 19, "the peer sever is no node", "server?"),
        # moments and windows
        (f"{EXPECT}at: idel.end\n    client: {{LISTEN: 0}}", 10, 9, "no step is called idel", "did you mean idle?"),
        (
            f"{EXPECT}over: load.start .. zzz.end\n    client: {{resets: 0}}",
            10,
            11,
            "no step is called zzz",
            "load, idle",
        ),
        (f"{EXPECT}at: end + 1s\n    client: {{LISTEN: 0}}", 10, 9, "end + 1s is after the end of the run", "`wait`"),
        (f"{EXPECT}at: idle.end + 1s\n    client: {{LISTEN: 0}}", 10, 9, "after the end of the run", "`wait`"),
        (
            f"{EXPECT}at: start - 1s\n    client: {{LISTEN: 0}}",
            10,
            9,
            "start - 1s is before the start of the run",
            "nothing",
        ),
        (f"{EXPECT}at: load.start - 1s\n    client: {{LISTEN: 0}}", 10, 9, "before the start of the run", "nothing"),
        (
            f"{EXPECT}over: end .. start\n    client: {{resets: 0}}",
            10,
            11,
            "ends before it starts",
            "write start .. end",
        ),
        (
            f"{EXPECT}over: idle.start .. load.start\n    client: {{resets: 0}}",
            10,
            11,
            "ends before it starts",
            "write",
        ),
        (f"{EXPECT}over: load.end + 2s .. load.end + 1s\n    client: {{resets: 0}}", 10, 11, "ends before", "write"),
    ],
)
def test_one_misfit(text: str, line: int, column: int, says: str, hint: str | None) -> None:
    with pytest.raises(InputError) as caught:
        check(text)
    found = caught.value.problems
    assert [str(problem) for problem in found[1:]] == []
    assert found[0].place == Place(Path("s.yaml"), line, column)
    assert says in found[0].message
    assert (found[0].hint is None) == (hint is None)
    assert (hint or "") in (found[0].hint or "")


@pytest.mark.parametrize(
    "text",
    [
        STEPS,
        *(
            f"{STEP}request: {{from: client, url: 'http://{host}/'}}"
            for host in (
                "SERVER",
                "server.example:8080",
                "198.18.0.9",
                "front",
                "legacy",
                "worker",
                "worker-2",
                "cache",
            )
        ),
        f"{STEP}request: {{from: worker, url: 'http://server/', session: a}}\n"
        "  - close: {from: worker-2, session: a}",
        f"{STEP}kill: server\n  - request: {{from: client, url: 'http://server/'}}",
        f"{STEP}pause: server\n  - resume: server\n  - kill: server",
        f"{BESIDE}\n  - pause: client\n  - resume: client\n  - await: slow\n  - close: {{from: client, session: s}}",
        f"{BESIDE}\n  - kill: client",
        f"{BESIDE}\n  - {{at: slow.end + 1s, kill: server}}\n  - {{at: start, wait: 1s}}",
        f"{AT}load.start, wait: 1s}}",
        f"{AT}idle.start + 9s, wait: 2s, name: a}}\nexpect:\n  - that: x\n    over: a.end .. a.end + 1s\n"
        "    client: {resets: 0}",
        f"{EXPECT}client: {{requests: 1, errors: 0}}\n    server: {{served: 1}}\n    worker: {{ESTABLISHED: 0}}",
        f"{EXPECT}where: {{peer: 198.18.0.9}}\n    at: load.end + 3s\n    cache: {{LISTEN: 0}}",
        f"{EXPECT}where: {{peer: worker}}\n    always: start .. end\n    server: {{LISTEN: 1}}",
        f"{EXPECT}over: load.start + 1s .. load.end\n    client: {{resets: 0}}",
        f"{EXPECT}over: idle.end - 2s .. load.end + 7s\n    client: {{resets: 0}}",
        f"{EXPECT}over: load.end .. idle.start\n    client: {{resets: 0}}",
        f"{EXPECT}over: load.end .. load.end\n    client: {{resets: 0}}",
    ],
)
def test_what_fits(text: str) -> None:
    check(text)


def test_all_misfits_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(InputError) as caught:
        check(
            f"{EXPECT}at: no.end\n    clint: {{LISTEN: 0}}\n    client: {{served: 1}}".replace(
                "http://server", "http://s"
            )
        )
    assert [problem.place.line for problem in caught.value.problems if problem.place] == [5, 10, 11, 12]
    assert caught.value.message == "4 problems"
