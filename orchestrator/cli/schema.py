"""`simctl schema`: the shape of what simctl reads and writes, for editors and programs."""

from __future__ import annotations

import typer

from orchestrator.cli.common import add
from orchestrator.errors import InputError
from orchestrator.text.suggest import shown

_SCHEMAS = {
    "scenario": "orchestrator.scenario.schema",
    "report": "orchestrator.report.json.schema",
    "events": "orchestrator.recording.schema",
}
"""What has a schema -> the module that makes it, imported when it is asked for."""

_OF = typer.Argument("scenario", metavar="[scenario|report|events]", help="Of which file or document.")


def register(app: typer.Typer) -> None:
    add(app, "schema", schema)


def schema(of: str = _OF) -> None:
    """Print a JSON Schema: of scenario files, for editors; of the report as JSON; of a line of events.jsonl."""
    import json
    from importlib import import_module

    if of not in _SCHEMAS:
        raise InputError(f"there is no schema of {shown(of)}", hint=f"one of {', '.join(_SCHEMAS)}")
    print(json.dumps(import_module(_SCHEMAS[of]).json_schema(), indent=2))
