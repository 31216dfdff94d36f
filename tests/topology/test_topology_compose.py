"""What load_topology makes of Compose files that are right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.kinds.registry import kind_names
from orchestrator.system import resources
from orchestrator.topology.compose.file import load_topology
from orchestrator.topology.model import Healthcheck, Network, Node, Topology, Volume

KINDS = ["origin", "requests"]


def load(folder: Path, text: str, variables: Mapping[str, str] | None = None, *, allow: bool = False) -> Topology:
    path = folder / "compose.yaml"
    path.write_text(dedent(text))
    return load_topology(path, variables or {}, allow_host_access=allow, kinds=KINDS)


def one(folder: Path, keys: str, variables: Mapping[str, str] | None = None, *, allow: bool = False) -> Node:
    """The node of a topology with one service, whose keys are one YAML flow mapping."""
    text = f"services: {{web: {{image: simctl/origin, {keys}}}}}"
    return load(folder, text, variables, allow=allow).nodes[0]


def test_the_bundled_topology() -> None:
    topology = load_topology(
        resources.COMPOSE / "client-server.yaml", {"KEEPALIVE_TIMEOUT": "2s"}, kinds=["origin", "requests"]
    )
    client, server = topology.nodes
    assert (client.name, client.kind, dict(client.depends_on)) == ("client", "requests", {"server": "service_started"})
    assert (server.image, server.environment["KEEPALIVE_TIMEOUT"]) == ("simctl/origin", "2s")
    assert topology.networks == (Network("lab"),)
    assert topology.variables == {"KEEPALIVE_TIMEOUT": "2s"}
    assert topology.notes == ()


def test_every_bundled_topology_loads() -> None:
    paths = sorted(resources.COMPOSE.glob("*.yaml"))
    assert paths
    for path in paths:
        assert load_topology(path, {}, kinds=kind_names()).nodes


@pytest.mark.parametrize(
    ("keys", "field", "expected"),
    [
        ("command: --httpPort=8080 'a b'", "command", ("--httpPort=8080", "a b")),
        ("command: [--port, 8080, true]", "command", ("--port", "8080", "true")),
        ("command: []", "command", ()),
        ("command: null", "command", None),
        ("command: '$$HOME ${PORT}'", "command", ("$HOME", "80")),
        ("environment: {A: 1, B: x, C: true, D: 1.5, E: '', F: null, PORT: null}", "environment",
         {"A": "1", "B": "x", "C": "true", "D": "1.5", "E": "", "PORT": "80"}),
        ("environment: [A=1, 'B=x=y', C=, F, PORT]", "environment", {"A": "1", "B": "x=y", "C": "", "PORT": "80"}),
        ("depends_on: []", "depends_on", {}),
        ("sysctls: {net.ipv4.tcp_fin_timeout: 10}", "sysctls", {"net.ipv4.tcp_fin_timeout": "10"}),
        ("sysctls: ['net.core.somaxconn=128']", "sysctls", {"net.core.somaxconn": "128"}),
        ("cap_add: [NET_ADMIN, CAP_NET_RAW, net_raw]", "cap_add", ("NET_ADMIN", "NET_RAW")),
        ("extra_hosts: ['a:10.0.0.1', 'b=10.0.0.2', 'c:::1', 'd=[::2]']", "extra_hosts",
         {"a": "10.0.0.1", "b": "10.0.0.2", "c": "::1", "d": "::2"}),
        ("extra_hosts: {api.example.com: 10.0.0.1}", "extra_hosts", {"api.example.com": "10.0.0.1"}),
        ("hostname: www.example.com", "hostname", "www.example.com"),
        ("healthcheck: {test: 'curl localhost'}", "healthcheck", Healthcheck(("CMD-SHELL", "curl localhost"))),
        ("healthcheck: {test: [CMD, curl, x], interval: 1m30s, timeout: 500ms, retries: 1, start_period: 1h}",
         "healthcheck", Healthcheck(("CMD", "curl", "x"), 90.0, 0.5, 1, 3600.0)),
        ("healthcheck: {test: [NONE]}", "healthcheck", None),
        ("healthcheck: {test: x, disable: true}", "healthcheck", None),
        ("x-anything: [1]", "attachments", None),
    ],
)  # fmt: skip
def test_a_key_of_a_service(tmp_path: Path, keys: str, field: str, expected: object) -> None:
    node = one(tmp_path, keys, {"PORT": "80"})
    if field == "attachments":
        assert node.attachments[0].network == "default"
    else:
        assert getattr(node, field) == expected


def test_networks_of_a_service(tmp_path: Path) -> None:
    topology = load(
        tmp_path,
        """
        services:
          a: {image: simctl/origin, networks: {front: {aliases: [www, www]}, back: {ipv4_address: 10.5.0.9}, mid: }}
          b: {image: simctl/origin, networks: [back]}
          c: {image: "nginx:1.25"}
        networks:
          back: {ipam: {driver: default, config: [{subnet: "fd00::/64"}, {subnet: 10.5.0.0/24, gateway: 10.5.0.1}]}}
          front: {internal: true, driver: bridge}
          mid:
          idle: {driver: overlay}
        """,
    )
    a, b, c = topology.nodes
    assert [(leg.network, leg.aliases, leg.ipv4_address) for leg in a.attachments] == [
        ("front", ("a", "www"), None),
        ("back", ("a",), "10.5.0.9"),
        ("mid", ("a",), None),
    ]
    assert [leg.network for leg in b.attachments] == ["back"]
    assert [leg.network for leg in c.attachments] == ["default"]
    assert (c.kind, c.image) == (None, "nginx:1.25")
    assert topology.networks == (Network("back", "10.5.0.0/24"), Network("front"), Network("mid"), Network("default"))
    notes = [note.text for note in topology.notes]
    assert any("idle is left out" in note for note in notes)
    assert any("driver overlay" in note for note in notes)
    assert any("fd00::/64" in note for note in notes)


def test_replicas(tmp_path: Path) -> None:
    topology = load(
        tmp_path,
        """
        services:
          client: {image: simctl/requests, deploy: {replicas: "${N:-3}"}, depends_on: [server]}
          server: {image: simctl/origin, scale: 1}
        """,
        {"N": "2"},
    )
    assert [node.name for node in topology.nodes] == ["client-1", "client-2", "server"]
    assert [node.name for node in topology.resolve("client")] == ["client-1", "client-2"]
    assert all(node.attachments[0].aliases == ("client",) for node in topology.resolve("client"))
    assert [note.text for note in topology.notes] == ["the name client means client-1, the first of its 2 nodes"]


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    topology = load(
        tmp_path,
        """
        x-env: &env {A: 1, B: "${B:-2}"}
        x-node: &node
          image: simctl/origin
          restart: always
          x-note: here too
          environment: {<<: *env, B: 3}
        services:
          a: {<<: *node}
          b: {<<: *node, environment: *env}
        """,
    )
    assert [node.environment for node in topology.nodes] == [{"A": "1", "B": "3"}, {"A": "1", "B": "2"}]
    (note,) = topology.notes
    assert "`restart` of a, b is passed over" in note.text
    assert note.place.line == 5


def test_dotenv_stands_below_given_variables_and_the_process_environment_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\nC=${A}\n")
    monkeypatch.setenv("B", "process")
    monkeypatch.setenv("D", "process")
    topology = load(
        tmp_path,
        'services: {web: {image: simctl/origin, environment: ["V=${A}/${B}/${C}/${D:-default}"]}}',
        {"A": "given"},
    )
    assert topology.nodes[0].environment == {"V": "given/file/given/default"}
    assert topology.variables == {"A": "given", "B": "file", "C": "given"}


def test_env_file(tmp_path: Path) -> None:
    (tmp_path / "one.env").write_text("A=1\nB=1\nC=${X}\n")
    (tmp_path / "two.env").write_text("B=2\nD=2\n")
    files = "[one.env, {path: ./two.env, required: true}, {path: none.env, required: false}]"
    node = one(tmp_path, f"env_file: {files}, environment: {{D: 3, A: null}}", {"X": "x"})
    assert node.environment == {"B": "2", "C": "x", "D": "3"}
    assert one(tmp_path, "env_file: two.env").environment == {"B": "2", "D": "2"}


def test_volumes(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/a.conf").write_text("")
    (tmp_path / "link").symlink_to("conf")
    node = one(
        tmp_path,
        "volumes: [./conf/a.conf:/etc/a.conf:ro, ./link:/data/, "
        "{type: bind, source: conf, target: /x, read_only: true, bind: {create_host_path: true}}, /scratch]",
    )
    assert node.volumes == (
        Volume((tmp_path / "conf/a.conf").resolve(), "/etc/a.conf", True),
        Volume((tmp_path / "conf").resolve(), "/data", False),
        Volume((tmp_path / "conf").resolve(), "/x", True),
    )


def test_keys_without_meaning_give_one_note_each(tmp_path: Path) -> None:
    topology = load(
        tmp_path,
        """
        version: "3.8"
        name: shop
        services:
          a: {image: simctl/origin, ports: ["80:80"], privileged: true, build: ., deploy: {resources: {limits: {}}}}
          b: {image: simctl/origin, ports: ["81:80"], healthcheck: {test: x, start_interval: 1s}}
        volumes: {data: }
        """,
    )
    assert [(note.text.split(" is passed over")[0], note.place.line) for note in topology.notes] == [
        ("`ports` of a, b", 5),
        ("`privileged` of a", 5),
        ("`build`", 5),
        ("`deploy.resources` of a", 5),
        ("`healthcheck.start_interval` of b", 6),
        ("`volumes`", 7),
    ]


def test_variables_without_effect_or_value_are_noted(tmp_path: Path) -> None:
    topology = load(
        tmp_path,
        'services: {web: {image: simctl/origin, environment: {A: "${KEEPALIVE_TIMEOUT:-5s}", B: "$NOTHING"}}}',
        {"KEEPALIVE_TIMOUT": "1s", "KEEPALIVE_TIMEOUT": "2s"},
    )
    texts = [note.text for note in topology.notes]
    assert texts == [
        "the variable KEEPALIVE_TIMOUT has no effect: this file does not use it; did you mean KEEPALIVE_TIMEOUT?",
        "the variable NOTHING is not set and has no default: taken as empty",
    ]
    assert topology.nodes[0].environment == {"A": "2s", "B": ""}


def test_an_alias_that_several_services_have_means_the_first(tmp_path: Path) -> None:
    topology = load(
        tmp_path,
        """
        services:
          a: {image: simctl/origin, networks: {n: {aliases: [api]}}}
          b: {image: simctl/origin, networks: {n: {aliases: [api, a]}}}
        networks: {n: }
        """,
    )
    assert [note.text for note in topology.notes] == [
        "the alias api of b means a in the network n",
        "the alias a of b means a in the network n",
    ]


def test_a_dependency_that_is_not_required_may_be_missing(tmp_path: Path) -> None:
    text = """
        services:
          a:
            image: simctl/origin
            depends_on: {b: {condition: service_healthy}, c: {condition: service_started, required: false}}
          b: {image: simctl/origin}
        """
    topology = load(tmp_path, text)
    assert topology.nodes[0].depends_on == {"b": "service_healthy"}
    assert "depends_on c is passed over" in topology.notes[0].text


def test_trusted_files_may_reach_the_host(tmp_path: Path) -> None:
    node = one(
        tmp_path,
        "entrypoint: [sh, -c, id], cap_add: [SYS_ADMIN], sysctls: {kernel.msgmax: 1}, volumes: ['/etc:/mnt:ro']",
        allow=True,
    )
    assert node.entrypoint == ("sh", "-c", "id")
    assert (node.cap_add, node.sysctls) == (("SYS_ADMIN",), {"kernel.msgmax": "1"})
    assert node.volumes == (Volume(Path("/etc"), "/mnt", True),)
