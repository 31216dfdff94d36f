"""When the steps of a scenario start and end, as far as a file tells: one after the other, or beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.scenario.step import Step
from orchestrator.scenario.values import Moment
from orchestrator.text.suggest import suggestion


def least_seconds(steps: Sequence[Step]) -> float:
    """How long they take at least. What is wrong with a file (a step that is not there) is no matter here."""
    moments = {"start": 0.0}
    now = latest = 0.0
    for step in steps:
        begins = now if step.at is None else moments.get(step.at.name, 0.0) + step.at.offset
        ends = begins + step.action.seconds
        if step.action.awaits is not None:
            ends = max(ends, moments.get(f"{step.action.awaits}.end", 0.0))
        moments[f"{step.name}.start"], moments[f"{step.name}.end"] = begins, ends
        latest = max(latest, ends)
        if not step.beside:
            now = ends
    return latest


class Between(NamedTuple):
    """The places that a moment may have in the order in which moments happen, both included."""

    first: int
    last: int


def moment_places(steps: Sequence[Step]) -> dict[str, Between]:
    """Name of a moment -> where it may be in the order of all. The end of a step in the background may be anywhere
    between its start and the end of the step that awaits it."""
    end = 2 * len(steps) + 1
    ended = {step.action.awaits: 2 * index + 2 for index, step in enumerate(steps) if step.action.awaits is not None}
    places = {"start": Between(0, 0)}
    for index, step in enumerate(steps):
        begins = Between(2 * index + 1, 2 * index + 1)
        if step.at is not None:
            begins = Between(places.get(step.at.name, begins).first, end)
        ends = (
            Between(begins.first, ended.get(step.name, end)) if step.beside else Between(2 * index + 2, 2 * index + 2)
        )
        places[f"{step.name}.start"], places[f"{step.name}.end"] = begins, ends
    places["end"] = Between(end, end)
    return places


class WrongMoment(NamedTuple):
    """Why a step cannot start at a moment, and what to do."""

    message: str
    hint: str | None


def wrong_start(steps: Sequence[Step], index: int) -> WrongMoment | None:
    """What is wrong with the `at` of a step: a moment that nobody can know by then. None: nothing."""
    step = steps[index]
    assert step.at is not None
    moment, names = step.at, [each.name for each in steps]
    earlier = names[:index]
    if moment.step is None:
        if moment.edge == "end":
            return WrongMoment("no step can start at the end of the run", _hint(earlier))
        if moment.offset < 0:
            return WrongMoment(f"{moment} is before the start of the run", "count from the start: start + 1s")
        return None
    if moment.step == step.name:
        return WrongMoment(f"{step.name} cannot start at a moment of itself", _hint(earlier))
    if moment.step not in names:
        return WrongMoment(f"no step is called {moment.step}", suggestion(moment.step, earlier))
    if moment.step not in earlier:
        return WrongMoment(f"{moment.step} is a later step: {step.name} cannot wait for it to start", _hint(earlier))
    if moment.offset < 0:
        return WrongMoment(
            f"when {moment.name} will be is not known before it is: {moment} would have passed",
            f"count from a moment before it: {moment.step}.start + 1s" if moment.edge == "end" else _hint(earlier),
        )
    return None


def _hint(earlier: Sequence[str]) -> str:
    step = earlier[-1] if earlier else None
    known = Moment(step, "start", 1.0)
    return f"a moment of a step before it, for one: {known}" if step else f"for one: {known}"
