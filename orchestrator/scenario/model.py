"""The scenario: a topology, steps and expectations. What it *is*, apart from what time does to it.

These pydantic models are the language. The loader adds file, line and column to their errors; `simctl schema`
prints the JSON Schema that they generate, and `docs/scenario-reference.md` is made of their descriptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, create_model, field_validator, model_validator

from orchestrator.bounds import EXPECTATIONS, STEPS
from orchestrator.scenario.facts import FACTS, LEGAL_WHENS
from orchestrator.scenario.fields import Model, Text, Whole
from orchestrator.scenario.matrix import first_twice, too_many
from orchestrator.scenario.problems import Problem, Problems
from orchestrator.scenario.schedule import least_seconds
from orchestrator.scenario.step import Step
from orchestrator.scenario.values import Duration, Moment, Range, Window
from orchestrator.text.suggest import describe, suggestion


class _NodeFacts(Model):
    """What is expected of one node. What is not named is not asserted."""

    def named(self) -> dict[str, Any]:
        """The facts that were given: name -> Range, or mapping of ranges."""
        return {name: value for name in FACTS if (value := getattr(self, name)) is not None}

    @property
    def error_names(self) -> tuple[tuple[str, str], ...]:
        """The errors that are expected by name, each after its fact: (`errors`, `ReadTimeout`)."""
        given = ((fact, getattr(self, fact, None)) for fact in ("errors", "repeated"))
        return tuple((fact, name) for fact, errors in given if isinstance(errors, dict) for name in errors)


if TYPE_CHECKING:
    NodeFacts = _NodeFacts
else:
    NodeFacts = create_model(
        "NodeFacts",
        __base__=_NodeFacts,
        __module__=__name__,
        __doc__=_NodeFacts.__doc__,
        **{fact.name: (fact.value | None, Field(None, description=fact.meaning)) for fact in FACTS.values()},
    )
    """The same with a field for each fact, in the order of the table."""


class Where(Model):
    """Which sockets and connections count. All that is given must match."""

    port: Whole | None = Field(None, ge=1, le=65535, description="local or peer port")
    peer: str | None = Field(None, description="node, service or address at the other end")
    owner: str | None = Field(
        None,
        description="name of the program that owns the socket, as ss shows it; an interpreter also without its version",
    )


WHENS = ("at", "always", "never", "eventually", "over")


def _distinct(values: list[str]) -> list[str]:
    if (twice := first_twice(values)) is not None:
        raise ValueError(f"{twice!r} is there twice")
    return values


Values = Annotated[list[Text], Field(min_length=1), AfterValidator(_distinct)]
"""Values of a variable."""

Choice = Annotated[dict[str, Values], Field(min_length=1)]


class Expectation(Model):
    """One sentence with facts. Every key that is not one of its own must be a node."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, NodeFacts] = Field(init=False)

    that: str = Field(min_length=1, description="the sentence, as a person would say it")
    only: Choice | None = Field(
        None, description="variables of the `matrix` -> values: expected only of runs in which all have one of these"
    )
    unless: Choice | None = Field(
        None, description="variables of the `matrix` -> values: not expected of runs in which all have one of these"
    )
    where: Where | None = Field(None, description="which sockets and connections count; without: all of the node")
    at: Moment | None = Field(None, description="the value at this moment")
    always: Window | None = Field(None, description="at every instant of the window, and all of it was observed")
    never: Window | None = Field(None, description="`always` with 0: the facts are numbers of sockets, each 0")
    eventually: Window | None = Field(None, description="at some instant of the window; see `for`")
    for_: Annotated[
        Duration | None, Field(alias="for", description="with `eventually`: how long it must hold without a break")
    ] = None
    over: Window | None = Field(None, description="counted, or measured, inside the window")

    @property
    def nodes(self) -> dict[str, NodeFacts]:
        return self.__pydantic_extra__

    def applies(self, variables: Mapping[str, str]) -> bool:
        """Whether it is expected of a run with these values of variables."""

        def holds(choice: Choice) -> bool:
            return all(variables.get(name) in values for name, values in choice.items())

        return (self.only is None or holds(self.only)) and (self.unless is None or not holds(self.unless))

    @property
    def when(self) -> tuple[str, Moment | Window] | None:
        """The *when* that was given: its name and its moment or window."""
        return next(((name, value) for name in WHENS if (value := getattr(self, name)) is not None), None)

    @model_validator(mode="after")
    def _legal(self) -> Expectation:
        given = [name for name in WHENS if getattr(self, name) is not None]
        problems: list[Problem] = []
        if len(given) > 1:
            problems.append(Problem((given[1],), f"an expectation has at most one when, not {' and '.join(given)}"))
        if self.for_ is not None and self.eventually is None:
            problems.append(Problem(("for",), "`for` goes with `eventually` only"))
        if not self.nodes:
            problems.append(
                Problem((), "an expectation needs at least one node with facts", "for one: `client: {ESTABLISHED: 1}`")
            )
        for node, facts in self.nodes.items():
            if not facts.named():
                problems.append(
                    Problem((node,), f"the node {node} has no facts", f"for one: `{node}: {{ESTABLISHED: 1}}`")
                )
            if len(given) == 1:
                problems += [
                    problem
                    for fact, value in facts.named().items()
                    for problem in _misfits(node, fact, value, given[0])
                ]
        if problems:
            raise Problems(problems)
        return self


def _misfits(node: str, fact: str, value: object, when: str) -> list[Problem]:
    """What the fact's kind has against this *when*."""
    kind = FACTS[fact].kind
    if when not in LEGAL_WHENS[kind]:
        use = " or ".join(f"`{name}`" for name in LEGAL_WHENS[kind])
        return [Problem((node, fact), f"{fact} is a {kind.value}, so `{when}` does not fit it", f"use {use}")]
    if when == "never" and value != Range(0, 0):
        message = f"`never` means always 0, so {fact} must be 0, not {value}"
        return [Problem((node, fact), message, "use `always` for any other value", of_key=False)]
    return []


LONG = 60.0
"""Seconds from which a scenario is called long."""


def _strangers(
    keys: tuple[str | int, ...], name: str, values: Sequence[str], matrix: Mapping[str, Sequence[str]]
) -> Iterator[tuple[tuple[str | int, ...], str, str | None]]:
    if name not in matrix:
        yield keys, f"{name} is no variable of the `matrix`", suggestion(name, list(matrix))
        return
    for value in values:
        if value not in matrix[name]:
            yield keys, f"the `matrix` has no {name} {describe(value)}", suggestion(value, matrix[name])


def _meets_a_run(expectation: Expectation, matrix: Mapping[str, Sequence[str]]) -> bool:
    """Whether a run of the matrix is left for an expectation; all that it names is there."""
    left = {name: (expectation.only or {}).get(name, values) for name, values in matrix.items()}
    return expectation.unless is None or any(
        set(left[name]) - set(values) for name, values in expectation.unless.items()
    )


class Scenario(Model):
    """A scenario file."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        max_length=80,
        description="letters, digits, `.`, `_` and `-`; the run's folder is named after it",
    )
    title: str = Field("", description="one line for lists and reports")
    why: str = Field("", description="why anybody should care: what people meet in production")
    source: list[str] = Field([], description="where the incident was reported")
    takes: Duration = Field(
        0.0, description="about how long it takes, where a timeout of a kernel decides that and not a `wait`"
    )
    topology: str = Field(min_length=1, description="path of the Compose file, relative to this file")
    set: dict[str, Text] = Field({}, description="variables of the Compose file; `simctl run --set` overrides")
    matrix: dict[str, Values] = Field(
        {}, description="variable of the Compose file -> values; it runs with each of them, and the report is one table"
    )
    steps: list[Step] = Field(min_length=1, max_length=STEPS.limit, description="what happens, in order")
    expect: list[Expectation] = Field(
        [], max_length=EXPECTATIONS.limit, description="what must be true; without: the run only records"
    )

    @property
    def seconds(self) -> float:
        """How long it takes at least, as far as the file tells."""
        return max(self.takes, least_seconds(self.steps))

    @model_validator(mode="after")
    def _choices_are_of_the_matrix(self) -> Scenario:
        """A value with a typing error would let an expectation go unnoticed."""
        if problem := too_many(self.matrix):
            raise Problems([Problem(("matrix",), problem, "fewer values, or fewer variables")])
        problems = [
            Problem(keys, message, hint)
            for index, expectation in enumerate(self.expect)
            for word, choice in (("only", expectation.only), ("unless", expectation.unless))
            for name, values in (choice or {}).items()
            for keys, message, hint in _strangers(("expect", index, word, name), name, values, self.matrix)
        ]
        problems += [
            Problem(
                ("expect", index, "only" if expectation.only else "unless"), "no run of the `matrix` is left for this"
            )
            for index, expectation in enumerate(self.expect if not problems else ())
            if (expectation.only or expectation.unless) and not _meets_a_run(expectation, self.matrix)
        ]
        if problems:
            raise Problems(problems)
        return self

    @field_validator("steps")
    @classmethod
    def _name_steps(cls, steps: list[Step]) -> list[Step]:
        named = [
            step if step.name else step.model_copy(update={"name": f"{step.verb}-{position}"})
            for position, step in enumerate(steps, 1)
        ]
        seen: set[str] = set()
        twice: list[Problem] = []
        for index, step in enumerate(named):
            if step.name in seen:
                keys = (index, "name") if steps[index].name else (index,)
                message = f"two steps are named {step.name}"
                twice.append(Problem(keys, message, f"moments such as {step.name}.end need one", of_key=False))
            seen.add(step.name)
        if twice:
            raise Problems(twice)
        return named
