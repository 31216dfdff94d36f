"""What several runs with different seeds say together."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from orchestrator.analysis.compare.seeds import SeedVariation, to_json
from orchestrator.exitcodes import ExitCode
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict
from orchestrator.report.text.seeds import render
from tests.support.report_samples import PASSED, report

PASS, UNKNOWN, FAIL = Outcome.PASS, Outcome.UNKNOWN, Outcome.FAIL


def lasted(actual: str, outcome: Outcome) -> Verdict:
    fact = FactVerdict("client", "lasts TIME_WAIT", "60s..61s", actual, outcome)
    return Verdict("TIME_WAIT lasts a minute", "over load.start .. quiet.end", outcome, (fact,))


def variation(*found: tuple[str, Outcome], not_run: dict[int, str] | None = None) -> SeedVariation:
    reports = {
        seed: replace(report(PASSED, lasted(actual, outcome)), outcome=outcome)
        for seed, (actual, outcome) in enumerate(found, 1)
    }
    return SeedVariation("minute", "a title", reports, not_run or {})


FLAKY = variation(("61.904s", FAIL), ("60.2s", PASS), ("60.5s..61.2s", UNKNOWN), ("60.2s", PASS))


def printed(made: SeedVariation, width: int = 80) -> str:
    out = io.StringIO()
    render(made, Console(file=out, width=width, highlight=False))
    return out.getvalue()


def test_each_expectation_has_its_seeds() -> None:
    steady, flaky = FLAKY.expectations
    assert (steady.tally.seeds, steady.tally.flaky) == ({PASS: (1, 2, 3, 4)}, False)
    assert (flaky.tally.seeds, flaky.tally.flaky) == ({PASS: (2, 4), UNKNOWN: (3,), FAIL: (1,)}, True)
    (fact,) = flaky.facts
    assert list(fact.actual.items()) == [("60.2s", (2, 4)), ("60.5s..61.2s", (3,)), ("61.904s", (1,))]
    assert fact.extremes == "60.2s..61.904s"
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
    made = variation(("60.2s", PASS), ("60.2s", PASS), not_run={3: "the guest hangs"})
    assert "3 runs with different seeds: 2 pass, 1 not run" in printed(made)
    assert "seed 3 could not be run: the guest hangs" in printed(made)
    assert "0 expectations of 2 are flaky: the seed decides" in printed(made)
    assert to_json(made)["not_run"] == [{"seed": 3, "reason": "the guest hangs"}]


def test_what_is_no_number_is_told_as_it_is() -> None:
    (_, expectation) = variation(("none", UNKNOWN), ("60s", PASS), ("60s..", UNKNOWN)).expectations
    assert expectation.facts[0].extremes == "none, 60s, 60s.."
    (_, expectation) = variation(("62s", FAIL), ("60s..", UNKNOWN)).expectations
    assert expectation.facts[0].extremes == "60s.."


counts = st.builds(str, st.integers(0, 30))
durations = st.builds("{}ms".format, st.integers(0, 99999))


@given(st.one_of(*(st.lists(st.tuples(kind, st.sampled_from(Outcome)), min_size=1) for kind in (counts, durations))))
def test_every_run_is_counted_once_and_the_extremes_hold_them_all(found: list[tuple[str, Outcome]]) -> None:
    document = json.loads(json.dumps(to_json(variation(*found)), allow_nan=False))
    assert sum(document["outcomes"].values()) == len(found)
    for expectation in document["expectations"]:
        assert sum(expectation["outcomes"].values()) == len(found)
        assert expectation["flaky"] is (sum(count > 0 for count in expectation["outcomes"].values()) > 1)
    (fact,) = document["expectations"][1]["facts"]
    assert sorted(seed for value in fact["actual"] for seed in value["seeds"]) == list(range(1, len(found) + 1))
    numbers = sorted(int(actual.removesuffix("ms")) for actual, _ in found)
    ends = fact["extremes"].replace("ms", "").split("..")
    assert [int(ends[0]), int(ends[-1])] == [numbers[0], numbers[-1]]
