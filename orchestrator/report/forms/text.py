"""Results for people, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from orchestrator.analysis.compare.seeds import SeedVariation
from orchestrator.report.forms.form import Form, Page, Results
from orchestrator.report.text import matrix, run, seeds


class Text(Form):
    """Several reports end with a summary; a matrix is a table."""

    tables = True

    def write(self, results: Results, page: Page) -> None:
        console = _console(page)
        alone = len(results.reports) + len(results.not_run)
        many = alone > 1 or (results.many and not results.matrices)
        if alone:
            for report in results.reports:
                run.render(report, console, verbose=page.verbose)
                if many:
                    console.print()
            if many:
                run.render_summary(results.reports, console, results.not_run)
        for place, found in enumerate(results.matrices):
            if alone or place:
                console.print()
            matrix.render(found, console)

    def write_variations(self, variations: Sequence[SeedVariation], page: Page) -> None:
        console = _console(page)
        for variation in variations:
            seeds.render(variation, console)


def _console(page: Page) -> Console:
    return Console(file=page.out, width=page.width, highlight=False)


FORM = Text()
