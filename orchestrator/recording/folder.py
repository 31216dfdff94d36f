"""The folder of a run: all there is to know about it, and all that is needed to judge it again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import EnvironmentFailure, InputError, Place
from orchestrator.system.storage import storage_errors
from orchestrator.text.files import read_regular

if TYPE_CHECKING:  # a tenth of all that a run imports before its nodes, and used when it is over
    from orchestrator.recording.verdict import Verdict

SCENARIO = "scenario.yaml"
TOPOLOGY = "topology.yaml"
EVENTS = "events.jsonl"
SS = "ss"
"""Folder: MOMENT/NODE.TOOL.txt, what `ss` and `netstat` printed."""
LOGS = "logs"
"""Folder: NODE.log."""
CAPTURES = "captures"
"""Folder: NETWORK.pcapng; only of a run with --capture."""
VARIABLES = "variables.json"
"""What the Compose file's variables were; not there when none was set."""
VERDICT = "verdict.json"
ENV = "env.json"

VERDICT_FORMAT = 2
"""1: verdicts were words alone. Nothing reads words back: such a run is judged again."""


class OldVerdicts(InputError):
    """The verdicts of a run are stored in an older format than this simctl reads; its recording can be judged again."""


class RunFolder:
    """One run on disk. Make it with `create` or `open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scenario = path / SCENARIO
        self.topology = path / TOPOLOGY
        self.events = path / EVENTS
        self.ss = path / SS
        self.logs = path / LOGS
        self.captures = path / CAPTURES
        self.verdict = path / VERDICT
        self.env = path / ENV

    @classmethod
    def create(cls, parent: Path, name: str) -> RunFolder:
        """A new folder `YYYYmmdd-HHMMSS-NAME` (local time) in `parent`, with `-2`, `-3`, ... when that one is taken.

        Raises EnvironmentFailure when it cannot be made.
        """
        stem = f"{datetime.now():%Y%m%d-%H%M%S}-{name}"
        number = 1
        while True:
            path = parent / (stem if number == 1 else f"{stem}-{number}")
            try:
                parent.mkdir(parents=True, exist_ok=True)
                path.mkdir()
            except FileExistsError:
                if not parent.is_dir():
                    raise EnvironmentFailure(f"cannot make a run folder: {parent} is not a folder") from None
                number += 1
                continue
            except OSError as error:
                raise EnvironmentFailure(
                    f"cannot make the run folder {path}: {error.strerror}", hint="choose another folder with --output"
                ) from None
            folder = cls(path)
            with storage_errors(path):
                folder.ss.mkdir()
                folder.logs.mkdir()
            return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The run in the folder `path`. Raises InputError when that is none."""
        hint = "give the folder that `simctl run` printed; it holds events.jsonl"
        if not path.exists():
            raise InputError(f"there is no run folder {path}", hint=hint)
        if not path.is_dir():
            raise InputError(f"{path} is a file, not the folder of a run", hint=hint)
        folder = cls(path)
        for needed in (folder.events, folder.scenario):
            if not needed.is_file():
                raise InputError(f"{path} is not the folder of a run: it has no {needed.name}", hint=hint)
        return folder

    def remove(self) -> None:
        """Remove a run that never began."""
        shutil.rmtree(self.path, ignore_errors=True)

    def keep_sources(self, scenario: Path, topology: Path) -> None:
        """Copy both files as they are: the run can be judged again when the originals have changed."""
        try:
            self.scenario.write_bytes(scenario.read_bytes())
            self.topology.write_bytes(topology.read_bytes())
        except OSError as error:
            raise EnvironmentFailure(
                f"cannot write into {self.path}: {error.strerror}", hint="choose another folder with --output"
            ) from None

    def keep_variables(self, variables: Mapping[str, str], cell: Mapping[str, str]) -> None:
        """Write down what the variables are, and which of them make this run one of a matrix. Raises OSError."""
        if variables:
            facts = {"variables": dict(variables), "matrix": list(cell)}
            (self.path / VARIABLES).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    def variables(self) -> dict[str, str]:
        """Variable -> value, of those that the scenario or the command line set. Raises InputError."""
        return self._kept_variables()[0]

    def cell(self) -> dict[str, str]:
        """The same of those that a matrix set. Raises InputError."""
        variables, names = self._kept_variables()
        return {name: variables[name] for name in names if name in variables}

    def _kept_variables(self) -> tuple[dict[str, str], list[str]]:
        path = self.path / VARIABLES
        try:
            facts = json.loads(read_regular(path))
            return {str(name): str(value) for name, value in facts["variables"].items()}, list(facts["matrix"])
        except FileNotFoundError:
            return {}, []
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", place=Place(path)) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError("expected the variables of a run", place=Place(path)) from None

    def write_environment(self, facts: Mapping[str, object]) -> None:
        """Write `env.json`: the machine that the run was made on. Raises EnvironmentFailure."""
        try:
            self.env.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise EnvironmentFailure(f"cannot write {self.env}: {error.strerror}") from None

    def wall_seconds(self) -> float | None:
        """How long a run in virtual time really took, s; None for a run in real time, or when nobody wrote it down."""
        try:
            seconds = json.loads(read_regular(self.env))["virtual"]["wall"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return float(seconds) if isinstance(seconds, int | float) else None

    def write_verdicts(
        self, verdicts: Sequence[Verdict], document: Callable[[Verdict], Mapping[str, object]] | None = None
    ) -> None:
        """Write `verdict.json`, whole or not at all. `document` may put words beside the values of each verdict.

        Raises EnvironmentFailure."""
        from orchestrator.recording.verdict import Verdict, overall

        document = document or Verdict.to_json
        data = {
            "format": VERDICT_FORMAT,
            "outcome": overall(verdicts).value,
            "verdicts": [document(verdict) for verdict in verdicts],
        }
        partial = self.verdict.with_suffix(".partial")
        try:
            # The folder may be a stranger's: a link that lies there must not be followed.
            partial.unlink(missing_ok=True)
            fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(json.dumps(data, indent=1, allow_nan=False) + "\n")
            partial.replace(self.verdict)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise EnvironmentFailure(f"cannot write {self.verdict}: {error.strerror}") from None

    def read_verdicts(self) -> list[Verdict]:
        """What `verdict.json` says.

        Raises InputError when it is not there or not one of ours, OldVerdicts when it is of an older format."""
        from orchestrator.recording.verdict import Verdict

        place = Place(self.verdict)
        hint = "`simctl verify` writes it again"
        try:
            data = json.loads(read_regular(self.verdict))
        except FileNotFoundError:
            raise InputError("this run was not judged yet", place=place, hint=hint) from None
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", place=place) from None
        except ValueError as error:
            raise InputError(f"not JSON: {error}", place=place, hint=hint) from None
        if isinstance(data, dict) and data.get("format") == 1 and isinstance(data.get("verdicts"), list):
            raise OldVerdicts(f"verdicts of format 1, not {VERDICT_FORMAT}", place=place, hint=hint)
        if not isinstance(data, dict) or data.get("format") != VERDICT_FORMAT:
            raise InputError(f"expected verdicts of format {VERDICT_FORMAT}", place=place, hint=hint)
        try:
            return [Verdict.from_json(item) for item in _items(data)]
        except ValueError as error:
            raise InputError(f"not a list of verdicts: {error}", place=place, hint=hint) from None


def _items(data: dict[str, object]) -> list[object]:
    items = data.get("verdicts")
    if not isinstance(items, list):
        raise ValueError("`verdicts` is missing")
    return items
