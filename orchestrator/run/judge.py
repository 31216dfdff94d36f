"""From a run's folder to its report: judged now, or as it was judged then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from orchestrator.analysis.report import RunReport
from orchestrator.analysis.requests import requests_by_node
from orchestrator.history.build import history_of
from orchestrator.history.model import History
from orchestrator.judge.judge import judge
from orchestrator.recording.folder import OldVerdicts, RunFolder
from orchestrator.recording.verdict import Verdict, overall
from orchestrator.report.json.verdicts import to_json as verdict_json
from orchestrator.scenario.loader import parse_scenario
from orchestrator.scenario.model import Expectation, Scenario
from orchestrator.scenario.values import Range
from orchestrator.system.collector import collector_paused
from orchestrator.text.numbers import plural
from orchestrator.text.yamlsource import load_yaml


@collector_paused()
def judge_folder(folder: RunFolder) -> RunReport:
    """Hold a recording against the expectations of the scenario in it."""
    scenario = _scenario(folder)
    history = history_of(folder)
    return _report(folder, scenario, history, _judged(folder, scenario, history))


def stored_report(folder: RunFolder) -> RunReport:
    """The report of a run as it was judged then; one that an older simctl judged is judged again.

    Raises InputError when it never was."""
    try:
        verdicts = folder.read_verdicts()
    except OldVerdicts:
        again = judge_folder(folder)
        note = "judged again just now: its verdicts are stored in the format of an older simctl"
        return replace(again, notes=(*again.notes, note))
    return _report(folder, _scenario(folder), history_of(folder), verdicts)


def stored_verdicts(folder: RunFolder, history: History) -> list[Verdict]:
    """The verdicts of such a report, of a run whose history is there already. Raises InputError as it does."""
    try:
        return folder.read_verdicts()
    except OldVerdicts:
        return _judged(folder, _scenario(folder), history)


def _scenario(folder: RunFolder) -> Scenario:
    return parse_scenario(load_yaml(folder.scenario))


def _judged(folder: RunFolder, scenario: Scenario, history: History) -> list[Verdict]:
    variables = folder.variables()
    return judge([expectation for expectation in scenario.expect if expectation.applies(variables)], history)


def keep_verdicts(folder: RunFolder, verdicts: Sequence[Verdict]) -> None:
    """Write them into the folder, with their words. Raises EnvironmentFailure."""
    folder.write_verdicts(verdicts, verdict_json)


def _unnamed_errors(history: History, expectations: Sequence[Expectation]) -> Iterator[str]:
    """Errors that no expectation speaks of, where there are expectations: `errors: {ReadTimeout: 0}` may hold beside
    any number of others."""
    groups = {node: service for service, nodes in history.groups.items() for node in nodes}
    for node, got in requests_by_node(history).items() if expectations else ():
        facts = [
            facts for each in expectations for name in (node, groups.get(node)) if (facts := each.nodes.get(name or ""))
        ]
        asked = [facts.named().get("errors") for facts in facts]
        if any(isinstance(errors, Range) for errors in asked):
            continue
        named = {name for errors in asked if isinstance(errors, dict) for name in errors}
        for error, count in got.errors.items():
            if error not in named:
                yield f"{plural(count, 'request')} of {node} failed with {error}, which no expectation names"


def _report(folder: RunFolder, scenario: Scenario, history: History, verdicts: list[Verdict]) -> RunReport:
    return RunReport(
        folder=folder.path,
        scenario=scenario.name,
        cell=folder.cell(),
        title=scenario.title,
        runtime=str(history.begin.get("runtime", "?")),
        clock=str(history.begin.get("clock", "?")),
        duration=history.until,
        wall=folder.wall_seconds(),
        history=history,
        verdicts=verdicts,
        outcome=overall(verdicts),
        notes=(*history.notes, *_unnamed_errors(history, scenario.expect)),
    )
