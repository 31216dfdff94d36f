"""Results for programs: one JSON document, or a list of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from orchestrator.analysis.compare.seeds import SeedVariation
from orchestrator.report.forms.form import Form, Page, Results
from orchestrator.report.json import matrix, run, seeds


class Json(Form):
    """A list when the command was for several runs; what could not be run is not in it."""

    tables = True

    def write(self, results: Results, page: Page) -> None:
        documents = [run.render(report) for report in results.reports]
        documents += [_indented(matrix.to_json(found)) for found in results.matrices]
        page.out.write(("[" + ",\n".join(documents) + "]" if results.many else "".join(documents)) + "\n")

    def write_variations(self, variations: Sequence[SeedVariation], page: Page) -> None:
        page.out.write(_indented([seeds.to_json(variation) for variation in variations]) + "\n")


def _indented(document: object) -> str:
    return json.dumps(document, indent=1, allow_nan=False)


FORM = Json()
