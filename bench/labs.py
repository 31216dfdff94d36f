"""Up + down of labs of 2, 10 and 100 nodes, against Mininet and docker-compose."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from bench.measure import Comparison, compare
from orchestrator.kinds.registry import load_kinds
from orchestrator.lab.lab import Lab, LabFolder
from orchestrator.runtimes import registry as runtime_registry
from orchestrator.runtimes.base import Runtime
from orchestrator.topology.compose.file import load_topology

_MININET = """
import sys
from mininet.net import Mininet
from mininet.topo import SingleSwitchTopo
from mininet.nodelib import LinuxBridge
net = Mininet(topo=SingleSwitchTopo(int(sys.argv[1])), switch=LinuxBridge, controller=None, waitConnected=False)
net.start()
net.stop()
"""


def compose_file(folder: Path, nodes: int, image: str, **service: object) -> Path:
    """A topology of `nodes` idle hosts on one network."""
    path = folder / f"hosts-{nodes}.yaml"
    services = {f"h{number}": {"image": image, "networks": ["lab"], **service} for number in range(nodes)}
    path.write_text(yaml.safe_dump({"services": services, "networks": {"lab": {"internal": True}}}))
    return path


def up_and_down(topology_file: Path, runtime_name: str) -> None:
    """One lab of ours: all nodes up, wired and ready, then gone."""
    kinds = load_kinds()
    topology = load_topology(topology_file, {}, kinds=kinds)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        logs = folder / "logs"
        logs.mkdir()
        choice = runtime_registry.choose(runtime_name, topology, kinds)
        runtime: Runtime = runtime_registry.create(choice, topology, kinds, allow_exec=True, progress=lambda text: None)
        with Lab(topology, runtime, kinds, LabFolder(folder / "events.jsonl", logs, folder / "ss")):
            pass


def whole_process(topology_file: Path, runtime_name: str) -> None:
    """The same with the start of an interpreter, as the peers have it."""
    code = "import sys; from pathlib import Path; from bench.labs import up_and_down; "
    code += "up_and_down(Path(sys.argv[1]), sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(topology_file), runtime_name], check=True)


def against_mininet(folder: Path, nodes: int, goal: float, rounds: int = 3) -> Comparison:
    """Both as whole processes. Mininet with Linux bridges and no controller: its quickest way."""
    topology = compose_file(folder, nodes, "simctl/host")
    script = folder / "mininet_up_down.py"
    script.write_text(_MININET)
    return compare(
        f"netns up+down, {nodes} nodes",
        lambda: whole_process(topology, "netns"),
        "Mininet",
        lambda: _quiet(["/usr/bin/python3", str(script), str(nodes)]),
        goal=goal,
        rounds=rounds,
    )


def against_docker_compose(folder: Path, nodes: int, runtime_name: str, goal: float, rounds: int = 3) -> Comparison:
    """Our lab against `docker-compose up -d` and `down` of the same file and image."""
    topology = compose_file(folder, nodes, "simctl/host")
    peers = folder / f"peer-{nodes}"
    peers.mkdir(exist_ok=True)
    # Their containers get no line `go`, so the program is started without our init.
    peer_file = compose_file(peers, nodes, "simctl/host", entrypoint=["sleep", "infinity"], stop_grace_period="0s")
    peer_file.write_text("version: '3.7'\n" + peer_file.read_text())
    # The engine takes two networks of one name, and then neither can be used; tests run benchmarks side by side.
    project = f"simctlbench{nodes}-{os.getpid()}"
    command = ["docker-compose", "--project-name", project, "-f", str(peer_file)]

    def theirs() -> None:
        try:
            _quiet([*command, "up", "-d"])
        finally:
            _quiet([*command, "down", "--timeout", "0"])

    return compare(
        f"{runtime_name} up+down, {nodes} nodes",
        lambda: whole_process(topology, runtime_name),
        "docker-compose",
        theirs,
        goal=goal,
        rounds=rounds,
    )


def _quiet(argv: list[str]) -> None:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-2000:]}")
