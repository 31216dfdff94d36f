"""One step of a scenario: a name, and exactly one verb of orchestrator/scenario/steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model, field_validator, model_validator

from orchestrator.scenario.fields import NAME, Model
from orchestrator.scenario.problems import Problem, Problems
from orchestrator.scenario.steps import STEPS, VERBS
from orchestrator.scenario.steps.base import Verb
from orchestrator.text.suggest import describe


class _Step(Model):
    name: str = Field(
        "", description="makes the moments `NAME.start` and `NAME.end`; without: `VERB-POSITION`, `wait-2`"
    )

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
        return f"{self.name}: {self.action.describe()}"

    @model_validator(mode="after")
    def _one_verb(self) -> _Step:
        given = [verb for verb in VERBS if getattr(self, verb) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none"
            message = f"a step has exactly one verb, this one has {found}"
            raise Problems([Problem(tuple(given[1:2]), message, f"the verbs: {', '.join(VERBS)}")])
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
        "Step", __base__=_Step, __doc__="One verb, and a name that makes its moments addressable.", **_verbs
    )
