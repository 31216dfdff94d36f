"""docs/topology.md says what the code does: its tables are those of keys.py."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.kinds.registry import kind_names
from orchestrator.topology.compose import keys
from orchestrator.topology.compose.file import load_topology
from orchestrator.topology.compose.limits import HARMLESS_CAPABILITIES, RESERVED_NAMES
from orchestrator.topology.subnets import ADDRESS_SPACE

PAGE = (Path(__file__).parents[2] / "docs/topology.md").read_text()
ROW = re.compile(r"^\| `([^`]+)`(?: \(([^)]*)\))? \| (.*) \|$", re.MULTILINE)


def rows(part: str) -> set[tuple[str, str]]:
    return {(key, meaning) for key, _, meaning in ROW.findall(part) if not key.startswith("${")}


def test_the_tables_are_those_of_the_code() -> None:
    read, rest = PAGE.split("\n## Passed over\n")
    ignored, refused = rest.split("\n## Refused\n")
    for part, group in ((read, "read"), (ignored, "ignored"), (refused, "refused")):
        assert rows(part) == {
            (table.prefix + key, meaning) for table in keys.TABLES for key, meaning in getattr(table, group).items()
        }


def test_no_key_is_in_two_groups() -> None:
    for table in keys.TABLES:
        groups = [*table.read, *table.ignored, *table.refused]
        assert len(groups) == len(set(groups))


def test_the_limits_are_those_of_the_code() -> None:
    words = set(re.findall(r"[A-Z_]{3,}", PAGE.split("`cap_add` is limited to", 1)[1].split("- `sysctls`")[0]))
    assert words == set(HARMLESS_CAPABILITIES)
    listed = re.search(r"the words of the scenario language \(`([^`]*)`\)", PAGE)
    assert listed is not None
    assert set(listed[1].split()) | {"for_"} == RESERVED_NAMES
    assert all(str(space) in PAGE for space in ADDRESS_SPACE)


def test_the_example_loads(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    path = tmp_path / "compose.yaml"
    path.write_text(example[1])
    topology = load_topology(path, {}, kinds=kind_names())
    assert [node.name for node in topology.nodes] == ["client", "server"]
    assert topology.nodes[1].environment == {"KEEPALIVE_TIMEOUT": "5s"}
