"""Whatever stands in a file: a Topology whose promises hold, or an InputError. Never anything else."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.fabric.addresses import sizes
from orchestrator.topology.compose import keys
from orchestrator.topology.compose.file import load_topology
from orchestrator.topology.model import Topology
from orchestrator.topology.order import start_order

TEXTS = [
    *(
        "web",
        "db",
        "lab",
        "a:10.0.0.1",
        "A=1",
        "net.core.somaxconn",
        "NET_RAW",
        "simctl/origin",
        "simctl/none",
        "./:/d",
    ),
    *(
        "10.5.0.0/24",
        "10.5.0.9",
        "bind",
        "service_healthy",
        "10s",
        "CMD",
        "$A",
        "${A:-b}",
        "${",
        "",
        "true",
        "~",
        "a\0b",
    ),
]
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 12) | st.integers() | st.floats() | st.sampled_from(TEXTS) | st.text()
)
ALL_KEYS = sorted({key for table in keys.TABLES for key in (*table.read, *table.ignored, *table.refused)})
KEYS = st.sampled_from([*ALL_KEYS, *TEXTS]) | st.text()


def shaped(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=3) | st.dictionaries(KEYS, values, max_size=4)


ANYTHING = st.recursive(SCALARS, shaped, max_leaves=8)


def mappings(table: keys.KeyTable) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(list(table.read)), ANYTHING, max_size=3)


WORDS = st.sampled_from(["a", "b c", "$A", "${A:-b}", "${NONE}", "8080"])
VALUES = WORDS | st.booleans() | st.integers(0, 9) | st.none()
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "command": st.lists(WORDS, max_size=3) | st.sampled_from(["serve --now", "'a b' c"]),
    "environment": st.dictionaries(st.sampled_from(["A", "B", "C"]), VALUES) | st.lists(st.sampled_from(["A", "B=1"])),
    "networks": st.lists(st.sampled_from(["lab", "default"]), unique=True)
    | st.dictionaries(
        st.sampled_from(["lab", "default"]),
        st.none() | st.fixed_dictionaries({"aliases": st.lists(st.sampled_from(["www", "db"]), max_size=2)}),
    ),
    "depends_on": st.lists(st.sampled_from(["web", "db"]), max_size=1, unique=True),
    "sysctls": st.just({"net.core.somaxconn": 1}),
    "cap_add": st.lists(st.sampled_from(["NET_RAW", "cap_kill"])),
    "extra_hosts": st.just(["a:10.0.0.1"]),
    "healthcheck": st.just({"test": "exit 0", "interval": "1s"}),
    "deploy": st.fixed_dictionaries({"replicas": st.integers(1, 4)}),
    "ports": ANYTHING,
}
BROKEN = st.dictionaries(st.sampled_from(list(keys.SERVICE.read)) | KEYS, ANYTHING, min_size=1, max_size=1) | st.one_of(
    st.fixed_dictionaries({"networks": st.dictionaries(st.sampled_from(["lab", "nope"]), mappings(keys.ATTACHMENT))}),
    st.fixed_dictionaries({"deploy": mappings(keys.DEPLOY)}),
    st.fixed_dictionaries({"healthcheck": mappings(keys.HEALTHCHECK)}),
    st.fixed_dictionaries({"volumes": st.lists(mappings(keys.VOLUME), max_size=2)}),
    st.fixed_dictionaries({"env_file": mappings(keys.ENV_FILE)}),
)
"""One key that may be wrong; most files have none, so that many are read to the end."""
SERVICES = st.builds(
    lambda image, good, broken: {"image": image, **good, **broken},
    st.sampled_from(["simctl/origin", "nginx"]),
    st.fixed_dictionaries({}, optional=GOOD),
    st.just({}) | st.just({}) | BROKEN,
)
NETWORKS = st.fixed_dictionaries(
    {"lab": st.none() | st.just({"ipam": {"config": [{"subnet": "10.5.0.0/24"}]}}) | mappings(keys.NETWORK)},
    optional={"default": st.none()},
)
FILES = st.fixed_dictionaries(
    {
        "services": st.dictionaries(st.sampled_from(["web", "db"]), SERVICES, min_size=1, max_size=2),
        "networks": NETWORKS,
    },
    optional={"x-a": ANYTHING, "volumes": ANYTHING},
)


def load(text: str, *, allow_host_access: bool = False) -> Topology | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compose.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            return load_topology(path, {"A": "a"}, allow_host_access=allow_host_access, kinds=["origin"])
        except InputError as error:
            for problem in error.problems:
                assert problem.place is not None
                assert "\n" not in problem.message
            return None


def check(topology: Topology) -> None:
    names = [node.name for node in topology.nodes]
    assert len(names) == len(set(names)) > 0
    waves = start_order(topology)
    assert sorted(node.name for wave in waves for node in wave) == sorted(names)
    networks = {network.name for network in topology.networks}
    assert {leg.network for node in topology.nodes for leg in node.attachments} == networks
    for node in topology.nodes:
        texts = [node.image, *(node.command or ()), *node.environment.values(), *node.sysctls.values()]
        assert all(isinstance(text, str) and "\0" not in text for text in texts)
        assert all(name.startswith("net.") for name in node.sysctls)
    assert set(sizes(topology)) == networks


@given(st.recursive(SCALARS, shaped, max_leaves=20))
@settings(max_examples=150, deadline=None)
def test_any_structure(data: object) -> None:
    assert load(yaml.safe_dump(data, allow_unicode=True)) is None or isinstance(data, dict)


@given(FILES, st.booleans())
@settings(max_examples=200, deadline=None)
def test_nearly_right_structures(data: dict[str, Any], allow_host_access: bool) -> None:
    topology = load(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), allow_host_access=allow_host_access)
    if topology is not None and not allow_host_access:
        check(topology)


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_any_text(text: str) -> None:
    load(text)
