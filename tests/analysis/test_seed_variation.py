"""What several runs with different seeds say together."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.analysis.compare.seeds import SeedVariation
from orchestrator.exitcodes import ExitCode
from orchestrator.recording.causes import MatchedNothing
from orchestrator.recording.quantities import Bounds
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict, When, WhenKind
from orchestrator.report.json.seeds import SeedsDocument, to_json
from orchestrator.report.text.seeds import render
from orchestrator.report.words.seeds import extremes
from orchestrator.text.jsondata import schema
from tests.support.report_samples import PASSED, moment, report
from tests.support.schemas import strictly

PASS, UNKNOWN, FAIL = Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL
OVER = When(WhenKind.OVER, moment("quiet.end", 70), moment("load.start", 0.3))


def lasted(actual: Bounds | None, outcome: Outcome, reasons: tuple[MatchedNothing, ...] = ()) -> Verdict:
    fact = FactVerdict(
        node="client",
        fact="lasts",
        part="TIME_WAIT",
        expected=Bounds(60, 61, "second"),
        actual=actual,
        outcome=outcome,
        reasons=reasons,
    )
    return Verdict("TIME_WAIT lasts a minute", OVER, outcome, (fact,))


def variation(*found: tuple[Bounds | None, Outcome], not_run: dict[int, str] | None = None) -> SeedVariation:
    return of_verdicts(*(lasted(actual, outcome) for actual, outcome in found), not_run=not_run)


def of_verdicts(*found: Verdict, not_run: dict[int, str] | None = None) -> SeedVariation:
    reports = {seed: replace(report(PASSED, verdict), outcome=verdict.outcome) for seed, verdict in enumerate(found, 1)}
    return SeedVariation("minute", "a title", reports, not_run or {})


def s(least: float, most: float | None = None) -> Bounds:
    """Seconds: one number is exactly that."""
    return Bounds(least, least if most is None else most, "second")


OPEN = Bounds(60, None, "second")
FLAKY = variation((s(61.904), FAIL), (s(60.2), PASS), (s(60.5, 61.2), UNKNOWN), (s(60.2), PASS))


def printed(made: SeedVariation, width: int = 80) -> str:
    out = io.StringIO()
    render(made, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_each_expectation_has_its_seeds() -> None:
    steady, flaky = FLAKY.expectations
    assert (steady.tally.seeds, steady.tally.flaky) == ({PASS: (1, 2, 3, 4)}, False)
    assert (flaky.tally.seeds, flaky.tally.flaky) == ({PASS: (2, 4), UNKNOWN: (3,), FAIL: (1,)}, True)
    (fact,) = flaky.facts
    assert [(found.verdict.actual, found.seeds) for found in fact.found] == [
        (s(60.2), (2, 4)), (s(60.5, 61.2), (3,)), (s(61.904), (1,)),
    ]  # fmt: skip
    assert fact.extremes == s(60.2, 61.904)
    assert extremes(fact) == "60.2s..61.904s"
    assert FLAKY.exit_code is ExitCode.FAIL


def test_the_text_names_what_hangs_on_the_seed_and_only_that() -> None:
    text = printed(FLAKY)
    assert "minute  4 runs with different seeds: 2 pass, 1 fail, 1 unknown" in text
    assert "1 expectation of 2 is flaky: the seed decides" in text
    assert "60.2s..61.904s" in text
    assert "fail with seed 1" in text and "unknown with seed 3" in text
    assert re.search(rf"^4 pass  +{PASSED.that}$", text, re.MULTILINE)
    assert text.count("client") == 1, "facts that always hold are not listed"


def test_one_that_could_not_be_run_is_counted_as_that() -> None:
    made = variation((s(60.2), PASS), (s(60.2), PASS), not_run={3: "the guest hangs"})
    assert "3 runs with different seeds: 2 pass, 1 not run" in printed(made)
    assert "seed 3 could not be run: the guest hangs" in printed(made)
    assert "0 expectations of 2 are flaky: the seed decides" in printed(made)
    assert to_json(made)["not_run"] == [{"seed": 3, "reason": "the guest hangs"}]


def test_what_is_no_number_is_told_as_it_is() -> None:
    nothing = lasted(None, UNKNOWN, (MatchedNothing(of="state_interval"),))
    runs = of_verdicts(nothing, lasted(s(60), PASS), lasted(OPEN, UNKNOWN), lasted(None, UNKNOWN))
    (fact,) = runs.expectations[1].facts
    assert fact.extremes is None
    assert extremes(fact) == "60s, 60s.., none, unknown"
    assert "60s, 60s.., none, unknown" in printed(runs, width=120)
    (fact,) = variation((s(62), FAIL), (OPEN, UNKNOWN)).expectations[1].facts
    assert fact.extremes == OPEN
    assert extremes(fact) == "60s.."


def spans(unit: str, numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda low, high: Bounds(min(low, high), max(low, high), unit), numbers, numbers)


counts = spans("socket", st.integers(0, 30))
durations = spans("second", st.floats(0, 100))


@given(st.one_of(*(st.lists(st.tuples(kind, st.sampled_from(Outcome)), min_size=1) for kind in (counts, durations))))
def test_every_run_is_counted_once_and_the_extremes_hold_them_all(found: list[tuple[Bounds, Outcome]]) -> None:
    made = variation(*found)
    document = json.loads(json.dumps(to_json(made), allow_nan=False))
    strictly(schema(SeedsDocument)).validate(document)
    assert sum(document["outcomes"].values()) == len(found)
    for expectation in document["expectations"]:
        assert sum(expectation["outcomes"].values()) == len(found)
        assert expectation["flaky"] is (sum(count > 0 for count in expectation["outcomes"].values()) > 1)
    (fact,) = document["expectations"][1]["facts"]
    assert sorted(seed for value in fact["actual"] for seed in value["seeds"]) == list(range(1, len(found) + 1))
    (found_in_all,) = made.expectations[1].facts
    assert found_in_all.extremes is not None
    assert found_in_all.extremes.least == min(value.least for value, _ in found)
    assert found_in_all.extremes.top == max(value.top for value, _ in found)
