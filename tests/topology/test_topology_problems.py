"""What load_topology says of Compose files that are wrong: the message, the place, and all of them at once."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.errors import InputError
from orchestrator.scenario.model import Expectation
from orchestrator.topology.compose.file import load_topology
from orchestrator.topology.compose.limits import RESERVED_NAMES


def problems(folder: Path, text: str) -> list[InputError]:
    path = folder / "compose.yaml"
    path.write_text(dedent(text))
    with pytest.raises(InputError) as caught:
        load_topology(path, {"PORT": "80"}, kinds=["origin", "requests"])
    for problem in caught.value.problems:
        assert "\n" not in problem.message
        assert problem.place is not None
    return caught.value.problems


@pytest.mark.parametrize(
    ("keys", "at", "message"),
    [
        ("image: x, imagee: x", "imagee", "unknown key imagee in a service"),
        ("image: simctl/orign", "simctl", "unknown node kind 'orign'; there are: origin, requests"),
        ("image: simctl/", "simctl", "unknown node kind ''"),
        ("image: 'a b'", "'a b'", "no name of an image"),
        ("image: [a]", "[a]", "expected the name of an image, not a list"),
        ("image: ''", "''", "not an empty text"),
        ("build: .", "web", "would have to be built"),
        ("command: x", "web", "needs an `image`"),
        ("image: '${A:?give A}'", "'${", "the variable A is not set: give A"),
        ("image: 'simctl/${A'", "'simctl", "closing brace"),
        ("image: x, command: 'a \"b'", "'a \"b'", "no closing quotation"),
        ("image: x, command: [[a]]", "[a]", "expected a text, not a list"),
        ("image: x, command: {a: b}", "{a", "expected a command: a text or a list, not a mapping"),
        ("image: simctl/origin, entrypoint: sh", "entrypoint", "replaces the program of the node kind origin"),
        ("image: x, environment: {A: [1]}", "[1]", "expected a text, not a list"),
        ("image: x, environment: [{A: 1}]", "{A: 1}", "not a mapping"),
        ("image: x, environment: {'A B': 1}", "1", "cannot name an environment variable"),
        ("image: x, environment: ['=1']", "'=1'", "cannot name an environment variable"),
        ('image: x, environment: {A: "a\\0b"}', '"a\\0b', "contains a NUL"),
        ("image: x, env_file: none.env", "none.env", "no such file or folder: none.env"),
        ("image: x, env_file: /etc/passwd", "/etc", "outside the Compose file's folder"),
        ("image: x, env_file: {required: true}", "{required", "needs a `path`"),
        ("image: x, networks: [nope]", "nope", "joins the network 'nope', which is not declared"),
        ("image: x, networks: [n, n]", "n]", "stands here twice"),
        ("image: x, networks: {n: {alias: [a]}}", "alias", "unknown key networks.alias"),
        ("image: x, networks: {n: {aliases: ['a b']}}", "'a b'", "cannot name a node"),
        ("image: x, networks: {n: {aliases: [localhost]}}", "localhost", "loopback"),
        ("image: x, networks: {n: {ipv4_address: 10.5.0}}", "10.5", "expected an IPv4 address"),
        ("image: x, networks: {n: {ipv4_address: 10.5.0.2}}", "10.5", "the network n has no subnet"),
        ("image: x, networks: {s: {ipv4_address: 10.6.0.2}}", "10.6", "outside the subnet 10.5.0.0/29"),
        ("image: x, networks: {s: {ipv4_address: 10.5.0.7}}", "10.5", "broadcast"),
        ("image: x, networks: {s: {ipv4_address: 10.5.0.3}}, scale: 2", "10.5", "2 replicas, but one ipv4_address"),
        ("image: x, network_mode: host", "network_mode", "`network_mode` is not supported"),
        ("image: x, extends: {service: b}", "extends", "use an anchor"),
        ("image: x, secrets: [s]", "secrets", "`secrets` is not supported"),
        ("image: x, depends_on: [nope]", "nope", "depends on the service 'nope'"),
        ("image: x, depends_on: [web]", "web]", "in a circle: web -> web"),
        ("image: x, depends_on: {db: {condition: healthy}}", "healthy", "condition healthy is not supported: unknown"),
        (
            "image: x, depends_on: {db: {condition: service_completed_successfully}}",
            "service_completed",
            "lives as long as the lab",
        ),
        ("image: x, sysctls: {kernel.msgmax: 1}", "1", "not one of the node's network"),
        ("image: x, sysctls: {net/../kernel: 1}", "1", "is no sysctl"),
        ("image: x, sysctls: [net.ipv4.ip_forward]", "net.ipv4", "needs a value"),
        ("image: x, cap_add: [SYS_ADMIN]", "SYS", "SYS_ADMIN reaches out of the lab"),
        ("image: x, cap_add: [ALL]", "ALL", "ALL reaches out of the lab"),
        ("image: x, cap_add: [NET_ADMN]", "NET", "no capability of Linux"),
        ("image: x, extra_hosts: ['a:b']", "'a:b", "expected an address after a"),
        ("image: x, extra_hosts: ['a:host-gateway']", "'a:h", "host-gateway is not supported"),
        ("image: x, extra_hosts: {'a\\nb': 10.0.0.1}", "10.0", "cannot name a host"),
        ("image: x, hostname: -a", "-a", "cannot name a host"),
        ("image: x, healthcheck: {test: [curl]}", "[curl]", "expected a list of CMD"),
        ("image: x, healthcheck: {interval: 10}", "10", "expected a duration"),
        ("image: x, healthcheck: {retries: -1}", "-1", "must be a whole number"),
        ("image: x, deploy: {replicas: 0}", "0", "from 1 to 1000, not 0"),
        ("image: x, deploy: {replicas: 99999999999999999999}", "99999999999999999999", "from 1 to 1000"),
        ("image: x, deploy: {replica: 2}", "replica:", "unknown key deploy.replica in deploy"),
        ("image: x, scale: 2, deploy: {replicas: 3}", "2, deploy", "scale is 2, but deploy.replicas is 3"),
        ("image: x, volumes: ['data:/d']", "'data", "named volume 'data'"),
        ("image: x, volumes: ['../x:/d']", "'../x", "outside the Compose file's folder"),
        ("image: x, volumes: ['./out:/d']", "'./out", "outside the Compose file's folder"),
        ("image: x, volumes: ['~/x:/d']", "'~/x", "outside the Compose file's folder"),
        ("image: x, volumes: ['./none:/d']", "'./none", "no such file or folder: ./none"),
        ("image: x, volumes: ['./:/proc/sys']", "'./:", "nothing can be mounted on /proc/sys"),
        ("image: x, volumes: ['./:/a/../proc']", "'./:", "absolute path in the node"),
        ("image: x, volumes: ['./:/']", "'./:", "nothing can be mounted on /"),
        ("image: x, volumes: ['./:/d:rshared']", "'./:", "unknown mode rshared"),
        ("image: x, volumes: ['./:/d', './:/d/']", "'./:/d/", "mounted twice"),
        ("image: x, volumes: [{type: tmpfs, target: /d}]", "{type", "type tmpfs is not supported"),
        ("image: x, volumes: [{type: bind, target: /d}]", "{type", "needs a `source`"),
    ],
)
def test_a_key_of_a_service(tmp_path: Path, keys: str, at: str, message: str) -> None:
    """`at` is the last text of that kind in the line: where the place must point."""
    (tmp_path / "out").symlink_to("/etc")
    line = f" web: {{{keys}}}"
    text = (
        f"services:\n{line}\n db: {{image: x}}\nnetworks: {{n: , s: {{ipam: {{config: [{{subnet: 10.5.0.0/29}}]}}}}}}\n"
    )
    (problem,) = problems(tmp_path, text)
    assert message in problem.message
    assert str(problem.place) == f"{tmp_path / 'compose.yaml'}:2:{line.rindex(at) + 1}"


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("serivces: {}", "serivces", "unknown key serivces in a Compose file"),
        ("services: [a]", "[a]", "expected the services: a map, not a list"),
        ("services: {}", "services", "at least one service"),
        ("services: {a: x}", "x", "expected a service: a mapping, not the text 'x'"),
        ("{include: [a.yaml], services: {a: {image: x}}}", "[a.yaml]", "a topology is one file"),
        ("services: {'a b': {image: x}}", "'a b'", "cannot name a service"),
        ("services: {..: {image: x}}", "..", "cannot name a service"),
        ("services: {-a: {image: x}}", "-a", "cannot name a service"),
        ("services: {a/b: {image: x}}", "a/b", "cannot name a service"),
        ("services: {10.0.0.1: {image: x}}", "10.0.0.1", "read it as an address"),
        (f"services: {{{'a' * 64}: {{image: x}}}}", "a" * 64, "at most 63 characters"),
        ("services: {a: {image: x}, A: {image: x}}", "A", "the name of a node of a"),
        ("services: {a: {image: x, scale: 2}, a-2: {image: x}}", "a-2", "the name of a node of a"),
        ("services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [a]}}", "b]", "a -> b -> a"),
        ("{services: {a: {image: x}}, networks: {default: {external: true}}}", "true", "is external"),
        ("{services: {a: {image: x}}, networks: {default: {interal: true}}}", "interal", "unknown key interal"),
        ("{services: {a: {image: x}}, networks: {a/b: {}}}", "a/b", "cannot name a network"),
    ],
)
def test_the_rest_of_the_file(tmp_path: Path, text: str, at: str, message: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert message in problem.message
    assert problem.place is not None
    if at not in ("services", "[a.yaml]"):
        assert problem.place.column == text.rindex(at) + 1


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        ("8.8.8.0/24", "no private address space"),
        ("0.0.0.0/0", "no private address space"),
        ("10.5.0.1/24", "host bits"),
        ("10.5.0.0/30", "too small"),
        ("10.5.0.0/29", "has room for 5 nodes, but n has 6"),
        ("10.6.0.0/16", "overlaps 10.6.1.0/24 of the network m"),
        ("ten", "expected an IPv4 subnet"),
    ],
)
def test_a_subnet(tmp_path: Path, subnet: str, message: str) -> None:
    text = f"""
        services: {{a: {{image: x, scale: 6, networks: [n, m]}}}}
        networks:
          m: {{ipam: {{config: [{{subnet: 10.6.1.0/24}}]}}}}
          n: {{ipam: {{config: [{{subnet: {subnet}}}]}}}}
        """
    (problem,) = problems(tmp_path, text)
    assert message in problem.message
    assert problem.place is not None
    assert problem.place.line == 5


def test_two_services_with_one_address(tmp_path: Path) -> None:
    text = """
        services:
          a: {image: x, networks: {n: {ipv4_address: 10.5.0.5}}}
          b: {image: x, networks: {n: {ipv4_address: 10.5.0.5}}}
        networks: {n: {ipam: {config: [{subnet: 10.5.0.0/24}]}}}
        """
    (problem,) = problems(tmp_path, text)
    assert problem.message == "the address 10.5.0.5 is given to a already"
    assert str(problem.place).endswith(":4:46")


def test_all_problems_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.env").write_text("A=1\n???\n")
    text = """
        services:
          a: {image: simctl/orgin, prots: ["80:80"], env_file: bad.env}
          b: {image: x, networks: [lab], depends_on: [c]}
        """
    found = problems(tmp_path, text)
    assert [str(problem.place).rpartition("/")[2] for problem in found] == [
        "bad.env:2",
        "compose.yaml:3:14",
        "compose.yaml:3:28",
        "compose.yaml:4:28",
        "compose.yaml:4:47",
    ]
    assert found[1].hint == "did you mean origin?"
    assert found[2].hint == "did you mean ports?"


def test_a_problem_behind_an_anchor_is_said_once(tmp_path: Path) -> None:
    text = """
        x-node: &node {image: simctl/none}
        services: {a: *node, b: *node}
        """
    (problem,) = problems(tmp_path, text)
    assert str(problem.place).endswith(":2:23")


def test_a_linked_dotenv_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("A=1\n")
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / ".env").symlink_to(secret)
    (problem,) = problems(folder, "services: {a: {image: x}}")
    assert "outside of its folder" in problem.message


def test_a_mistake_in_dotenv_has_its_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nB='\n")
    (problem,) = problems(tmp_path, "services: {a: {image: x}}")
    assert str(problem) == f"{tmp_path / '.env'}:2: the closing quote is missing"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_topology(tmp_path / "none.yaml", {}, kinds=[])


def test_reserved_names_are_those_of_the_scenario_language(tmp_path: Path) -> None:
    keys = set(Expectation.model_fields) | {field.alias for field in Expectation.model_fields.values() if field.alias}
    assert keys | {"start", "end"} == RESERVED_NAMES
    for name in sorted(RESERVED_NAMES):
        (problem,) = problems(tmp_path, f"services: {{{name}: {{image: x}}}}")
        assert "has a meaning of its own" in problem.message
