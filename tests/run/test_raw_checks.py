"""What is wrong with a step `raw` is told before anything starts, with its place."""

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
TOPOLOGY = Topology(
    Path("lab.yaml"),
    tuple(
        Node(name, name, f"simctl/{kind}", kind, Place("lab.yaml", 1, 1), attachments=(Attachment("lab", (name,)),))
        for name, kind in (("prober", "raw"), ("client", "requests"), ("server", "origin"))
    ),
    (Network("lab"),),
)
HEAD = "name: demo\ntopology: lab.yaml\nsteps:\n  - "
"""Ends in line 4, before column 5."""
RAW = 'raw: {from: prober, to: "server:80", do: '
"""What follows begins at column 46."""


def check(text: str) -> None:
    source = parse_yaml(HEAD + text, "s.yaml")
    check_scenario(LoadedScenario(parse_scenario(source), source, Path("lab.yaml")), TOPOLOGY, KINDS)


def test_the_sound_ones_that_the_wrong_ones_come_from() -> None:
    check(f"{RAW}[]}}")
    check(f"{RAW}[send: a, wait: 1s, read: end, half-close, read: response, reset], session: a, count: 3}}")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        (
            f"{RAW}[clse]}}",
            47,
            "expected half-close, close, reset, or an action such as `wait: 1s`",
        ),
        (
            f"{RAW}[send]}}",
            47,
            "expected half-close, close, reset, or an action such as `wait: 1s`",
        ),
        (f"{RAW}[{{sent: a}}]}}", 48, "unknown key sent in an action"),
        (f"{RAW}[{{}}]}}", 47, "`do`: an action is one of send, read and wait, and this one has none"),
        (f"{RAW}[{{send: a, wait: 1s}}]}}", 47, "and this one has send and wait"),
        (f"{RAW}[{{wait: 1s, bytes: 3}}]}}", 58, "`bytes` means nothing to `wait: 1.0`"),
        (f"{RAW}[{{read: end, count: 3}}]}}", 59, "`count` means nothing to `read: end`"),
        (f"{RAW}[{{send: a, every: 1s}}]}}", 57, "`every` is the pause between pieces of so many `bytes`"),
        (f"{RAW}[{{read: all}}]}}", 54, "`read`: expected 'response', 'continue', 'data' or 'end', not the text 'all'"),
        (f"{RAW}[{{send: a, fill: 0}}]}}", 63, "`fill`: must be at least 1, not 0"),
        (f"{RAW}[{{wait: 1}}]}}", 54, "`wait`: a duration needs a unit"),
        (f"{RAW}[close, wait: 1s]}}", 54, "`close` has ended the connection before"),
        (f"{RAW}[half-close, send: a]}}", 59, "after `half-close` nothing can be written"),
        (f"{RAW}[], interval: 5}}", 60, "`interval`: a duration needs a unit"),
        (
            "raw: {from: prober, to: server, do: []}",
            29,
            "`to`: expected host:port such as server:8080, not the text",
        ),
        ('raw: {from: prober, to: "server:0", do: []}', 29, "`to`: expected host:port such as server:8080"),
        ('raw: {from: prober, to: "sever:1", do: []}', 29, "the host sever is no node, service, alias or address"),
        ('raw: {from: prober, to: "server:1"}', 5, "`do` is missing in raw"),
        (
            'raw: {from: client, to: "server:1", do: []}',
            17,
            "client is a client of the kind requests: it takes `request`",
        ),
        ('raw: {from: server, to: "server:1", do: []}', 17, "server is no client but a server (origin)"),
        ('request: {from: prober, url: "http://server/"}', 21, "prober is a client of the kind raw: it takes `raw`"),
        ("close: {from: prober, session: a}", 36, "no earlier step left a Session a open on prober"),
    ],
)
def test_what_is_wrong_has_its_place(text: str, column: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check(text)
    assert message in caught.value.message
    assert str(caught.value.place) == f"s.yaml:4:{column}"
