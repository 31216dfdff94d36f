"""What verdicts say, and verdicts as data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.judge.judge import judge
from orchestrator.recording.folder import OldVerdicts, RunFolder
from orchestrator.recording.verdict import Outcome, Verdict, overall
from orchestrator.report.words.quantities import when
from tests.support.builders import expect, history, verdict, worded
from tests.support.report_samples import FAILED

PASS, UNKNOWN, FAIL = Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL

IDLE = """
    moment load.end 2
    moment idle.end 4
    client:41000 > server:8080 {python3/123} | -  E  E  CW/1  CW/1  LA  -
    server:8080 {origin/7}                   | L  L  L  L     L     L   L
    server:8080 > client:41000 {origin/7}    | -  E  E  F2    F2    F2  T
    count server TW 0 0 0 0 0 0 1
"""


def test_a_pass_says_how_far_from_flipping_it_is() -> None:
    run = history(IDLE)
    assert worded(run, "{at: idle.end, client: {CLOSE_WAIT: 1}}").margin == "1 socket; 0s to the next change"
    assert worded(run, "{at: idle.end - 500ms, client: {CLOSE_WAIT: ..3}}").margin == "3 sockets"
    assert worded(run, "{at: load.end, server: {LISTEN: 1..}}").margin == "1 socket"
    assert (
        worded(run, "{at: load.end - 250ms, client: {ESTABLISHED: 1}}").margin == "1 socket; 250ms to the next change"
    )
    assert worded(run, "{at: idle.end, client: {recv_q: {CLOSE_WAIT: ..3}}}").margin.startswith("3 bytes")
    assert (
        worded(run, "{always: start .. idle.end, server: {TIME_WAIT: 0}}").margin == "1 socket; 1s to the next change"
    )


def test_a_failure_says_when_it_would_have_held() -> None:
    found = worded(history(IDLE), "{at: load.end, client: {CLOSE_WAIT: 1}}")
    assert (found.outcome, found.actual, found.expected) == (FAIL, "0", "1")
    assert found.reason == "0 sockets in CLOSE_WAIT on client, expected 1 (load.end)"
    assert found.nearest == "load.end + 1s"
    assert found.margin == ""
    assert worded(history(IDLE), "{at: load.end, client: {CLOSE_WAIT: 9}}").nearest == ""


def test_of_two_moments_at_one_time_the_end_of_a_step_names_it() -> None:
    run = history("moment b.end 1\nmoment c.start 1\nmoment a.start 1\nclient:1 > server:80 | E CW CW")
    assert worded(run, "{at: start, client: {CLOSE_WAIT: 1}}").nearest == "b.end"


def test_the_evidence_reads_like_ss() -> None:
    run = history(IDLE)
    (line,) = worded(run, "{at: idle.end, client: {CLOSE_WAIT: 1}}").evidence
    assert line == "client 198.18.0.2:41000 -> server 198.18.0.3:8080 CLOSE_WAIT since 3s Recv-Q 1 python3/123"
    (line,) = worded(run, "{at: idle.end, client: {ESTABLISHED: 1}}").evidence  # what is there instead
    assert "CLOSE_WAIT since 3s" in line
    (line,) = worded(run, "{at: load.end + 500ms, client: {CLOSE_WAIT: 1}}").evidence
    assert line.endswith("ESTABLISHED at 2s, CLOSE_WAIT at 3s python3/123")
    (line,) = worded(run, "{server: {LISTEN: 1}}").evidence
    assert line == "server 0.0.0.0:8080 LISTEN since 0s origin/7"
    (line,) = worded(
        history("server:80 | L L\nunseen server 0 2"), "{at: start + 500ms, server: {ESTABLISHED: 0}}"
    ).evidence
    assert line == "server: 2 sockets came and went between the samples at 0s and 1s, by the kernel's counters"


def test_evidence_is_cut_at_ten_lines() -> None:
    run = history("\n".join(f"client:{port} > server:80 | E" for port in range(1, 14)))
    evidence = worded(run, "{client: {ESTABLISHED: 13}}").evidence
    assert len(evidence) == 11
    assert evidence[-1] == "... and 3 more"


def test_when_is_printed_as_the_scenario_wrote_it() -> None:
    run = history(IDLE)
    assert when(verdict(run, "{at: idle.end + 1s, client: {LISTEN: 0}}").when) == "at idle.end + 1s"
    assert when(verdict(run, "{client: {LISTEN: 0}}").when) == "at end"
    assert when(verdict(run, "{client: {connections: 1}}").when) == "over start .. end"
    text = "{eventually: start .. end, for: 1s, client: {LISTEN: 0}}"
    assert when(verdict(run, text).when) == "eventually start .. end for 1s"


def test_the_order_of_facts_is_kept() -> None:
    found = verdict(history(IDLE), "{at: idle.end, client: {connections: 1, CLOSE_WAIT: 1}, server: {first_fin: 1}}")
    assert [(each.node, each.fact) for each in found.facts] == [
        ("client", "CLOSE_WAIT"), ("client", "connections"), ("server", "first_fin"),
    ]  # fmt: skip


# -- verdicts as data --------------------------------------------------------------------------------------------


def test_verdicts_survive_the_folder(tmp_path: Path) -> None:
    verdicts = judge(
        [
            expect("{at: idle.end, client: {CLOSE_WAIT: 1, connections: 7}}"),
            expect("{at: no.end, client: {LISTEN: 0}}"),
        ],
        history(IDLE),
    )
    folder = RunFolder.create(tmp_path, "x")
    folder.write_verdicts(verdicts)
    assert folder.read_verdicts() == verdicts
    assert json.loads(folder.verdict.read_text())["outcome"] == "fail"
    assert overall(verdicts) is FAIL
    assert overall([]) is PASS


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": 1}', '{"format": 2}', '{"format": 3, "verdicts": []}',
     '{"format": 2, "verdicts": [3]}', '{"format": 2, "verdicts": [{"that": "x"}]}',
     '{"format": 2, "verdicts": [{"that": "", "when": "", "outcome": "maybe", "facts": []}]}'],
)  # fmt: skip
def test_a_verdict_file_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    folder = RunFolder.create(tmp_path, "x")
    with pytest.raises(InputError, match="this run was not judged yet"):
        folder.read_verdicts()
    folder.verdict.write_text(text)
    with pytest.raises(InputError, match=r"verdict\.json") as error:
        folder.read_verdicts()
    assert not isinstance(error.value, OldVerdicts)


def test_verdicts_that_are_words_alone_are_of_an_old_format(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "x")
    folder.verdict.write_text('{"format": 1, "outcome": "pass", "verdicts": [{"that": "x", "when": "at end"}]}')
    with pytest.raises(OldVerdicts, match=r"verdict\.json"):
        folder.read_verdicts()


def test_from_json_names_what_is_wrong() -> None:
    verdict = replace(FAILED, at=3.0)
    whole = json.loads(json.dumps(verdict.to_json()))
    assert Verdict.from_json(whole) == verdict
    (first, *_) = whole["facts"]
    for broken, what in (
        ({**whole, "at": "late"}, "at"),
        ({**whole, "facts": [{}]}, "facts.0.node"),
        ({**whole, "facts": [{**first, "evidence": [1]}]}, "facts.0.evidence.0"),
        ({**whole, "facts": [{**first, "reasons": [{"kind": "mood"}]}]}, "facts.0.reasons.0"),
    ):
        with pytest.raises(ValueError, match=what):
            Verdict.from_json(broken)
