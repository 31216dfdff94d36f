"""`environment` and `env_file` of a service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import InputError, Place
from orchestrator.topology.compose import keys
from orchestrator.topology.compose.cursor import Cursor
from orchestrator.topology.compose.dotenv import read_dotenv
from orchestrator.topology.compose.limits import Rules, check_path

_VARIABLE = re.compile(r"[^=\s]+")


def read_environment(fields: Mapping[str, Cursor], rules: Rules) -> tuple[dict[str, str], dict[str, Place]]:
    """`env_file`, then `environment` over it, as Compose does; and Node.chosen."""
    environment = _env_files(fields.get("env_file"), rules)
    chosen: dict[str, Place] = {}
    if "environment" not in fields:
        return environment, chosen
    for name, value, at in fields["environment"].pairs("environment variables: a map, or a list of NAME=value"):
        if not _VARIABLE.fullmatch(name):
            at.problem(f"{name[:60]!r} cannot name an environment variable: no blanks and no `=`")
            continue
        if value is None:
            value = at.reading.lookup(name)
        if value is not None:
            environment[name] = value
            if value.strip() and at.is_chosen():
                chosen[name] = at.place()
        else:
            environment.pop(name, None)
    return environment, chosen


def _env_files(cursor: Cursor | None, rules: Rules) -> dict[str, str]:
    environment: dict[str, str] = {}
    if cursor is None:
        return environment
    one = isinstance(cursor.value, str | dict)
    for item in [cursor] if one else cursor.sequence("the path of a file, or a list of them"):
        required = True
        at: Cursor | None = item
        if isinstance(item.value, dict):
            found = item.fields(keys.ENV_FILE)
            at = found.get("path")
            required = "required" not in found or found["required"].flag() is not False
            if at is None:
                item.problem("an env_file needs a `path`")
        name = at.word("the path of a file") if at is not None else None
        if at is None or name is None:
            continue
        path = check_path(name, at, rules, required=required)
        if path is not None:
            environment.update(_read_env_file(path, at))
    return environment


def _read_env_file(path: Path, at: Cursor) -> dict[str, str]:
    known = at.reading.env_files
    try:
        if path not in known:
            known[path] = read_dotenv(path, at.reading.lookup)
        return known[path]
    except InputError as error:
        at.reading.problems.append(error)
        return {}
