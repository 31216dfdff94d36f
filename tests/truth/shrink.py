"""Makes a program smaller as long as its run still shows a finding of the same kind."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.truth.programs import Program

Shows = Callable[[Sequence[Program]], list[bool]]
"""Which of these programs still show it; they may be run at the same time."""


def shrink(program: Program, shows: Shows, *, rounds: int = 12, at_a_time: int = 4) -> Program:
    """The smallest program found. A round runs all candidates in groups until one of them still shows the finding."""
    for _ in range(rounds):
        better = _first_showing(list(_smaller(program)), shows, at_a_time)
        if better is None:
            return program
        program = better
    return program


def _first_showing(candidates: Sequence[Program], shows: Shows, at_a_time: int) -> Program | None:
    for start in range(0, len(candidates), at_a_time):
        group = candidates[start : start + at_a_time]
        for candidate, still in zip(group, shows(group), strict=True):
            if still:
                return candidate
    return None


def _smaller(program: Program) -> Iterator[Program]:
    """Programs with something left out, the largest pieces first."""
    steps = program["steps"]
    half = len(steps) // 2
    if half > 1:
        yield _with_steps(program, steps[:half])
    for index in range(len(steps) - 1, -1, -1):
        yield _with_steps(program, steps[:index] + steps[index + 1 :])
    used = {step.get("node") for step in steps}
    for name in program["nodes"]:
        if name not in used and name != "server":
            yield _without_key(program, ["nodes"], name)
        if program["nodes"][name]["sysctls"]:
            yield _with_value(program, ["nodes", name, "sysctls"], {})
        for key in program["nodes"][name]["sysctls"]:
            yield _without_key(program, ["nodes", name, "sysctls"], key)
    for number, step in enumerate(steps):
        if step["do"] == "run":
            for script in _smaller_scripts(step["script"]):
                yield _with_value(program, ["steps", number, "script"], script)


def _smaller_scripts(script: list[Any]) -> Iterator[list[Any]]:
    connects = [index for index, operation in enumerate(script) if operation[0] == "connect"]
    for begin, end in zip(connects, [*connects[1:], len(script)], strict=False):
        if len(connects) > 1:
            yield script[:begin] + script[end:]
    for index, operation in enumerate(script):
        if operation[0] not in ("listen", "serve", "relay", "connect"):
            yield script[:index] + script[index + 1 :]
        if operation[0] == "serve":
            for inner in _smaller_scripts(operation[3]):
                yield [*script[:index], [*operation[:3], inner], *script[index + 1 :]]


def _with_steps(program: Program, steps: list[dict[str, Any]]) -> Program:
    return _with_value(program, ["steps"], steps)


def _with_value(program: Program, path: list[Any], value: Any) -> Program:
    made = copy.deepcopy(program)
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = copy.deepcopy(value)
    return made


def _without_key(program: Program, path: list[Any], key: str) -> Program:
    made = copy.deepcopy(program)
    place = made
    for step in path:
        place = place[step]
    del place[key]
    return made
