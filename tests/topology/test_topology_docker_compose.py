"""The same files, read by us and by docker-compose: people's files mean here what they mean there.

docker-compose 1.29 knows neither `:+` nor variables inside of defaults; those are tested against the specification. And
the other way round: the topologies that come with simctl come up without it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from orchestrator.errors import InputError
from orchestrator.kinds.registry import kind, kind_names
from orchestrator.runtimes.docker.images import build
from orchestrator.system.resources import ROOT
from orchestrator.topology.compose.file import load_topology
from orchestrator.topology.model import Node, Topology
from tests.support.node_process import PATIENCE
from tests.support.node_process import node as started

if TYPE_CHECKING:
    from docker import APIClient

BUNDLED = sorted((ROOT / "compose").glob("*.yaml"))
BUNDLED_KINDS = sorted(
    {node.kind or "" for path in BUNDLED for node in load_topology(path, {}, kinds=kind_names()).nodes}
)
URLS = {"psycopg": "postgresql://{host}:5432/"}
"""Of the first node that a client asks, by its kind; others ask by HTTP."""

VARIABLES = {"SET": "value", "EMPTY": "", "PORT": "8080", "QUOTES": "a 'b' \"c\"", "DOLLAR": "a$b"}

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def docker_compose() -> str:
    found = shutil.which("docker-compose")
    if found is None:
        message = "docker-compose is not installed (Debian: apt-get install docker-compose)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


def theirs(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "-p", "compared", "-f", str(path), "config"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(path.parent), **VARIABLES},
        check=False,
    )


def both(program: str, folder: Path, text: str) -> tuple[Topology, dict[str, Any]]:
    path = folder / "compose.yaml"
    path.write_text(dedent(text))
    result = theirs(program, path)
    assert result.returncode == 0, result.stderr
    # Its output is a Compose file again, so it writes each dollar sign twice.
    return load_topology(path, VARIABLES, kinds=["origin"]), yaml.safe_load(result.stdout.replace("$$", "$"))


EXPRESSIONS = [
    *("$SET", "${SET}", "$SET$PORT", "a${SET}b", "$SET-x", "$$SET", "$$$$", "$${SET}", "$$$SET", "x$$", "${UNSET}"),
    *("${SET:-d}", "${EMPTY:-d}", "${UNSET:-d}", "${SET-d}", "${EMPTY-d}", "${UNSET-d}", "${UNSET:-}", "${UNSET-}"),
    *("${SET:?e}", "${SET?e}", "${EMPTY?e}", "${UNSET:-http://host:80/?a=b&c}", "${UNSET:-a-b:-c}", "${UNSET:-{x}"),
    *("${DOLLAR}", "${QUOTES}", "${UNSET:- spaced }", "plain", "{}", "} {", "${_x:-under}", "é${SET}é"),
]


def test_interpolation(docker_compose: str, tmp_path: Path) -> None:
    environment = {f"V{number}": expression for number, expression in enumerate(EXPRESSIONS)}
    text = yaml.safe_dump({"services": {"web": {"image": "x", "environment": environment}}})
    ours, compared = both(docker_compose, tmp_path, text)
    expected = {EXPRESSIONS[int(name[1:])]: value for name, value in compared["services"]["web"]["environment"].items()}
    assert {EXPRESSIONS[int(name[1:])]: value for name, value in ours.nodes[0].environment.items()} == expected


@pytest.mark.parametrize("expression", ["$", "${SET b}", "${EMPTY:?e}"])
def test_refused_templates(docker_compose: str, tmp_path: Path, expression: str) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(yaml.safe_dump({"services": {"web": {"image": "x", "hostname": expression}}}))
    assert theirs(docker_compose, path).returncode != 0
    with pytest.raises(InputError):
        load_topology(path, VARIABLES, kinds=[])


SERVICES = """
    version: "2.4"
    x-common: &common
      environment: &env {A: 1, B: "${SET:-x}", C: "${UNSET:-two words}", D: null, PORT: null, F: 1.5}
      sysctls: {net.core.somaxconn: 128}
    services:
      a:
        <<: *common
        image: "img:${PORT}"
        command: serve --port ${PORT} 'two words' "$$HOME"
        entrypoint: [sh, -c, "x y"]
        networks: {front: {aliases: [www, api]}, back: {ipv4_address: 10.5.0.7}}
        depends_on: {b: {condition: service_healthy}, c: {condition: service_started}}
        hostname: alpha
        cap_add: [NET_ADMIN]
        extra_hosts: ["one:10.0.0.1", "two:10.0.0.2"]
      b:
        image: img
        env_file: [one.env, two.env]
        environment: [A=1, "B=${SET}=x", PORT, D]
        networks: [back]
        depends_on: [c]
        sysctls: ["net.ipv4.tcp_fin_timeout=10"]
        scale: 3
        healthcheck: {test: [CMD, "true"], interval: 5s, retries: 2}
        volumes: ["./conf:/conf:ro", "./conf:/data"]
      c:
        image: img
        environment: {<<: *env, A: 2}
        extra_hosts: {one: 10.0.0.1}
        healthcheck: {test: "exit 0"}
    networks:
      front: {internal: true}
      back: {ipam: {config: [{subnet: 10.5.0.0/24}]}}
    """


def test_services(docker_compose: str, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "one.env").write_text("# one\nA=0\nE='x y'\nG=a # b\nexport H=\"q\\tr\"\n")
    (tmp_path / "two.env").write_text("E=2\nI=${SET}/${UNSET:-d}\n")
    ours, compared = both(docker_compose, tmp_path, SERVICES)
    services = compared["services"]
    assert list(dict.fromkeys(node.service for node in ours.nodes)) == list(services)
    for node in ours.nodes:
        assert as_compose(node) == picked(services[node.service])
    assert len(ours.resolve("b")) == services["b"]["scale"]
    subnets = {
        name: network["ipam"]["config"][0]["subnet"]
        for name, network in compared["networks"].items()
        if "ipam" in network
    }
    assert {network.name: network.subnet for network in ours.networks if network.subnet} == subnets


def test_dotenv(docker_compose: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SET=below the process\nONLY='from # file'\nTWICE=1\nTWICE=2\nEXPANDED=${ONLY}!\n")
    text = 'services: {web: {image: x, environment: {A: "$SET", B: "$ONLY", C: "$TWICE", D: "$EXPANDED"}}}'
    ours, compared = both(docker_compose, tmp_path, text)
    assert ours.nodes[0].environment == compared["services"]["web"]["environment"]
    assert ours.nodes[0].environment["A"] == "value"


def as_compose(node: Node) -> dict[str, Any]:
    """Our node in the words of docker-compose's output."""
    return {
        "image": node.image,
        "command": list(node.command) if node.command is not None else None,
        "entrypoint": list(node.entrypoint) if node.entrypoint is not None else None,
        "environment": dict(node.environment),
        "networks": {
            leg.network: (list(leg.aliases[1:]), leg.ipv4_address)
            for leg in node.attachments
            if leg.network != "default"
        },
        "depends_on": dict(node.depends_on),
        "hostname": node.hostname,
        "cap_add": list(node.cap_add),
        "sysctls": dict(node.sysctls),
        "extra_hosts": dict(node.extra_hosts),
        "healthcheck": list(node.healthcheck.test) if node.healthcheck else None,
        "volumes": [(str(volume.source), volume.target, volume.read_only) for volume in node.volumes],
    }


def picked(service: Mapping[str, Any]) -> dict[str, Any]:
    """docker-compose's service: the same keys, with its several ways of writing one thing made one."""
    volumes = [str(volume).split(":") for volume in service.get("volumes", [])]
    networks = service.get("networks", {})
    depends_on = service.get("depends_on", {})
    return {
        "image": service["image"],
        "command": words(service.get("command")),
        "entrypoint": words(service.get("entrypoint")),
        # It keeps a name without a value, and leaves it out when it creates the container; numbers become text there.
        "environment": {
            name: str(value) for name, value in service.get("environment", {}).items() if value is not None
        },
        "networks": {
            name: (list((leg or {}).get("aliases", [])), (leg or {}).get("ipv4_address"))
            for name, leg in networks.items()
        },
        "depends_on": {name: (depends_on[name] or {}).get("condition", "service_started") for name in depends_on},
        "hostname": service.get("hostname"),
        "cap_add": service.get("cap_add", []),
        "sysctls": {name: str(value) for name, value in service.get("sysctls", {}).items()},
        "extra_hosts": hosts(service.get("extra_hosts", [])),
        "healthcheck": as_list(service["healthcheck"]["test"]) if "healthcheck" in service else None,
        "volumes": [(source, target, mode == "ro") for source, target, mode in volumes],
    }


def words(command: object) -> object:
    """It prints a command that was a text as that text."""
    return shlex.split(command) if isinstance(command, str) else command


def as_list(test: object) -> object:
    return ["CMD-SHELL", test] if isinstance(test, str) else test


def hosts(extra_hosts: Any) -> dict[str, str]:
    return extra_hosts if isinstance(extra_hosts, dict) else dict(host.split(":", 1) for host in extra_hosts)


# -- without simctl --------------------------------------------------------------------------------------------------


class Project:
    """docker-compose on one file, as a project of its own."""

    def __init__(self, program: str, path: Path) -> None:
        self._command = [program, "-p", f"simctl-{uuid.uuid4().hex[:8]}", "-f", str(path)]

    def run(self, *arguments: str) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def request(self, client: Node) -> dict[str, Any]:
        """What a client's image says when it is told by hand to ask the node that it depends on."""
        url = URLS.get(client.kind or "", "http://{host}:8080/").format(host=next(iter(client.depends_on)))
        with started([*self._command, "run", "--rm", "--no-deps", "-T", client.service]) as process:
            process.write(b"go\n")
            process.next("ready")
            request, _ = process.do(do="request", url=url)
            process.end()
        return request


@contextmanager
def project(program: str, path: Path) -> Iterator[Project]:
    """It is gone at the end."""
    made = Project(program, path)
    try:
        yield made
    finally:
        made.run("down", "--timeout", "0")


@pytest.mark.docker
@pytest.mark.images(*BUNDLED_KINDS)
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_bundled_topologies_come_up_without_simctl(docker_compose: str, engine: APIClient, path: Path) -> None:
    nodes = load_topology(path, {}, kinds=kind_names()).nodes
    kinds = {node.service: kind(node.kind or "") for node in nodes}
    build({each.kind for each in kinds.values()}, progress=lambda text: None, client=engine)  # tags them as latest
    client = next(node for node in nodes if kinds[node.service].role == "client")
    with project(docker_compose, path) as compose:
        compose.run("up", "-d")
        deadline = time.monotonic() + PATIENCE
        # Nothing tells that a server listens, so the client asks until it does.
        while (answer := compose.request(client))["error"] is not None and time.monotonic() < deadline:
            pass
        assert answer["error"] is None, f"{answer}\n{compose.run('logs', '--no-color')}"
        running = set(compose.run("ps", "--services", "--filter", "status=running").split())
        assert running == {service for service, each in kinds.items() if each.role != "client"}
