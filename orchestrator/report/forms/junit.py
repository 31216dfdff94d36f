"""Runs as JUnit XML, which GitLab, Jenkins and GitHub's actions read: a suite per run, a case per expectation.

A failed expectation is a `failure`, one that could not be decided an `error`: neither lets a pipeline go green.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from orchestrator.analysis.report import NotRun, RunReport
from orchestrator.recording.verdict import FactVerdict, Outcome, Verdict
from orchestrator.report.forms.form import Form, Page, Results
from orchestrator.report.words.notes import notes_of, trouble
from orchestrator.report.words.quantities import when
from orchestrator.report.words.summaries import sentences
from orchestrator.report.words.verdicts import of_fact
from orchestrator.text.safe import visible

_ELEMENTS = {Outcome.FAIL: "failure", Outcome.UNKNOWN: "error"}


def render(reports: Sequence[RunReport], not_run: Sequence[NotRun] = ()) -> str:
    """The XML document, ASCII only, so that no locale spoils it. What XML forbids stands there in escaped form."""
    suites = ElementTree.Element("testsuites", name="simctl")
    for report in reports:
        _suite(suites, report)
    for broken in not_run:
        _not_run(suites, broken)
    cases = [int(suite.get(count, "0")) for suite in suites for count in ("tests", "failures", "errors")]
    for position, count in enumerate(("tests", "failures", "errors")):
        suites.set(count, str(sum(cases[position::3])))
    suites.set("time", f"{sum(report.duration for report in reports):.3f}")
    ElementTree.indent(suites)
    document: bytes = ElementTree.tostring(suites, encoding="us-ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{document.decode("ascii")}\n'


def _suite(parent: ElementTree.Element, report: RunReport) -> None:
    suite = ElementTree.SubElement(parent, "testsuite", name=visible(report.name), time=f"{report.duration:.3f}")
    properties = ElementTree.SubElement(suite, "properties")
    facts = {"title": report.title, "runtime": report.runtime, "clock": report.clock, "folder": report.folder or ""}
    for name, value in facts.items():
        ElementTree.SubElement(properties, "property", name=name, value=visible(value))
    for verdict in report.verdicts:
        case = _case(suite, report, verdict.that)
        if element := _ELEMENTS.get(verdict.outcome):
            _problem(case, element, _summary(verdict), _lines(verdict))
    if trouble(report):
        _problem(_case(suite, report, "the run is complete"), "error", trouble(report), [])
    _count(suite)
    output = ElementTree.SubElement(suite, "system-out")
    output.text = "\n".join(visible(line) for line in (*sentences(report.history), *notes_of(report)))


def _not_run(parent: ElementTree.Element, broken: NotRun) -> None:
    suite = ElementTree.SubElement(parent, "testsuite", name=visible(broken.name), time="0.000")
    _problem(_case(suite, broken, "the scenario can be run"), "error", broken.reason, [])
    _count(suite)


def _count(suite: ElementTree.Element) -> None:
    for attribute, tag in (("tests", "testcase"), ("failures", "testcase/failure"), ("errors", "testcase/error")):
        suite.set(attribute, str(len(suite.findall(tag))))


def _case(suite: ElementTree.Element, of: RunReport | NotRun, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=visible(of.name), name=visible(name))


def _problem(case: ElementTree.Element, element: str, message: str, lines: Sequence[str]) -> None:
    kind = "expectation" if element == "failure" else "unknown"
    problem = ElementTree.SubElement(case, element, message=visible(message), type=kind)
    problem.text = "\n".join(visible(line) for line in lines or [message])


def _summary(verdict: Verdict) -> str:
    """What is wrong, in one line."""
    told = "; ".join(_compared(fact) for fact in verdict.facts if fact.outcome is verdict.outcome)
    return f"{when(verdict.when)}: {told}" if told else when(verdict.when)


def _compared(fact: FactVerdict) -> str:
    told = of_fact(fact)
    return f"{fact.node} {told.fact}: expected {told.expected}, actual {told.actual}"


def _lines(verdict: Verdict) -> list[str]:
    """Everything that is known of the facts that do not hold."""
    asked = when(verdict.when)
    lines = [asked if verdict.at is None else f"{asked} ({verdict.at:.3f} s)"]
    for fact in verdict.facts:
        if fact.outcome is Outcome.PASS:
            continue
        told = of_fact(fact)
        lines += [f"{_compared(fact)} ({fact.outcome})"]
        lines += [f"  {told.reason}"] if told.reason else []
        lines += [f"  nearest: it would have held at {told.nearest}"] if told.nearest else []
        lines += [f"  margin: {told.margin}"] if told.margin else []
        lines += [f"  evidence: {line}" for line in told.evidence]
    return lines


class JUnit(Form):
    """A suite per run, those of a matrix too."""

    def write(self, results: Results, page: Page) -> None:
        page.out.write(render(results.reports, results.not_run))


FORM = JUnit()
