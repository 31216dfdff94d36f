"""`simctl schema`: the JSON Schema of scenario files."""

from __future__ import annotations

import typer

from orchestrator.cli.common import add


def register(app: typer.Typer) -> None:
    add(app, "schema", schema)


def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    import json

    from orchestrator.scenario.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
