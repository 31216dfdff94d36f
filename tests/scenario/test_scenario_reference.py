"""The reference page is what the models say, its examples are legal, and the JSON Schema agrees with the loader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import RootModel

from orchestrator.errors import InputError, Place
from orchestrator.kinds.registry import load_kinds
from orchestrator.run.check import check_scenario
from orchestrator.scenario.facts import FACTS, LEGAL_WHENS
from orchestrator.scenario.loader import LoadedScenario, bundled_scenarios, parse_scenario
from orchestrator.scenario.model import WHENS
from orchestrator.scenario.schema import json_schema
from orchestrator.scenario.steps import STEPS, VERBS
from orchestrator.scenario.translate import keys_of
from orchestrator.system import resources
from orchestrator.text.yamlsource import load_yaml, parse_yaml
from orchestrator.topology.model import Attachment, Network, Node, Topology, VirtualAddress
from tools.reference.page import reference

PAGE = resources.ROOT / "docs" / "scenario-reference.md"
SCHEMA = Draft202012Validator(json_schema())
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", reference(), re.MULTILINE | re.DOTALL)
NODES = [("client", "requests"), ("server", "origin"), ("proxy", "nginx"), ("prober", "raw"), ("nat", "nat")]
TOPOLOGY = Topology(
    Path("lab.yaml"),
    tuple(
        Node(name, name, f"simctl/{kind}", kind, Place("lab.yaml"), attachments=(Attachment("lab"),))
        for name, kind in NODES
    ),
    (Network("lab"),),
    addresses=(VirtualAddress("vip", "lab", "proxy", Place("lab.yaml")),),
)


def test_the_page_on_disk_is_what_the_generator_makes() -> None:
    assert PAGE.read_text() == reference(), "run: python -m tools.reference > docs/scenario-reference.md"


def test_the_page_has_every_word_of_the_language() -> None:
    for word in (
        *FACTS,
        *VERBS,
        *WHENS,
        *(key for step in STEPS if not issubclass(step, RootModel) for key in keys_of(step)),
        *{when for whens in LEGAL_WHENS.values() for when in whens},
    ):
        assert f"`{word}`" in reference()


def test_every_example_fits_its_topology() -> None:
    """A fragment takes what it lacks from the page's first example."""
    assert len(EXAMPLES) > 5
    whole = yaml.safe_load(EXAMPLES[0])
    for example in EXAMPLES:
        fragment = parse_yaml(example, "example.yaml").data
        lacking = {key: value for key, value in whole.items() if key not in fragment and key != "expect"}
        data = lacking | fragment
        SCHEMA.validate(data)
        source = parse_yaml(yaml.safe_dump(data), "example.yaml")
        check_scenario(LoadedScenario(parse_scenario(source), source, Path("lab.yaml")), TOPOLOGY, load_kinds())


def test_the_examples_use_every_verb_and_when() -> None:
    text = "\n".join(EXAMPLES)
    for word in (*VERBS, *WHENS):
        assert re.search(rf"\b{word}:", text), word


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json_schema()["$id"]


@pytest.mark.parametrize("name", bundled_scenarios())
def test_the_bundled_scenarios_fit_the_schema(name: str) -> None:
    SCHEMA.validate(load_yaml(bundled_scenarios()[name]).data)


def broken(**changes: Any) -> dict[str, Any]:
    return {"name": "a", "topology": "t.yaml", "steps": [{"wait": "1s"}], **changes}


def expecting(**expectation: Any) -> dict[str, Any]:
    return broken(expect=[{"that": "x", **expectation}])


def test_the_sound_ones_that_the_broken_ones_come_from() -> None:
    SCHEMA.validate(broken())
    SCHEMA.validate(expecting(client={"LISTEN": 1}))


@pytest.mark.parametrize(
    "data",
    [
        {},
        broken(titel="x"),
        broken(name="a b"),
        broken(name=None),
        broken(set={"A": [1]}),
        broken(steps=[]),
        broken(steps=[{}]),
        broken(steps=[{"name": "x"}]),
        broken(steps=[{"wait": 8}]),
        broken(steps=[{"wait": "1s", "stop": "a"}]),
        broken(steps=[{"request": {"from": "c"}}]),
        broken(steps=[{"request": {"from": "c", "url": "http://s/", "count": 0}}]),
        broken(steps=[{"request": {"from_": "c", "from": "c", "url": "http://s/"}}]),
        broken(steps=[{"close": {"from": "c", "session": "a b"}}]),
        broken(steps=[{"exec": {"node": "c", "command": []}}]),
        broken(expect=[{"client": {"LISTEN": 1}}]),
        expecting(client={}),
        expecting(client={"LISTEN": None}),
        expecting(client={"LISTEN": -1}),
        expecting(client={"LISTEN": ".."}),
        expecting(client={"CLOSEWAIT": 1}),
        expecting(client={"recv_q": {"CLOSED": 1}}),
        expecting(client={"lasts": {"LISTEN": 60}}),
        expecting(client={"errors": {"Reset": "x"}}),
        expecting(client=3),
        expecting(alwyas="start .. end"),
        expecting(at="load", client={"LISTEN": 1}),
        expecting(over="load.end", client={"resets": 1}),
        expecting(**{"for": "3s"}, client={"LISTEN": 1}),
        expecting(at="end", always="start .. end", client={"LISTEN": 1}),
    ],
)
def test_the_schema_and_the_loader_both_refuse(data: dict[str, Any]) -> None:
    assert not SCHEMA.is_valid(data)
    with pytest.raises(InputError):
        parse_scenario(parse_yaml(yaml.safe_dump(data), "s.yaml"))


values = st.sampled_from(
    [
        "8s",
        "0",
        "1..",
        "..4",
        "9..11",
        "3..1",
        "60s..62.1s",
        "..",
        "load.end",
        "start .. end",
        "a.end+1s",
        "x",
        " 5 ",
        "5 .. 6",
    ]
)
facts = st.dictionaries(
    st.sampled_from([*FACTS, "CLOSED"]),
    values | st.integers(-1, 3) | st.dictionaries(st.sampled_from(["LISTEN", "CLOSING", "x"]), values, max_size=2),
    max_size=2,
)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"that": st.just("x")},
        optional={**dict.fromkeys((*WHENS, "for"), values), "client": facts, "where": st.just({"port": 80})},
    )
)
def test_what_the_loader_accepts_fits_the_schema(expectation: dict[str, Any]) -> None:
    """The other way round does not hold: only the loader knows what kinds forbid."""
    data = broken(expect=[expectation])
    try:
        parse_scenario(parse_yaml(yaml.safe_dump(data), "s.yaml"))
    except InputError:
        return
    SCHEMA.validate(data)
