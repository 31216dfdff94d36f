"""What verdicts say, and verdicts as data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.judge.judge import judge
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict, overall
from tests.support.builders import expect, fact, history, verdict

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
    assert fact(run, "{at: idle.end, client: {CLOSE_WAIT: 1}}").margin == "1 socket; 0s to the next change"
    assert fact(run, "{at: idle.end - 500ms, client: {CLOSE_WAIT: ..3}}").margin == "3 sockets"
    assert fact(run, "{at: load.end, server: {LISTEN: 1..}}").margin == "1 socket"
    assert fact(run, "{at: load.end - 250ms, client: {ESTABLISHED: 1}}").margin == "1 socket; 250ms to the next change"
    assert fact(run, "{at: idle.end, client: {recv_q: {CLOSE_WAIT: ..3}}}").margin.startswith("3 bytes")
    assert fact(run, "{always: start .. idle.end, server: {TIME_WAIT: 0}}").margin == "1 socket; 1s to the next change"


def test_a_failure_says_when_it_would_have_held() -> None:
    found = fact(history(IDLE), "{at: load.end, client: {CLOSE_WAIT: 1}}")
    assert (found.outcome, found.actual, found.expected) == (FAIL, "0", "1")
    assert found.reason == "0 sockets in CLOSE_WAIT on client, expected 1 (load.end)"
    assert found.nearest == "load.end + 1s"
    assert found.margin == ""
    assert fact(history(IDLE), "{at: load.end, client: {CLOSE_WAIT: 9}}").nearest == ""


def test_of_two_moments_at_one_time_the_end_of_a_step_names_it() -> None:
    run = history("moment b.end 1\nmoment c.start 1\nmoment a.start 1\nclient:1 > server:80 | E CW CW")
    assert fact(run, "{at: start, client: {CLOSE_WAIT: 1}}").nearest == "b.end"


def test_the_evidence_reads_like_ss() -> None:
    run = history(IDLE)
    (line,) = fact(run, "{at: idle.end, client: {CLOSE_WAIT: 1}}").evidence
    assert line == "client 198.18.0.2:41000 -> server 198.18.0.3:8080 CLOSE_WAIT since 3s Recv-Q 1 python3/123"
    (line,) = fact(run, "{at: idle.end, client: {ESTABLISHED: 1}}").evidence  # what is there instead
    assert "CLOSE_WAIT since 3s" in line
    (line,) = fact(run, "{at: load.end + 500ms, client: {CLOSE_WAIT: 1}}").evidence
    assert line.endswith("ESTABLISHED at 2s, CLOSE_WAIT at 3s python3/123")
    (line,) = fact(run, "{server: {LISTEN: 1}}").evidence
    assert line == "server 0.0.0.0:8080 LISTEN since 0s origin/7"
    (line,) = fact(
        history("server:80 | L L\nunseen server 0 2"), "{at: start + 500ms, server: {ESTABLISHED: 0}}"
    ).evidence
    assert line == "server: 2 sockets came and went between the samples at 0s and 1s, by the kernel's counters"


def test_evidence_is_cut_at_ten_lines() -> None:
    run = history("\n".join(f"client:{port} > server:80 | E" for port in range(1, 14)))
    evidence = fact(run, "{client: {ESTABLISHED: 13}}").evidence
    assert len(evidence) == 11
    assert evidence[-1] == "... and 3 more"


def test_when_is_printed_as_the_scenario_wrote_it() -> None:
    run = history(IDLE)
    assert verdict(run, "{at: idle.end + 1s, client: {LISTEN: 0}}").when == "at idle.end + 1s"
    assert verdict(run, "{client: {LISTEN: 0}}").when == "at end"
    assert verdict(run, "{client: {connections: 1}}").when == "over start .. end"
    text = "{eventually: start .. end, for: 1s, client: {LISTEN: 0}}"
    assert verdict(run, text).when == "eventually start .. end for 1s"


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
    ["", "[]", "{}", '{"format": 1}', '{"format": 1, "verdicts": [3]}', '{"format": 1, "verdicts": [{"that": "x"}]}',
     '{"format": 1, "verdicts": [{"that": "", "when": "", "outcome": "maybe", "facts": []}]}'],
)  # fmt: skip
def test_a_verdict_file_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    folder = RunFolder.create(tmp_path, "x")
    with pytest.raises(InputError, match="this run was not judged yet"):
        folder.read_verdicts()
    folder.verdict.write_text(text)
    with pytest.raises(InputError, match=r"verdict\.json"):
        folder.read_verdicts()


def test_from_json_names_what_is_wrong() -> None:
    whole = Verdict("x", "at end", PASS, (FactVerdict("n", "f", "1", "1", PASS),), 3.0).to_json()
    assert Verdict.from_json(whole).to_json() == whole
    for broken in (
        {**whole, "at": "3"},
        {**whole, "facts": [{}]},
        {**whole, "facts": [{**whole["facts"][0], "evidence": [1]}]},
    ):
        with pytest.raises(ValueError, match=r"must be|missing"):
            Verdict.from_json(broken)
