"""What observing costs: the observed traffic, and the observer."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.labs import compose_file
from bench.measure import SMALLEST, Comparison, compare_pairs
from orchestrator.kinds.registry import load_kinds
from orchestrator.lab.lab import Lab, LabFolder, LabSettings
from orchestrator.observe.pace import REAL
from orchestrator.runtimes import registry as runtime_registry
from orchestrator.system.linux import descendants
from orchestrator.system.resources import COMPOSE
from orchestrator.topology.compose.file import load_topology

CHURN = 4000
SHARE_GOAL = 0.15


@contextmanager
def lab(topology_file: Path, *, trace: bool, period: float) -> Iterator[Lab]:
    """A netns lab that writes into a folder which goes with it."""
    kinds = load_kinds()
    topology = load_topology(topology_file, {}, kinds=kinds)
    with tempfile.TemporaryDirectory() as scratch:
        files = LabFolder(Path(scratch, "events.jsonl"), Path(scratch, "logs"), Path(scratch, "ss"))
        files.logs.mkdir()
        choice = runtime_registry.choose("netns", topology, kinds)
        runtime = runtime_registry.create(choice, topology, kinds, allow_exec=False, progress=lambda text: None)
        with Lab(topology, runtime, kinds, files, LabSettings(trace=trace, pace=replace(REAL, period=period))) as one:
            yield one


def churn_cost(connections: int = CHURN, rounds: int = 3) -> Comparison:
    """Short connections, traced and sampled, against the same with nobody looking."""
    if rounds > SMALLEST:
        _churn(connections, observed=True)
    pairs = [(_churn(connections, observed=True), _churn(connections, observed=False)) for _ in range(rounds)]
    return compare_pairs(f"{connections} short connections, observed", "not observed", pairs, goal=1.1)


def _churn(connections: int, *, observed: bool) -> float:
    with lab(COMPOSE / "client-server.yaml", trace=observed, period=0.05) as one:
        if observed:
            one.sample(on=True)
        client = one.channels["client"]
        fields: dict[str, object] = {
            "url": "http://server:8080/", "session": None, "count": connections, "concurrency": 2, "interval": 0.0,
            "method": "GET", "headers": {}, "body": None, "timeout": 10.0,
        }  # fmt: skip
        begun = time.perf_counter()
        client.wait_done(client.command("request", **fields))
        return time.perf_counter() - begun


def sampling_share(nodes: int = 100, seconds: float = 5.0) -> Comparison:
    """Idle nodes sampled at 10 Hz for some seconds: the share of one core that the probe takes."""
    with tempfile.TemporaryDirectory() as scratch:
        topology = compose_file(Path(scratch), nodes, "simctl/host")
        with lab(topology, trace=True, period=0.1) as one:
            one.sample(on=True)
            probe = next(pid for pid in descendants(os.getpid()) if "observe.probe" in _command(pid))
            before = _cpu_seconds(probe)
            time.sleep(seconds)
            share = (_cpu_seconds(probe) - before) / seconds
    return Comparison(
        f"{nodes} nodes sampled at 10 Hz, share of a core", share, "bound", SHARE_GOAL, share / SHARE_GOAL, 1.0, 1
    )


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
