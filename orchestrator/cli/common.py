"""What the verbs share: errors, progress, common options. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from orchestrator.cli.streams import tell
from orchestrator.errors import InputError, Interrupted, SimctlError
from orchestrator.lab.readytimeout import READY_TIMEOUT
from orchestrator.runtimes.registry import AUTO, help_text
from orchestrator.system import interrupts
from orchestrator.text.durations import write_duration
from orchestrator.text.safe import printable, visible

RuntimeOption = typer.Option(AUTO, "--runtime", "-r", metavar="NAME", help=help_text())
SetOption = typer.Option([], "--set", "-s", metavar="NAME=VALUE", help="A variable of the Compose file. Repeatable.")
AllowExecOption = typer.Option(
    False,
    "--allow-exec",
    help="Let the files run commands on this machine and mount its folders. Only if you trust them.",
)
QuietOption = typer.Option(False, "--quiet", "-q", help="No progress on stderr.")


ReadyTimeoutOption = typer.Option(
    write_duration(READY_TIMEOUT), "--ready-timeout", metavar="DURATION", help="How long a node may take to be ready."
)
LabOption = typer.Option(None, "--lab", "-l", metavar="NAME", help="Which lab, when several are up.")
RunsArgument = typer.Argument(..., metavar="RUN ...", help="Folder of a run.")


def add(app: typer.Typer, name: str, function: Callable[..., Any], **settings: Any) -> None:
    """Add a verb to the command. The list of verbs shows the first sentence of its docstring, whole."""
    app.command(name, short_help=_first_sentence(function.__doc__ or ""), **settings)(_interruptible(function))


def add_group(app: typer.Typer, name: str, group: typer.Typer) -> None:
    """Add a group of verbs."""
    app.add_typer(group, name=name, short_help=str(group.info.help))


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", " ".join(text.split("\n\n")[0].split()))[0]


def _interruptible(function: Callable[..., Any]) -> Callable[..., Any]:
    """Ctrl-C in a verb is an error of ours with an exit code of its own; typer would print "Aborted!" and exit 1."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            with interrupts.heeded():
                return function(*args, **kwargs)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None

    return wrapper


_LONGEST = 4000
"""Characters of a message that are shown: names in files may be as long as the files."""


def print_error(error: SimctlError) -> None:
    """One message per problem: where, what, detail lines, what to do."""
    problems = error.problems if isinstance(error, InputError) else [error]
    for problem in problems:
        detail = ("  | " + printable(line, keep="\t") for line in problem.detail)
        lines = [f"simctl: {visible(problem, longest=_LONGEST)}", *detail]
        if problem.hint:
            lines.append(f"  hint: {visible(problem.hint, longest=_LONGEST)}")
        tell("\n".join(lines))


class ProgressLines:
    """One line per phase on stderr, with the seconds since the start."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._begun = time.monotonic()
        self._quiet = quiet

    def __call__(self, text: str) -> None:
        if not self._quiet:
            tell(f"[{time.monotonic() - self._begun:6.2f}s] {printable(text)}")


def parse_variables(assignments: list[str]) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping."""
    variables: dict[str, str] = {}
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        if not sign or not name:
            raise InputError(f"--set {assignment!r}: expected NAME=VALUE, as in --set SERVER=jetty")
        variables[name] = value
    return variables


def parse_duration_option(option: str, text: str) -> float:
    """Seconds from an option such as `30s`."""
    from orchestrator.text.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None


def console_width() -> int | None:
    """COLUMNS when it is set, else None: rich asks the terminal."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isascii() and columns.isdigit() and 20 < int(columns) < 10_000 else None


def shown(path: Path) -> str:
    """A path as a person would type it: relative when it lies below the current folder."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
