"""The cells of a matrix: every combination of the values that a scenario, or the command line, gives for variables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from orchestrator.bounds import MATRIX
from orchestrator.errors import InputError

Cell = Mapping[str, str]
"""Variable -> its value in one run."""


def parse_matrix(options: Iterable[str]) -> dict[str, list[str]]:
    """`NAME=VALUE,VALUE` options as variable -> values. Raises InputError."""
    found: dict[str, list[str]] = {}
    for option in options:
        name, sign, listed = option.partition("=")
        values = [value.strip() for value in listed.split(",")]
        if not sign or not name or not all(values):
            raise InputError(f"--matrix {option!r}: expected NAME=VALUE,VALUE, as in --matrix SERVER=nginx,tomcat")
        if name in found:
            raise InputError(f"--matrix names {name} twice", hint=f"one --matrix {name}= with all its values")
        if (twice := first_twice(values)) is not None:
            raise InputError(f"--matrix {option!r}: {twice} is there twice")
        found[name] = values
    return found


def cells(
    matrix: Mapping[str, Sequence[str]], asked: Mapping[str, Sequence[str]], pinned: Collection[str]
) -> list[Cell]:
    """Every combination, the last variable changing fastest; one empty cell without any matrix.

    `matrix` is the scenario's. What is `asked` on the command line replaces a variable's values or adds a variable;
    what is `pinned` there (`--set`) leaves the matrix. Raises InputError for what is both.
    """
    if both := sorted(set(asked) & set(pinned)):
        raise InputError(f"--matrix and --set both name {both[0]}", hint="--set takes a variable out of the matrix")
    axes = {name: values for name, values in {**matrix, **asked}.items() if name not in pinned}
    if problem := too_many(axes):
        raise InputError(problem, hint=TOO_MANY_HINT)
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


TOO_MANY_HINT = "take a variable out with --set, or give it fewer values with --matrix"


def too_many(axes: Mapping[str, Sequence[str]]) -> str | None:
    """What is wrong with a matrix that has more combinations than may be run; None when it has not."""
    runs = math.prod(map(len, axes.values()))
    if runs <= MATRIX.limit:
        return None
    shown = f"{runs} runs" if runs < 10**9 else "more than a milliard runs"
    return f"the matrix has {shown}: {MATRIX.limit} at most"


def first_twice(values: Sequence[str]) -> str | None:
    """The first value that was there before; None when each is there once."""
    seen: set[str] = set()
    return next((value for value in values if value in seen or seen.add(value)), None)  # type: ignore[func-returns-value]


def label(cell: Cell) -> str:
    """`nginx`, or `nginx 5s` where the matrix has two variables."""
    return " ".join(cell.values())
