"""A comparison must find what is wrong: a right report has no finding, and each falsification of it has one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.truth.compare import compare
from tests.truth.expectations import Expectation, compare_verdicts, expectations
from tests.truth.findings import Comparison
from tests.truth.handmade import CLIENT, CLIENT_KEY, SERVER, SERVER_KEY, Recording, Talk, report
from tests.truth.ladders import compare_ladder
from tests.truth.model_samples import Row, Stretch
from tests.truth.model_wire import ACK, RST

Report = dict[str, Any]


def _recording() -> Recording:
    """Both ends close, the server first; the client's FIN is lost. Samples see FIN_WAIT2 and LAST_ACK to the end."""
    talk = Talk().open(1.0).say(0, 1.2, ACK, 50).say(1, 1.21, ACK, 70).ack(0, 1.22)
    talk.fin(1, 2.0).ack(0, 2.04).fin(0, 3.0, arrives=False).fin(0, 3.2, arrives=False, again=True)
    seen = [
        Stretch(CLIENT_KEY, "1", "ESTABLISHED", 1.05, 1.95),
        Stretch(CLIENT_KEY, "1", "CLOSE_WAIT", 2.05, 2.95),
        Stretch(CLIENT_KEY, "1", "LAST_ACK", 3.05, 10.0),
        Stretch(SERVER_KEY, "2", "ESTABLISHED", 1.05, 1.95),
        Stretch(SERVER_KEY, "2", "FIN_WAIT2", 2.05, 10.0),
    ]
    rows = {
        "client": [Row("LAST_ACK", 1, 1, CLIENT, SERVER, "1")],
        "server": [Row("FIN_WAIT2", 0, 0, SERVER, CLIENT, "2")],
    }
    return Recording([talk], moments={"late": 6.0}, texts={"late": rows}, stretches=seen)


def _right() -> tuple[Recording, Report]:
    recording = _recording()
    states = {"client": {"LAST_ACK": {"min": 1, "max": 1}}, "server": {"FIN_WAIT2": {"min": 1, "max": 1}}}
    nodes = {n: {"sampled": True, "states": s, "close_wait_recv_q": None} for n, s in states.items()}
    return recording, report(recording.truth(), moments=[{"name": "late", "t": 6.0, "nodes": nodes}])


def test_a_right_report_has_no_finding() -> None:
    recording, right = _right()
    found = compare(right, recording.truth())
    assert (found.findings, found.unexplained) == ([], [])
    assert found.figures["states compared"] > 10
    assert found.figures["gauges compared"] == 2


def _closer(told: Report) -> None:
    told["connections"][0]["closing"]["by"] = "client"


def _kind(told: Report) -> None:
    told["connections"][0]["closing"]["kind"] = "rst"


def _time(told: Report) -> None:
    told["connections"][0]["closing"]["at"] = [1.4, 1.4]


def _open(told: Report) -> None:
    told["connections"][0]["closing"] = {"at": None, "by": None, "kind": "open"}


def _time_wait(told: Report) -> None:
    """The first of all findings: the FIN was sent, so TIME_WAIT is claimed."""
    stays = told["connections"][0]["server"]["stays"]
    stays.append({"state": "TIME_WAIT", "first": 3.0, "last": 10.0})
    stays[:] = [stay | {"last": min(stay["last"], 3.0)} if stay["state"] == "FIN_WAIT2" else stay for stay in stays]


def _time_wait_of_an_instant(told: Report) -> None:
    told["connections"][0]["server"]["stays"].append({"state": "TIME_WAIT", "first": 3.0, "last": 3.000001})


def _gone(told: Report) -> None:
    told["connections"][0]["client"]["gaps"].append({"after": 3.5, "before": 3.5, "states": ["CLOSED", "LAST_ACK"]})
    stays = told["connections"][0]["client"]["stays"]
    stays[:] = [stay | {"last": min(stay["last"], 3.5)} for stay in stays if stay["first"] < 3.5]


def _twice(told: Report) -> None:
    one, other = told["connections"][0], copy.deepcopy(told["connections"][0])
    one["server"], other["client"] = None, None
    told["connections"].append(other)


def _missing(told: Report) -> None:
    told["connections"].clear()


def _invented(told: Report) -> None:
    other = copy.deepcopy(told["connections"][0])
    for end in (other["client"], other["server"]):
        end["local"], end["peer"] = (address.replace("40000", "40001") for address in (end["local"], end["peer"]))
    told["connections"].append(other)


def _gauge(told: Report) -> None:
    told["moments"][0]["nodes"]["server"]["states"] = {"TIME_WAIT": {"min": 1, "max": 1}}


_FALSE: dict[str, Callable[[Report], None]] = {
    "first-closer": _closer,
    "closing-kind": _kind,
    "closing-time": _time,
    "told-open": _open,
    "state TIME_WAIT for FIN_WAIT2": _time_wait,
    "never TIME_WAIT": _time_wait_of_an_instant,
    "state CLOSED for LAST_ACK": _gone,
    "told-twice": _twice,
    "not-told": _missing,
    "not-on-wire": _invented,
    "gauge TIME_WAIT": _gauge,
}


@pytest.mark.parametrize("kind", _FALSE)
def test_what_is_false_is_found(kind: str) -> None:
    recording, told = _right()
    _FALSE[kind](told)
    assert kind in compare(told, recording.truth()).kinds


def test_what_simctl_does_not_know_is_no_finding_but_counted() -> None:
    recording, told = _right()
    told["connections"][0]["closing"] |= {"by": None, "kind": "unknown"}
    told["moments"][0]["nodes"]["server"]["states"]["FIN_WAIT2"] = {"min": 0, "max": 1}
    told["connections"][0]["server"] |= {
        "stays": [],
        "gaps": [
            {"after": 0.0, "before": 10.0, "states": ["CLOSED", "SYN_RECV", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2"]}
        ],
    }
    found = compare(told, recording.truth())
    assert found.findings == []
    assert found.figures["closers simctl does not know"] == 1
    assert found.figures["gauges simctl does not know"] == 1
    assert found.figures["states simctl leaves open"] > 3


def test_a_connection_that_gave_up_is_none_that_was_refused() -> None:
    talk = Talk()
    talk.say(0, 1.0, 2).say(1, 1.0001, RST | ACK)
    talk.segments[-1] = type(talk.segments[-1])(1.0001, "lab", "server", SERVER, CLIENT, RST | ACK, 0, 1001, 0)
    recording = Recording([talk])
    told = report(recording.truth())
    told["connections"][0]["closing"] = {"by": None, "kind": "timeout", "at": [1.0001, 1.0001]}
    assert "gave-up" in compare(told, recording.truth()).kinds


def _verdict(expectation: Expectation, outcome: str) -> dict[str, Any]:
    return {"outcome": outcome, "words": "at late", "at": 6.0, "facts": []}


def test_expectations_are_true_and_false_and_verdicts_are_held_against_them() -> None:
    truth = _recording().truth()
    asked = expectations(truth, 1)
    entries = [(e.true, {key: value for key, value in e.entry.items() if key != "that"}) for e in asked]
    assert (True, {"at": "late", "server": {"FIN_WAIT2": 1, "others": 0}}) in entries
    assert (True, {"never": "start .. end", "server": {"TIME_WAIT": 0}}) in entries
    assert (False, {"eventually": "start .. end", "server": {"TIME_WAIT": "1.."}}) in entries
    assert (False, {"over": "start .. end", "client": {"retransmits": "..0"}}) in entries
    assert (True, {"over": "start .. end", "server": {"first_fin": 1}}) in entries
    right, wrong = Comparison(), Comparison()
    compare_verdicts(asked, {"verdicts": [_verdict(e, "pass" if e.true else "fail") for e in asked]}, right)
    compare_verdicts(asked, {"verdicts": [_verdict(e, "fail" if e.true else "pass") for e in asked]}, wrong)
    assert right.findings == []
    assert len(wrong.findings) == len(asked)


def _drawn(**row: Any) -> dict[str, Any]:
    ends = {"client": {"node": "client", "address": CLIENT}, "server": {"node": "server", "address": SERVER}}
    whole = {
        "kind": "segment",
        "lost": False,
        "unproven": False,
        "by": None,
        "node": "client",
        "t": [3.0, 3.0],
        "text": "FIN",
        **row,
    }
    return {"connection": "c1", "connections": [{"id": "c1", "opened": [1.0, 1.0], **ends}], "rows": [whole]}


def _idle(text: str, begin: float, end: float, known: float | None = None) -> dict[str, Any]:
    return {"kind": "silence", "text": text, "t": [begin, end], "says": [{"is": "silence", "idle": known}]}


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ({"lost": True}, []),
        ({"lost": False}, ["drawn-arriving"]),
        ({"lost": False, "unproven": True}, []),
        ({"node": "server", "t": [2.0, 2.0], "lost": True}, ["drawn-lost"]),
        ({"text": "ACK", "node": "server", "t": [3.01, 3.01]}, ["drawn ACK"]),
        ({"text": "RST"}, ["drawn RST"]),
        (_idle("0.9 s idle", 1.0, 1.9), ["idle"]),
        (_idle("0.6 s idle", 1.3, 1.9), []),
        (_idle("0.9 s, the first 0.1 s idle", 1.0, 1.9, known=0.1), []),
        (_idle("0.9 s, the first 0.8 s idle", 1.0, 1.9, known=0.8), ["idle"]),
    ],
)
def test_arrows_and_silence_are_held_against_the_wire(row: dict[str, Any], kinds: list[str]) -> None:
    found = Comparison()
    compare_ladder(_drawn(**row), _recording().truth(), found)
    assert list(found.kinds) == kinds
