"""A scenario together with where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.scenario.model import Scenario
from orchestrator.text.yamlsource import Source


@dataclass(frozen=True, slots=True)
class LoadedScenario:
    """`topology_path` is the Compose file that the scenario names, found from the scenario's folder; it exists."""

    scenario: Scenario
    source: Source
    topology_path: Path
