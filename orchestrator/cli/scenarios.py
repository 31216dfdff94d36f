"""`simctl scenarios`: the bundled scenarios."""

from __future__ import annotations

import typer

from orchestrator.cli.common import add


def register(app: typer.Typer) -> None:
    add(app, "scenarios", scenarios)


def scenarios() -> None:
    """List the bundled scenarios, with the time that the long ones take; run one with `simctl run NAME`."""
    from orchestrator.scenario.loader import find_scenario, load_scenario
    from orchestrator.scenario.matrix import cells
    from orchestrator.scenario.model import LONG
    from orchestrator.system.resources import SCENARIOS
    from orchestrator.text.durations import rough_duration

    loaded = [load_scenario(path).scenario for path in find_scenario(str(SCENARIOS))]
    width = max(len(scenario.name) for scenario in loaded)
    for scenario in loaded:
        runs = len(cells(scenario.matrix, {}, ()))
        told = [f"{runs} runs"] if runs > 1 else []
        told += [rough_duration(scenario.seconds)] if scenario.seconds >= LONG else []
        notes = f" ({', '.join(told)})" if told else ""
        print(f"{scenario.name:{width}}  {scenario.title}{notes}")
