"""The JSON Schema (draft 2020-12) of the report as JSON, made of the types that the report is made of."""

from __future__ import annotations

from orchestrator.report.json.document import ReportDocument
from orchestrator.report.json.run import SCHEMA
from orchestrator.text.jsondata import DIALECT, Json, schema


def json_schema() -> Json:
    """Of the document of one run. docs/report-json.md tells the same to people."""
    return {
        "$schema": DIALECT,
        "$id": f"urn:simctl:report:{SCHEMA}",
        **schema(ReportDocument),
        "title": "simctl report",
    }
