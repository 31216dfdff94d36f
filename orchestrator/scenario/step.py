"""One step of a scenario: a name, and exactly one verb of orchestrator/scenario/steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model, field_validator, model_validator

from orchestrator.scenario.fields import NAME, Model, TrueOrFalse
from orchestrator.scenario.problems import Problem, Problems
from orchestrator.scenario.steps import STEPS, VERBS
from orchestrator.scenario.steps.base import Verb
from orchestrator.scenario.values import Moment
from orchestrator.text.durations import MAX_DURATION
from orchestrator.text.suggest import describe


class _Step(Model):
    name: str = Field(
        "",
        max_length=80,
        description="makes the moments `NAME.start` and `NAME.end`; without: `VERB-POSITION`, `wait-2`",
    )

    background: TrueOrFalse = Field(
        False, description="it runs beside the steps after it, until a step `await: NAME` or the end of the run"
    )
    at: Moment | None = Field(
        None,
        description="it starts in the background then: at a moment of a step before it, or at `start`, plus a duration",
    )

    @property
    def beside(self) -> bool:
        """Whether it runs in the background."""
        return self.background or self.at is not None

    @property
    def action(self) -> Verb:
        """What the step does: the value of its verb."""
        action: Verb = next(value for verb in VERBS if (value := getattr(self, verb)) is not None)
        return action

    @property
    def verb(self) -> str:
        return self.action.verb

    def describe(self) -> str:
        """In a few words, for progress: `load: 5 requests from client`."""
        return f"{self.name}: {self.action.describe()}{', in the background' if self.beside else ''}"

    @model_validator(mode="after")
    def _one_verb(self) -> _Step:
        given = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            message = f"a step has exactly one verb, this one has {found}"
            raise Problems([Problem(tuple(given[1:2]), message, f"the verbs: {', '.join(VERBS)}")])
        if self.at is not None and "background" in self.model_fields_set and not self.background:
            message = "a step with `at` runs in the background: it cannot have `background: false`"
            raise Problems([Problem(("background",), message, "remove it")])
        if self.beside and self.action.awaits is not None:
            key = "at" if self.at is not None else "background"
            message = "`await` is what the steps after it wait for: it cannot run in the background"
            raise Problems([Problem((key,), message, "remove this key")])
        if self.action.seconds > MAX_DURATION:
            message = "the step would take more than 366 days"
            raise Problems(
                [Problem((self.verb,), message, "its rate, its pauses and how often tell how long it takes")]
            )
        return self

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if name and (not NAME.fullmatch(name) or name in ("start", "end")):
            raise ValueError(
                f"{describe(name)} cannot name a step: use letters, digits, - and _, a letter first; not start or end"
            )
        return name


if TYPE_CHECKING:
    Step = _Step
else:
    _verbs: dict[str, Any] = {kind.verb: (kind | None, Field(None, description=kind.meaning)) for kind in STEPS}
    Step = create_model(
        "Step",
        __base__=_Step,
        __doc__="One verb, a name that makes its moments addressable, and whether it runs in the background.",
        **_verbs,
    )
