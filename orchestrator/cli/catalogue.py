"""`simctl scenarios` and `simctl nodes`: what is bundled."""

from __future__ import annotations

import typer

from orchestrator.cli.common import verb


def register(app: typer.Typer) -> None:
    app.command("scenarios")(scenarios)
    app.command("nodes")(nodes)


@verb
def scenarios() -> None:
    """List the bundled scenarios, with the time that the long ones take; run one with `simctl run NAME`."""
    from orchestrator.resources import SCENARIOS
    from orchestrator.scenario.loader import find_scenario, load_scenario
    from orchestrator.scenario.matrix import cells
    from orchestrator.scenario.model import LONG
    from orchestrator.scenario.values import rough_duration

    loaded = [load_scenario(path).scenario for path in find_scenario(str(SCENARIOS))]
    width = max(len(scenario.name) for scenario in loaded)
    for scenario in loaded:
        runs = len(cells(scenario.matrix, {}, ()))
        told = [f"{runs} runs"] if runs > 1 else []
        told += [rough_duration(scenario.seconds)] if scenario.seconds >= LONG else []
        notes = f" ({', '.join(told)})" if told else ""
        print(f"{scenario.name:{width}}  {scenario.title}{notes}")


@verb
def nodes(
    kind: str | None = typer.Argument(None, metavar="[KIND]", help="Show the knobs of this kind only."),
) -> None:
    """List the node kinds with their knobs."""
    from orchestrator.topology import kinds as registry

    for one in [registry.kind(kind)] if kind else registry.load_kinds().values():
        print(f"{one.kind} ({one.role}): {one.title}")
        for name, knob in one.knobs.items():
            print(f"    {name}={knob.default}  {knob.meaning}")
