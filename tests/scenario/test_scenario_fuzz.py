"""Whatever a file holds, reading it gives a scenario or errors in plain words, never anything else."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.scenario.facts import FACTS
from orchestrator.scenario.loader import parse_scenario
from orchestrator.scenario.model import WHENS, Scenario
from orchestrator.scenario.steps import VERBS
from orchestrator.scenario.translate import OWN_KEYS
from orchestrator.text.yamlsource import parse_yaml


def parse(text: str) -> Scenario:
    return parse_scenario(parse_yaml(text, "s.yaml"))


words = st.sampled_from(
    [
        *FACTS,
        *VERBS,
        *WHENS,
        *OWN_KEYS,
        *Scenario.model_fields,
        "from",
        "url",
        "session",
        "count",
        "client",
        "port",
        "x",
    ]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 10**20)
    | st.floats(allow_nan=True)
    | st.sampled_from(
        ["load.end", "start .. end", "8s", "1..", "..4", "http://server:8080/", "http://[", "", "a.start ..", "0"]
    )
    | st.text(max_size=5)
    | words
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)
nearly = st.fixed_dictionaries(
    {
        "name": st.just("x") | scalars,
        "topology": st.just("t.yaml") | scalars,
        "steps": st.lists(st.dictionaries(st.sampled_from(["name", *VERBS]), anything, max_size=2), max_size=3)
        | anything,
    },
    optional={
        "expect": st.lists(
            st.dictionaries(st.sampled_from([*OWN_KEYS, "client", "alwyas"]), anything, max_size=4), max_size=3
        )
        | anything,
        "set": anything,
        "source": anything,
    },
)


@settings(max_examples=300, deadline=None)
@given(nearly | anything)
def test_any_structure_gives_a_scenario_or_input_errors_with_places(data: object) -> None:
    text = yaml.safe_dump(data, allow_unicode=False)
    try:
        parse(text)
    except InputError as error:
        for problem in error.problems:
            assert problem.message
            assert problem.place is not None
            assert "Input should" not in problem.message
            assert problem.message.isprintable()


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_gives_a_scenario_or_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        parse(text)
