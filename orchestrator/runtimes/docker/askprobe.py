"""One question to a probe in a container, without a lab: for `simctl doctor` and `simctl clean`."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.observe.client import ProbeClient
from orchestrator.runtimes.docker.probe import start_probe

if TYPE_CHECKING:
    from docker import APIClient


def ask_probe(client: APIClient, image: str, do: str) -> dict[str, Any]:
    """Start a probe, ask, end it: about a second. Raises EnvironmentFailure, which says what the engine refused."""
    with tempfile.TemporaryDirectory(prefix="simctl-") as folder:
        log = Path(folder, "probe.log")
        process = start_probe(client, image, secrets.token_hex(6), log)
        with closing(ProbeClient(process, log, lambda lines: None)) as probe:
            return probe.call(do)
