"""The bundled matrices, whole, on every runtime: what each server and each client really does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.scenario.loader import load_scenario
from orchestrator.system.resources import SCENARIOS
from tests.conftest import Simctl
from tests.support.components import require

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TIMEOUT, LATEST = 5.0, 2.3
"""Seconds: the knob of all servers, and how much later the laziest looks at its timers."""

NEVER = "hypercorn"


def cells_of(simctl: Simctl, name: str, runtime: str) -> dict[str, dict[str, Any]]:
    """Value of the matrix's variable -> what the document says of its run. All pass, and none is missing."""
    require(runtime)
    done = simctl("run", name, "-r", runtime, "-j", "2", "-q", "--format", "json", timeout=550)
    assert done.returncode == 0, done.stderr + done.stdout
    (values,) = load_scenario(SCENARIOS / f"{name}.yaml").scenario.matrix.values()
    document = json.loads(done.stdout)
    found = {next(iter(cell["set"].values())): cell for cell in document["cells"]}
    assert list(found) == values
    assert {cell["outcome"] for cell in found.values()} == {"pass"}
    return found


@pytest.mark.parametrize("runtime", ["netns", "docker", "vm"])
def test_servers(simctl: Simctl, runtime: str) -> None:
    servers = cells_of(simctl, "keep-alive-timers", runtime)
    assert len(servers) >= 14
    for name, cell in servers.items():
        (hop,) = cell["hops"]
        assert hop["errors"] == {}
        if name == NEVER:
            assert hop["first_closer"] == {"nobody": 1}
            continue
        (idle,) = hop["idle_before_close"]["server"]
        assert TIMEOUT - 0.2 <= idle <= TIMEOUT + LATEST, name
        assert (hop["by"], hop["time_wait"]) == ({"FIN": 1}, {"server": 1}), name
        if name in ("tomcat", "apache", "node"):
            assert all(value.startswith("timeout=5") for value in hop["keep_alive"]), name


@pytest.mark.parametrize("runtime", ["netns", "docker", "vm"])
def test_clients(simctl: Simctl, runtime: str) -> None:
    clients = cells_of(simctl, "client-pools", runtime)
    assert len(clients) >= 11
    closers = {name: set(cell["hops"][0]["first_closer"]) - {"nobody"} for name, cell in clients.items()}
    assert {name for name, closer in closers.items() if closer == {"client"}} == {"undici", "curl"}
    assert all(closer in ({"client"}, {"server"}) for closer in closers.values())
