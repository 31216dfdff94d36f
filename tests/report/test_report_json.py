"""The JSON document: always valid, complete, and every key of it documented; and the JUnit document."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.analysis.report import NotRun
from orchestrator.history.model import Unobserved
from orchestrator.report.forms import junit
from orchestrator.report.json import run as report_json
from orchestrator.tcp.states import TcpState
from tests.report.test_report_text import HOSTILE, hostile_report
from tests.support.report_samples import FAILED, PASSED, UNKNOWN, idle_history, report, request

REFERENCE = Path(__file__).parents[2] / "docs" / "report-json.md"
FREE = {"requests", "answered", "errors", "nodes", "states"}
"""Members whose keys are names: of nodes, statuses, errors, states."""


def refuse(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def document(text: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return made


def full_history() -> Any:
    history = idle_history(
        requests=(request(), request(error={"name": "ReadTimeout", "text": "late"})),
        unobserved=(Unobserved("client", 1.0, 2.0, 3, 1, 3, frozenset({TcpState.ESTABLISHED})),),
        missed={"server": (8.4,)},
    )
    first, *others = history.connections
    return replace(history, connections=(replace(first, opened=(-math.inf, 0.35)), *others))


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
    made = document(report_json.render(report(PASSED, FAILED, UNKNOWN, history=full_history(), folder=Path("runs/1"))))
    assert (made["schema"], made["outcome"], made["exit_code"]["code"]) == (1, "fail", 1)
    assert made["expectations"] == {"total": 3, "pass": 1, "unknown": 1, "fail": 1}
    assert made["verdicts"] == [verdict.to_json() for verdict in (PASSED, FAILED, UNKNOWN)]
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
    }
    assert idle_end["nodes"]["server"]["sampled"] is False
    assert made["requests"]["client"] == {"count": 2, "answered": {"200": 1}, "errors": {"ReadTimeout": 1}}
    assert made["counters"] == {"client": {"ActiveOpens": 9}, "server": {"TW": 1}}


def test_every_key_is_documented() -> None:
    made = document(report_json.render(report(PASSED, FAILED, history=full_history())))
    rows = (line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line.startswith("| `"))
    documented = {word for row in rows for word in row.split("`")[1::2]}
    missing = set(keys_of(made)) - documented
    assert not missing


def test_every_member_of_the_reference_exists() -> None:
    made = document(report_json.render(report(PASSED, FAILED, history=full_history())))
    rows = (line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line.startswith("| `"))
    first_cells = {word for row in rows for word in row.split("|")[1].split("`")[1::2]}
    assert first_cells <= set(keys_of(made))


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_json_is_valid_whatever_nodes_say(data: str) -> None:
    text = report_json.render(hostile_report(data))
    assert text.isascii()
    made = document(text)
    json.dumps(made, ensure_ascii=False).encode("utf-8")
    assert made["verdicts"][0]["that"] == data.encode("utf-8", "backslashreplace").decode()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_lacks_are_null(value: float) -> None:
    assert document(report_json.render(report(duration=value)))["duration"] is None


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
