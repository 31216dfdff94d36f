"""How each fact is evaluated. A module of this folder has a mapping `EVALUATIONS`: name of a fact -> Evaluation.

scenario/facts/ says what the facts mean. A fact that only one of the two knows ends simctl here, when it is imported
and before anything runs.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping

from orchestrator.errors import EnvironmentFailure
from orchestrator.judge.facts.evaluation import Evaluation
from orchestrator.scenario.facts import FACTS


def check_complete(facts: Iterable[str], evaluations: Iterable[str]) -> None:
    """Raise EnvironmentFailure unless each fact has an evaluation, and each evaluation a fact."""
    known, evaluated = set(facts), set(evaluations)
    unevaluated = (f"{name} has a meaning and no evaluation" for name in sorted(known - evaluated))
    unnamed = (f"{name} has an evaluation and no meaning" for name in sorted(evaluated - known))
    problems = [*unevaluated, *unnamed]
    if problems:
        raise EnvironmentFailure(
            f"the facts of simctl are not complete: {'; '.join(problems)}",
            hint="a fact is two files, in scenario/facts/ and judge/facts/: see docs/dev/facts.md",
        )


def _found() -> dict[str, Evaluation]:
    found: dict[str, Evaluation] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        given: Mapping[str, Evaluation] = getattr(
            importlib.import_module(f"{__name__}.{module.name}"), "EVALUATIONS", {}
        )
        if twice := sorted(found.keys() & given):
            raise EnvironmentFailure(f"two modules of {__name__} evaluate the fact {twice[0]}")
        found |= given
    return found


EVALUATIONS = _found()
"""Name of a fact -> how it is evaluated; one for each of scenario.facts.FACTS."""

check_complete(FACTS, EVALUATIONS)
