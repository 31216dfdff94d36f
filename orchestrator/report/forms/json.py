"""Results for programs: one JSON document, or a list of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from orchestrator.analysis.compare.matrix import Matrix
from orchestrator.analysis.compare.seeds import SeedVariation
from orchestrator.report.forms.form import Form, Page, Results
from orchestrator.report.json import matrix, run, seeds


class Json(Form):
    """A list when the command was for several runs; what could not be run is not in it."""

    tables = True

    def write(self, results: Results, page: Page) -> None:
        documents = [*(run.pieces(report) for report in results.reports), *map(_matrix, results.matrices)]
        page.out.write("[" if results.many else "")
        for number, document in enumerate(documents):
            page.out.write(",\n" if number and results.many else "")
            for piece in document:
                page.out.write(piece)
        page.out.write("]\n" if results.many else "\n")

    def write_variations(self, variations: Sequence[SeedVariation], page: Page) -> None:
        page.out.write(_indented([seeds.to_json(variation) for variation in variations]) + "\n")


def _matrix(found: Matrix) -> Iterator[str]:
    yield _indented(matrix.to_json(found))


def _indented(document: object) -> str:
    return json.dumps(document, indent=1, allow_nan=False)


FORM = Json()
