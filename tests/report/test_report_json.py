"""The JSON document: always valid, complete, and every key of it documented; and the JUnit document."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.analysis.report import NotRun
from orchestrator.history.model import Unobserved
from orchestrator.recording.causes import Reason
from orchestrator.recording.events import Event
from orchestrator.recording.evidence import Evidence
from orchestrator.recording.verdict import Verdict
from orchestrator.report.forms import junit
from orchestrator.report.json import run as report_json
from orchestrator.report.json.schema import json_schema
from orchestrator.report.json.verdicts import VerdictDocument
from orchestrator.report.json.verdicts import to_json as verdict_json
from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import schema
from tests.report.test_report_text import HOSTILE, hostile_report
from tests.support.report_samples import FAILED, FIN_WAIT2, PASSED, UNKNOWN, idle_history, report, request
from tests.support.schemas import strictly

REFERENCE = Path(__file__).parents[2] / "docs" / "report-json.md"
FREE = {"requests", "answered", "errors", "repeated", "nodes", "states", "conntrack", "entries"}
"""Members whose keys are names: of nodes, statuses, errors, states."""


def refuse(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


SCHEMA = strictly(json_schema())
VERDICT = strictly(schema(VerdictDocument))


def document(text: str) -> dict[str, Any]:
    """What is printed is JSON, and as the schema says."""
    made: dict[str, Any] = json.loads(text, parse_constant=refuse)
    SCHEMA.validate(made)
    return made


def full_history() -> Any:
    history = idle_history(
        requests=(request(), request(error={"name": "ReadTimeout", "text": "late"})),
        unobserved=(Unobserved("client", 1.0, 2.0, 3, 1, 3, frozenset({TcpState.ESTABLISHED})),),
        missed={"server": (8.4,)},
    )
    first, *others = history.connections
    return replace(history, connections=(replace(first, opened=(-math.inf, 0.35)), *others), loads=(LOAD,), logs=(LOG,))


LOG: Event = {
    "ev": "log", "t": 1.0, "node": "server", "after": 0.0, "says": "it went away", "client": "198.18.0.2:40000",
}  # fmt: skip
"""It explains the request that failed."""

LOAD: Event = {
    "ev": "load", "t": 9.0, "node": "client", "step": "flow", "rate": 20.0, "asked": 40, "sent": 40, "late": 2,
    "lateness": 0.0123, "seconds": 1.96,
}  # fmt: skip


def keys_of(value: Any, *, names: bool = False) -> Iterator[str]:
    """Every key in the document that is not itself a name of something in the run."""
    if isinstance(value, dict):
        for key, inside in value.items():
            if not names:
                yield key
            if key == "counters":
                continue  # names on both levels
            # `states` is a list of names in a gap, and a mapping by name in a moment.
            yield from keys_of(inside, names=key in FREE and not names)
    elif isinstance(value, list):
        for inside in value:
            yield from keys_of(inside)


def test_the_document_tells_the_run() -> None:
    made = document(
        "".join(report_json.pieces(report(PASSED, FAILED, UNKNOWN, history=full_history(), folder=Path("runs/1"))))
    )
    assert (made["schema"], made["outcome"], made["exit_code"]["code"]) == (2, "fail", 1)
    assert made["expectations"] == {"total": 3, "pass": 1, "unknown": 1, "fail": 1}
    assert [Verdict.from_json(each) for each in made["verdicts"]] == [PASSED, FAILED, UNKNOWN]
    (_, fact, _) = made["verdicts"][1]["facts"]
    assert (fact["actual"], fact["words"]["actual"]) == ({"least": 0, "most": 0, "unit": "socket"}, "0")
    assert fact["evidence"][0]["sk"] == FIN_WAIT2.sk
    assert "FIN_WAIT2 since 5.45s" in fact["words"]["evidence"][0]
    assert made["folder"] == "runs/1"
    first, second = made["connections"]
    assert first["opened"] == [None, 0.35]
    assert (first["first_closer"], first["client_node"], first["closed"]) == ("server", "client", [5.4, 5.45])
    assert [interval["state"] for interval in first["server"]["stays"]] == ["ESTABLISHED", "FIN_WAIT2", "TIME_WAIT"]
    assert (second["first_closer"], second["closed"]) == (None, None)
    idle_end = next(moment for moment in made["moments"] if moment["name"] == "idle.end")
    assert idle_end["nodes"]["client"] == {
        "sampled": True,
        "states": {"CLOSE_WAIT": {"min": 1, "max": 1}},
        "close_wait_recv_q": {"min": 1, "max": 1},
        "conntrack": None,
    }
    assert idle_end["nodes"]["server"]["sampled"] is False
    assert made["requests"]["client"] == {
        "count": 2,
        "answered": {"200": 1},
        "errors": {"ReadTimeout": 1},
        "repeated": {},
        "durations": {"p50": 0.01, "p95": 0.01, "p99": 0.01, "max": 0.01},
    }
    assert made["counters"] == {"client": {"ActiveOpens": 9}, "server": {"TW": 1}}


def table_rows(*, kinds: bool) -> list[str]:
    """The rows of the page's tables: of those that list kinds, or of the others, which list keys."""
    sections = re.split(r"^#+ ", REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    chosen = (section for section in sections if section.startswith("Kinds of") is kinds)
    return [line for section in chosen for line in section.splitlines() if line.startswith("| `")]


def words_in(rows: list[str], cell: int | None = None) -> set[str]:
    """What stands between backticks in the rows, or in one cell of each."""
    texts = rows if cell is None else [row.split(" | ")[cell] for row in rows]
    return {word for text in texts for word in text.split("`")[1::2]}


def test_every_key_is_documented() -> None:
    made = document("".join(report_json.pieces(report(PASSED, FAILED, history=full_history()))))
    missing = set(keys_of(made)) - words_in(table_rows(kinds=True)) - words_in(table_rows(kinds=False))
    assert not missing


def test_every_member_of_the_reference_exists() -> None:
    made = document("".join(report_json.pieces(report(PASSED, FAILED, history=full_history()))))
    assert words_in(table_rows(kinds=False), 0) <= set(keys_of(made))


def test_every_kind_of_reason_and_evidence_is_documented_with_its_keys() -> None:
    """And no kind that there is not."""
    listed = {row.split("`")[1]: words_in([row], 1) for row in table_rows(kinds=True)}
    known = {
        kind.__dataclass_fields__["kind"].default: {field.name for field in fields(kind)} - {"kind"}
        for union in (Reason, Evidence)
        for kind in get_args(get_args(union)[0])
    }
    assert listed.keys() == known.keys()
    for kind, keys in known.items():
        assert keys <= listed[kind], kind


st.register_type_strategy(float, st.floats(-1e6, 1e6))  # of `from_type` alone: no time is infinite


@settings(max_examples=80, deadline=None)
@given(st.from_type(Verdict))
def test_every_verdict_has_words_fits_the_schema_and_is_read_back(verdict: Verdict) -> None:
    """Whatever kinds of reasons and evidence it has."""
    data = json.loads(json.dumps(verdict_json(verdict), allow_nan=False))
    VERDICT.validate(data)
    assert Verdict.from_json(data).to_json() == verdict.to_json()
    for fact, told in zip(verdict.facts, data["facts"], strict=True):
        assert bool(fact.reasons) is bool(told["words"]["reason"])
        assert len(told["words"]["evidence"]) == len(fact.evidence) + (fact.more_evidence != 0)


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_json_is_valid_whatever_nodes_say(data: str) -> None:
    text = "".join(report_json.pieces(hostile_report(data)))
    assert text.isascii()
    made = document(text)
    json.dumps(made, ensure_ascii=False).encode("utf-8")
    assert made["verdicts"][0]["that"] == data.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_are_null(value: float) -> None:
    assert document("".join(report_json.pieces(report(duration=value))))["duration"] is None


def junit_root(*reports: Any) -> ElementTree.Element:
    return ElementTree.fromstring(junit.render(reports).encode("utf-8"))


def test_junit_has_a_suite_per_run_and_a_case_per_expectation() -> None:
    root = junit_root(report(PASSED, FAILED, UNKNOWN), report(PASSED, scenario="other"))
    assert [suite.get("name") for suite in root] == ["idle-close", "other"]
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["4", "1", "1"]
    passed, failed, unknown = root[0].findall("testcase")
    assert passed.get("name") == PASSED.that and len(passed) == 0
    failure = failed.find("failure")
    assert failure is not None and failure.text is not None
    assert failure.get("message") == "at idle.end: server TIME_WAIT: expected 1, actual 0"
    for part in ("expected 1, actual 0", "reuse.start + 100ms", "FIN_WAIT2 since 5.45s", "8.400 s"):
        assert part in failure.text
    assert "CLOSE_WAIT: expected" not in failure.text
    error = unknown.find("error")
    assert error is not None and "do not tell" in (error.text or "")
    output = root[0].find("system-out")
    assert output is not None and "server closed first; TIME_WAIT on server" in (output.text or "")


def test_junit_tells_of_scenarios_that_could_not_be_run() -> None:
    document = junit.render([report(PASSED)], [NotRun("lost", "lost.yaml:1:1: no such file")])
    root = ElementTree.fromstring(document.encode("utf-8"))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "0", "1")
    error = root.find("testsuite[@name='lost']/testcase/error")
    assert error is not None
    assert error.get("message") == "lost.yaml:1:1: no such file"


def test_junit_of_a_run_that_was_broken_off_is_not_green() -> None:
    broken = report(PASSED, history=idle_history(end={"outcome": "failed", "detail": "server died"}))
    root = junit_root(broken)
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["2", "0", "1"]


def test_junit_without_reports() -> None:
    assert junit_root().get("tests") == "0"


def test_junit_keeps_what_nodes_say_in_escaped_form() -> None:
    failure = junit_root(hostile_report(HOSTILE))[0].find("testcase/failure")
    assert failure is not None and failure.text is not None
    assert r"\x1b[31mred\x1b[0m [bold]not bold[/bold] :smile: \x07\r\nnext \u202e" in failure.text


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_junit_is_valid_whatever_nodes_say(data: str) -> None:
    root = junit_root(hostile_report(data))
    texts = [part for element in root.iter() for part in (element.text or "", *element.attrib.values())]
    assert all(char.isprintable() or char in " \n" for part in texts for char in part)
