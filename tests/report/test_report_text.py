"""The report in the terminal: what it says, that it fits, that no node can steer the terminal."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.analysis.report import RunReport
from orchestrator.recording.causes import NeverReached, NoSuchNode, NoSuchPeer, OutOfRange
from orchestrator.recording.evidence import ConnectionCarried, RequestSeen
from orchestrator.recording.folder import SS
from orchestrator.recording.quantities import Bounds, Instant
from orchestrator.recording.verdict import FactVerdict, Margin, Outcome, Verdict, When, WhenKind
from orchestrator.report.text import run as text
from orchestrator.text.safe import LONGEST, visible
from tests.support.closings import rst
from tests.support.report_samples import (
    FAILED,
    FIN_WAIT2,
    PASSED,
    UNKNOWN,
    at,
    idle_history,
    moment,
    printed,
    report,
    request,
    sock,
)

HOSTILE = "\x1b[31mred\x1b[0m [bold]not bold[/bold] :smile: \x07\r\nnext \u202eright-to-left \ud800 \x9b2J"


def lines_of(output: str) -> list[str]:
    return [" ".join(line.split()) for line in output.splitlines()]


def test_the_headline_and_the_first_closer_come_first() -> None:
    lines = lines_of(printed(report(PASSED)))
    assert lines[0] == "PASS idle-close 1 of 1 expectation holds (netns, 8.6 s)"
    assert lines.index("1 connection client -> server:8080: server closed first; TIME_WAIT on server") < 5
    assert "1 connection client -> server:8080: still open at the end" in lines
    assert "6 requests by client: all answered 200" in lines
    assert "pass five requests share one connection" in lines


def test_failures_come_before_unknowns_before_passes() -> None:
    output = printed(report(PASSED, UNKNOWN, FAILED))
    assert output.startswith("FAIL ")
    places = [output.index(verdict.that) for verdict in (FAILED, UNKNOWN, PASSED)]
    assert places == sorted(places)


def test_a_failure_shows_expected_beside_actual_and_why() -> None:
    lines = lines_of(printed(report(FAILED), width=120))
    assert "at idle.end (8.4s)" in lines
    assert "node fact expected actual margin" in lines
    assert "server TIME_WAIT 1 0 fail 1 socket" in lines
    assert lines.index("server TIME_WAIT 1 0 fail 1 socket") < lines.index("client CLOSE_WAIT 1 1 pass 1 socket")
    assert "nearest: it would have held at reuse.start + 100ms" in lines
    assert "server 198.18.0.3:8080 -> client 198.18.0.2:40000 FIN_WAIT2 since 5.45s" in lines


def test_an_unknown_names_its_window_in_seconds() -> None:
    assert "always idle.start .. idle.end (0.4s .. 8.4s, decided at 5.425s)" in printed(report(UNKNOWN))


def test_facts_with_one_explanation_are_explained_once() -> None:
    reason = "the run never reached idle.end: it was interrupted"
    reached = NeverReached(moment=moment("idle.end", None), run="interrupted", detail="")
    facts = tuple(
        sock("client", fact, 1, None, Outcome.UNKNOWN, reasons=(reached,)) for fact in ("CLOSE_WAIT", "TIME_WAIT")
    )
    output = printed(report(Verdict("that", at("idle.end", None), Outcome.UNKNOWN, facts)), width=120)
    assert f"client CLOSE_WAIT, client TIME_WAIT: {reason}" in output
    assert output.count(reason) == 1


def test_long_evidence_is_for_verbose() -> None:
    evidence = tuple(ConnectionCarried(node="n", local=f"{n}:1", peer=None, requests=1) for n in range(10))
    lines = [f"n {n}:1: 1 request" for n in range(10)]
    fact = sock("client", "TIME_WAIT", 1, 10, Outcome.FAIL, reasons=(OutOfRange(),), evidence=evidence)
    made = report(Verdict("that", at("end", 8.6), Outcome.FAIL, (fact,)))
    assert all(line in printed(made, verbose=True) for line in lines)
    brief = printed(made)
    assert lines[3] in brief and lines[4] not in brief and "... and 6 more lines (--verbose)" in brief


def test_the_ss_file_of_the_moment_is_named_when_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / SS / "idle.end" / "server.ss.txt"
    assert "cat " not in printed(report(FAILED, folder=tmp_path))
    file.parent.mkdir(parents=True)
    file.write_text("State  Recv-Q\n")
    assert f"cat {file}" in printed(report(FAILED, folder=tmp_path))


def test_without_a_folder_the_live_command_is_named() -> None:
    assert "simctl ss server" in printed(report(FAILED))


def test_a_node_name_cannot_lead_out_of_the_run_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / SS / "idle.end").mkdir(parents=True)
    (tmp_path / "secret.ss.txt").write_text("no")
    bad = replace(FAILED, facts=(sock("../../../secret", "TIME_WAIT", 1, 0, Outcome.FAIL),))
    assert "less" not in printed(report(bad, folder=folder))


def test_the_table_of_moments() -> None:
    lines = lines_of(printed(report(PASSED), width=120))
    assert "s moment node ESTABLISHED FIN_WAIT2 CLOSE_WAIT TIME_WAIT" in lines
    at = lines.index("8.40 idle.end = reuse.start client . . 1 (Recv-Q 1) .")
    assert lines[at + 1] == "server . 1 . ."
    assert "8.55 reuse.end client 1 . . ." in lines
    assert not any("LISTEN" in line for line in lines)


def test_verbose_adds_listen_the_observation_the_requests_and_their_connection_headers() -> None:
    output = printed(report(PASSED), width=120, verbose=True)
    lines = lines_of(output)
    assert "s moment node ESTABLISHED FIN_WAIT2 CLOSE_WAIT TIME_WAIT LISTEN" in lines
    assert "CLOSE_WAIT seen on client (1)" in lines
    assert "4 x load GET http://server:8080/ 200 reused keep-alive / -" in lines
    assert "client connections 1 1 pass 1 connection" in lines


def test_requests_that_failed_are_told_by_name() -> None:
    error = {"name": "RemoteDisconnected", "text": "Remote end closed connection without response"}
    history = idle_history(requests=(request(), request(status=502), request(error=error)))
    output = printed(report(history=history), width=120, verbose=True)
    assert "3 requests by client: 1 answered 200, 1 answered 502, 1 failed with RemoteDisconnected" in output
    assert "1 x Remote end closed connection without response" in output


def test_a_run_that_was_broken_off_says_so() -> None:
    history = idle_history(end={"outcome": "failed", "detail": "server died"})
    assert "the run was not completed: failed, server died" in printed(report(history=history))
    assert "broken off" in printed(report(history=idle_history(end={})))
    assert "not completed" not in printed(report())


def test_a_virtual_clock_is_named() -> None:
    assert "8.6 s of virtual time" in printed(report(PASSED, clock="virtual"))


def test_notes_are_printed_once() -> None:
    history = idle_history(notes=("no kernel tracing",))
    assert printed(report(history=history, notes=("no kernel tracing",))).count("note: no kernel tracing") == 1


def test_the_end_names_the_commands_for_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = printed(report(PASSED, folder=tmp_path / "runs" / "one two"))
    assert [line.strip() for line in output.splitlines()[-2:]] == [
        "simctl report 'runs/one two'   this report again",
        "simctl verify 'runs/one two'   judge the recording again",
    ]


def test_nothing_seen_and_nothing_expected() -> None:
    output = printed(report(history=idle_history(sockets=(), connections=(), requests=())))
    assert "nothing was expected" in output
    assert "No connection was seen." in output
    assert "No socket was seen at any named moment." in output


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_longer_than_the_terminal(width: int, verbose: bool) -> None:
    long = replace(FAILED, that="a sentence of many words " * 12)
    output = printed(report(PASSED, UNKNOWN, long), width=width, verbose=verbose)
    assert max(map(len, output.splitlines())) <= width
    assert not any(line != line.rstrip() for line in output.splitlines())


def test_all_states_and_long_names_fit_into_80_columns() -> None:
    """Too wide for a table, the moments become lists; nothing is cut off."""
    history = idle_history()
    name = "a-service-with-a-name-of-many-words-and-still-more-of-them-until-it-is-long"
    sockets = tuple(replace(end, node=name if end.node == "server" else end.node) for end in history.sockets)
    history = replace(history, nodes=("client", name), sockets=sockets)
    output = printed(report(history=history), width=80)
    assert max(map(len, output.splitlines())) <= 80
    for part in ("a-service-with-a-name-of", "it-is-long", "1 FIN_WAIT2", "1 ESTABLISHED, 1 TIME_WAIT"):
        assert part in output
    assert "1 CLOSE_WAIT (Recv-Q 1)" in output


def test_colour_is_for_terminals_only() -> None:
    made = report(PASSED, FAILED, UNKNOWN)
    assert "\x1b" not in printed(made)
    coloured = printed(made, terminal=True)
    assert "\x1b[31mfail" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == printed(made)


@pytest.mark.parametrize("verbose", [False, True])
def test_what_comes_from_nodes_is_escaped(verbose: bool) -> None:
    output = printed(hostile_report(HOSTILE), width=400, verbose=verbose)
    assert not [char for char in output if not char.isprintable() and char != "\n"]
    assert r"\x1b[31mred\x1b[0m [bold]not bold[/bold] :smile: \x07\r\nnext \u202e" in output
    assert r"\ud800 \x9b2J" in output


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=[])), st.integers(min_value=30, max_value=160))
def test_no_text_of_a_node_steers_the_terminal(data: str, width: int) -> None:
    output = printed(hostile_report(data), width=width, verbose=True)
    assert not [char for char in output if not char.isprintable() and char != "\n"]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=[])))
def test_visible_text_is_printable_and_tells_what_was_there(data: str) -> None:
    shown = visible(data)
    assert shown.isprintable()
    if data.isprintable() and len(data) <= LONGEST:
        assert shown == data


@settings(max_examples=25, deadline=None)
@given(st.text(st.sampled_from("[]/boldre :#@link=\\"), min_size=1, max_size=30))
def test_markup_has_no_effect(data: str) -> None:
    note = f"<{data}>"
    assert f"note: {note}" in printed(report(notes=(note,)), width=200)


def test_long_text_is_cut_and_says_so() -> None:
    assert visible("x" * 10_000) == "x" * LONGEST + f"... ({10_000 - LONGEST} more characters)"


def hostile_report(data: str) -> RunReport:
    """A report in which everything that a node can choose, and more, is `data`."""
    seen = RequestSeen(
        node=data, t=1.0, step=data, method=data, url=data, result=data, error=data, error_text=data,
        local=data, peer=data, nth=1,
    )  # fmt: skip
    fact = FactVerdict(
        node=data, fact=data, part=data, expected=Bounds(0, None, data), actual=Bounds(0, 1, data),
        outcome=Outcome.FAIL, reasons=(OutOfRange(), NoSuchNode(node=data, nodes=(data,)), NoSuchPeer(peer=data)),
        nearest=Instant(data, 0.5, 1.0), margin=Margin(1, data), evidence=(seen, replace(FIN_WAIT2, program=data)),
    )  # fmt: skip
    asked = When(WhenKind.ALWAYS, moment(data, 8.0), moment(data, 1.0))
    verdict = Verdict(data, asked, Outcome.FAIL, (fact, replace(fact, outcome=Outcome.UNKNOWN)), 1.0)
    headers = {"Connection": data, data: data}
    history = idle_history(
        notes=(data,),
        moments={data: 0.3, "end": 8.6},
        nodes=("client", "server", data),
        requests=(
            request(url=data, method=data, step=data, status=data, request_headers=headers, response_headers=headers),
            request(node=data, error={"name": data, "text": data}),
        ),
        end={"outcome": data, "detail": data},
    )
    history = replace(
        history,
        connections=tuple(replace(each, closing=rst(data, data), server_node=data) for each in history.connections),
    )
    return report(verdict, history=history, title=data, runtime=data, clock=data, notes=(data,))


def summary(*reports: RunReport, width: int = 80) -> list[str]:
    out = StringIO()
    text.render_summary(reports, Console(file=out, width=width))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_has_a_line_per_run_failures_first(width: int) -> None:
    good = report(PASSED, scenario="close-wait-stays", runtime="docker")
    lines = summary(good, report(UNKNOWN, scenario="odd"), report(FAILED, PASSED, scenario="bad"), width=width)
    assert [line.split()[:2] for line in lines[:3]] == [
        ["FAIL", "bad"],
        ["UNKNOWN", "odd"],
        ["PASS", "close-wait-stays"],
    ]
    assert lines[0].split()[2:8] == ["1", "of", "2", "8.6", "s", "netns"]
    assert FAILED.that[:20] in lines[0]
    assert lines[-1] == "3 scenarios: 1 failed, 1 unknown, 1 passed  (25.8 s)"


def test_the_summary_fits_and_is_escaped() -> None:
    lines = summary(hostile_report(HOSTILE), report(PASSED, scenario="x" * 100))
    assert max(map(len, lines)) <= 80
    assert all(line.isprintable() for line in lines)
