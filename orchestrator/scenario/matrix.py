"""The cells of a matrix: every combination of the values that a scenario, or the command line, gives for variables."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence

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
        if twice := next((value for value in values if values.count(value) > 1), None):
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
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def label(cell: Cell) -> str:
    """`nginx`, or `nginx 5s` where the matrix has two variables."""
    return " ".join(cell.values())
