"""Scenarios that simctl once said something false of, or that are kin to one: what is true of them must pass, what is
false must not, and who closed first is who did. `scenarios/` has them; each expectation says TRUE or FALSE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Simctl
from tests.support.reports import in_short

SCENARIOS = Path(__file__).with_name("scenarios")

Closings = list[tuple[str, str | None]]

SERVER_FIN, CLIENT_FIN = ("fin", "server"), ("fin", "client")
SERVER_RST, CLIENT_RST = ("rst", "server"), ("rst", "client")

CLOSINGS: Mapping[str, Closings] = {
    "answer-after-close": [CLIENT_FIN],
    "defer-accept": [("fin", "lb")],
    "fin-behind-data": [CLIENT_FIN] * 3,
    "fin-behind-data-of-client": [SERVER_FIN] * 2,
    "fin-comes-again": [SERVER_FIN],
    "fin-lost": [SERVER_FIN],
    "fin-lost-expires": [SERVER_FIN],
    "fin-lost-other-side": [CLIENT_FIN],
    "half-open-recovery": [CLIENT_RST, CLIENT_FIN],
    "last-ack-lost": [("open", None)],
    "nat-forgot-half": [SERVER_FIN],
    "nat-forgot-idle": [("rst", "nat")],
    "nat-port-reuse": [SERVER_FIN] * 12,
    "nat-refused": [SERVER_RST],
    "port-again-after-rst": [CLIENT_RST, CLIENT_RST, CLIENT_FIN],
    "power-loss": [("timeout", "client")],
    "rst-before-queued-fin": [CLIENT_RST] * 3,
    "rst-of-server-before-queued-fin": [SERVER_RST] * 2,
    "second-address": [CLIENT_FIN] * 2,
    "syn-recv-waits": [SERVER_FIN] * 3,
}
"""Scenario -> of each connection, in order of birth: what closed it first, and the node that did."""

QUICK = {"nat-port-reuse", "nat-refused", "second-address"}
"""Those without a long wait."""

KINDS = {"defer-accept": ["apache"]}
"""Kinds that need Debian packages."""

ON_VM = sorted(set(CLOSINGS) - set(KINDS) - {"last-ack-lost", "syn-recv-waits"})
"""A guest has neither Apache nor iptables."""


def test_every_scenario_has_its_right_value() -> None:
    there = {path.stem for path in SCENARIOS.glob("*.yaml") if not path.stem.endswith(".compose")}
    assert there == set(CLOSINGS)


def _cases() -> list[Any]:
    slow = pytest.mark.slow
    return [
        pytest.param(name, marks=[*([] if name in QUICK else [slow]), *([pytest.mark.kinds(*kinds)] if kinds else [])])
        for name in CLOSINGS
        for kinds in [KINDS.get(name, [])]
    ]


@pytest.mark.netns
@pytest.mark.parametrize("name", _cases())
def test_the_true_passes_and_the_false_does_not(simctl: Simctl, as_root: None, name: str) -> None:
    assert_right(name, _run(simctl, name, "netns"))


@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.parametrize("name", ON_VM)
def test_in_virtual_time_too(simctl: Simctl, name: str) -> None:
    assert_right(name, _run(simctl, name, "vm"))


def _run(simctl: Simctl, name: str, runtime: str) -> dict[str, Any]:
    done = simctl(
        "run", SCENARIOS / f"{name}.yaml", "-r", runtime, "--allow-exec", "--format", "json", "-q", timeout=110
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["trouble"] == "", done.stderr
    return report


def assert_right(name: str, report: Mapping[str, Any]) -> None:
    assert report["contradictions"] == []
    outcomes = {verdict["that"]: verdict["outcome"] for verdict in report["verdicts"]}
    expected = {"TRUE": "pass", "FALSE": "fail"}
    wrong = {that: outcome for that, outcome in outcomes.items() if outcome != expected[that.partition(":")[0]]}
    assert not wrong, f"{in_short(report)}\n{wrong}"
    assert any(that.startswith("TRUE") for that in outcomes) and any(that.startswith("FALSE") for that in outcomes)
    closings = [(one["closing"]["kind"], one["closing"]["by"]) for one in report["connections"]]
    assert closings == CLOSINGS[name]
    challenged = [line for line in report["story"] if "challenge ACK" in line]
    assert len(challenged) == (name == "half-open-recovery"), challenged
    if challenged:
        assert challenged[0].startswith("client called for c2 from the addresses of c1, whose old half server had kept")
    if name == "power-loss":
        (one,) = report["connections"]
        assert one["first_closer"] is None and one["closing"]["lost"], "a FIN was sent, and did not arrive"
