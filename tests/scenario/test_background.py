"""Steps beside each other: when they start and end as far as a file tells, and what a file may say of it."""

from __future__ import annotations

import pytest

from orchestrator.errors import InputError
from orchestrator.scenario.loader import parse_scenario
from orchestrator.scenario.schedule import Between, moment_places
from orchestrator.scenario.step import Step
from orchestrator.scenario.steps import Request
from orchestrator.text.yamlsource import parse_yaml

HEAD = "name: x\ntopology: t.yaml\nsteps:\n"
GET = 'request: {from: client, url: "http://server/"'


def steps(*lines: str) -> list[Step]:
    return parse_scenario(parse_yaml(HEAD + "".join(f"  - {{{line}}}\n" for line in lines), "s.yaml")).steps


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (("name: a, wait: 2s", "name: b, wait: 3s"), 5.0),
        (("name: a, background: true, wait: 2s", "name: b, wait: 3s"), 3.0),
        (("name: a, background: true, wait: 9s", "name: b, wait: 3s"), 9.0),
        (("name: a, background: true, wait: 4s", "name: b, wait: 1s", "await: a", "name: c, wait: 2s"), 6.0),
        (("name: a, wait: 2s", "name: b, at: a.start + 5s, wait: 1s"), 6.0),
        (("name: a, wait: 2s", "name: b, at: a.end + 5s, wait: 1s", "await: b", "wait: 1s"), 9.0),
        (("name: a, at: start + 1s, wait: 1s", "name: b, at: a.end + 1s, wait: 1s"), 4.0),
        ((f"name: a, background: true, {GET}, rate: 10, duration: 3s}}",), 2.9),
        ((f"{GET}, duration: 3s}}",), 3.0),
        ((f"{GET}, rate: 0.5, count: 3}}",), 4.0),
        ((f"{GET}, count: 100, concurrency: 2}}",), 0.0),
    ],
)
def test_how_long_they_take_at_least(lines: tuple[str, ...], seconds: float) -> None:
    source = parse_yaml(HEAD + "".join(f"  - {{{line}}}\n" for line in lines), "s.yaml")
    assert parse_scenario(source).seconds == pytest.approx(seconds)


def test_a_background_step_ends_before_the_step_that_awaits_it() -> None:
    places = moment_places(
        steps("name: a, background: true, wait: 1s", "name: b, wait: 1s", "name: c, await: a", "name: d, wait: 1s")
    )
    assert places["a.end"] == Between(places["a.start"].first, places["c.end"].last)
    assert places["b.end"].last < places["c.end"].first < places["d.end"].first < places["end"].first


def test_one_that_nobody_awaits_may_end_with_the_run() -> None:
    places = moment_places(steps("name: a, wait: 1s", "name: b, at: a.start + 5s, wait: 1s", "name: c, wait: 1s"))
    assert places["b.start"].first == places["a.start"].first
    assert places["b.end"].last == places["end"].last


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("background: true, await: a", "it cannot run in the background"),
        ("at: a.start, await: a", "it cannot run in the background"),
        ("at: a.start, background: false, wait: 1s", "cannot have `background: false`"),
        ("background: 1, wait: 1s", "expected true or false, not the number 1"),
        ("at: 5s, wait: 1s", "expected a moment such as load.end"),
        ("at: [a.start], wait: 1s", "expected a moment such as load.end"),
        ("await: [a]", "expected text, not a list"),
        ("await: a.end", "is no name"),
        (f"{GET}, rate: 10}}", "a `rate` needs an end"),
        (f"{GET}, rate: fast, count: 1}}", "expected a number of requests a second"),
        (f"{GET}, rate: 0, count: 1}}", "more than 0"),
        (f"{GET}, rate: 10001, count: 1}}", "at most 10000"),
        (f"{GET}, rate: .nan, count: 1}}", "expected a number of requests a second"),
        (f"{GET}, rate: true, count: 1}}", "expected a number of requests a second"),
        (f"{GET}, rate: 10000, duration: 1h}}", "are too many"),
        (f"{GET}, rate: 10, count: 1, interval: 1s}}", "with `rate` no worker pauses"),
        (f"{GET}, duration: 0}}", "must be above 0"),
        (f"{GET}, duration: 5}}", "a duration needs a unit"),
        (f"{GET}, interval: 5}}", "a duration needs a unit"),
        (f"{GET}, interval: 10ms..}}", "a pause has a longest time"),
        (f"{GET}, interval: 50ms..10ms}}", "its low end is above its high end"),
    ],
)
def test_what_no_file_may_say(line: str, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(").replace("[", r"\[").replace("..", r"\.\.")) as caught:
        steps("name: a, background: true, wait: 1s", line)
    assert [problem.place.line for problem in caught.value.problems if problem.place] == [5]


@pytest.mark.parametrize(("written", "ends"), [("50ms", (0.05, 0.05)), ("10ms..50ms", (0.01, 0.05)), ("0", (0, 0))])
def test_a_pause_is_a_duration_or_a_range(written: str, ends: tuple[float, float]) -> None:
    (step,) = steps(f"{GET}, interval: {written}}}")
    assert isinstance(step.action, Request)
    assert (step.action.interval.low, step.action.interval.high) == ends
