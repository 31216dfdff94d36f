"""The types of the lines: the page that is made of them, the JSON Schema, and that the checker and it agree."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.recording.events import Event
from orchestrator.recording.lines import LINES
from orchestrator.recording.reader import read_events
from orchestrator.recording.schema import json_schema, validator
from orchestrator.system import resources
from tests.support.builders import events, request

PAGE = resources.ROOT / "docs" / "recording.md"
RUN = "client:41000 > server:8080 {python/7} | - E/1 CW -\nserver:8080 > client:41000 | - E F2 F2"
ENDS = {"node": "client", "local": "198.18.0.2:41000", "peer": "198.18.0.3:8080"}
MORE: list[Event] = [
    request(1.0, error="ReadTimeout"),
    {"t": 1, "ev": "served", "node": "server", "status": 200, "request_headers": {"Host": "server"}},
    {"t": 1, "ev": "closed", "node": "server", "reason": "idle", "requests": 3},
    {"t": 1, "ev": "node", "node": "client", "what": "killed", "detail": {"signal": 9}},
    {"t": 1, "ev": "state", "cpu": 0, "a": 1, "old": "CLOSED", "new": "SYN_SENT"} | ENDS,
    {"t": 1, "ev": "timer", "cpu": 0, "timer": 3, "what": "start"},
    {"t": 1, "ev": "other", "cpu": 0},
    {"t": 1, "ev": "traced", "lost": 0, "counts": {"state": 1}, "loopback": {}},
    {"t": 1, "ev": "nat", "node": "proxy", "what": "new", "after": 0.5, "source": "198.18.0.2:1",
     "destination": "198.18.0.3:8080", "new_source": "198.18.0.4:1", "new_destination": "198.18.0.3:8080"},
    {"t": 1, "ev": "note", "text": "x"},
]  # fmt: skip
SCHEMA = jsonschema.Draft202012Validator(json_schema())


def test_the_page_is_what_the_types_say() -> None:
    page = runpy.run_path(str(resources.ROOT / "tools" / "recording_page.py"))["page"]
    assert PAGE.read_text() == page(), "run: python tools/recording_page.py > docs/recording.md"


def test_every_field_of_every_line_is_described_on_the_page() -> None:
    text = PAGE.read_text()
    for ev, kind in LINES.items():
        section = text.split(f"\n## `{ev}`\n")[1].split("\n## ")[0]
        for name in set(kind.__annotations__) - {"t", "ev"}:
            assert f"| `{name}`" in section, f"{ev}: {name}"


def test_the_schema_takes_what_the_checker_takes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in events(RUN, *MORE)))
    for line in read_events(path):
        SCHEMA.validate(line)


SAMPLES = events(RUN, *MORE)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-9, 9).filter(lambda x: x != int(x))
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.data())
def test_schema_and_validator_refuse_the_same(data: st.DataObject) -> None:
    line: dict[str, Any] = dict(data.draw(st.sampled_from(SAMPLES)))
    field = data.draw(st.sampled_from(sorted(LINES[line["ev"]].__annotations__.keys() - {"ev"})))
    line[field] = data.draw(JSON)
    try:
        validator(LINES[line["ev"]]).validate_python(line, strict=True)
    except ValueError:
        assert not SCHEMA.is_valid(line)
    else:
        SCHEMA.validate(line)


def test_a_line_of_an_unknown_kind_needs_a_time(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    start = "".join(json.dumps(line) + "\n" for line in events(RUN))
    path.write_text(start + '{"t": 3, "ev": "comet", "tail": []}\n')
    assert [line["ev"] for line in read_events(path)][-1] == "comet"
    path.write_text(start + '{"ev": "comet"}\n')
    with pytest.raises(InputError, match="comet: the field `t` is missing"):
        list(read_events(path))
