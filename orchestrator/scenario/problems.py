"""What the models of the scenario language object to: several things at once, each with the keys it is about."""

from __future__ import annotations

from orchestrator.text.record import record


@record
class Problem:
    """One thing that is wrong. `keys` lead to it from the value that was validated."""

    keys: tuple[str | int, ...]
    message: str
    hint: str | None = None
    of_key: bool = True
    """The key itself is wrong; otherwise its value."""


class Problems(ValueError):
    """Raised by validators; pydantic wraps it, and the loader gives each problem its line and column."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(problem.message for problem in problems))
