"""What `takes` in node.yaml says of a knob is what the program asks for, and both refuse the same values."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.kinds.knobvalues import Takes
from orchestrator.kinds.registry import load_kinds
from orchestrator.system.resources import NODES

sys.path.insert(0, str(NODES / "base"))
from knobs import KnobError, Knobs

KINDS = load_kinds()
_SHARED = {"gunicorn": ["gunicornserver"], "webapp": ["gunicornserver", "database"], "psycopg": ["database"]}
_ASKING = (
    "number",
    "port",
    "one_request_each",
    "duration",
    "whole_seconds",
    "milliseconds",
    "truth",
    "endpoints",
    "host",
)


def asked(kind: str) -> Iterator[tuple[str, str, int | None, int | None]]:
    """Each call of a method of Knobs in a kind's Python with literal bounds: knob, method, least, most."""
    files = [*(NODES / kind).glob("*.py"), *(NODES / "base" / f"{name}.py" for name in _SHARED.get(kind, ()))]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ASKING:
                name = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
                bounds = {word.arg: word.value for word in node.keywords}
                if isinstance(name, str):
                    yield name, node.func.attr, _number(bounds.get("at_least")), _number(bounds.get("at_most"))


def _number(value: ast.expr | None) -> int | None:
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, int) else None


@pytest.mark.parametrize("kind", KINDS)
def test_each_knob_takes_what_its_program_asks_for(kind: str) -> None:
    words = {
        "number": "number", "port": "port", "one_request_each": "one of 0 1", "duration": "duration",
        "whole_seconds": "seconds", "milliseconds": "milliseconds", "truth": "true or false", "endpoints": "endpoints",
        "host": "host",
    }  # fmt: skip
    seen: dict[str, list[str]] = {}
    for name, method, least, most in asked(kind):
        text = words[method]
        if method in ("number", "whole_seconds", "milliseconds"):
            text += f" {least if least is not None else int(method != 'number')}..{most if most is not None else ''}"
        seen.setdefault(name, []).append(text)
    for name, texts in seen.items():
        knob = KINDS[kind].knobs[name]
        assert knob.takes is not None, name
        assert any(knob.takes.text.startswith(text) for text in texts), (name, knob.takes.text, texts)


def test_nearly_every_knob_says_what_it_takes_and_its_default_is_right() -> None:
    silent = [(kind.kind, name) for kind in KINDS.values() for name, knob in kind.knobs.items() if knob.takes is None]
    assert silent == [("webapp", "DATABASE_URL")]
    for kind in KINDS.values():
        for name, knob in kind.knobs.items():
            assert knob.takes is None or knob.takes.expected(knob.default) is None, (kind.kind, name)


PAIRS: list[tuple[str, Callable[[Knobs], Any]]] = [
    ("number 0..", lambda knobs: knobs.number("X", 1)),
    ("number 1..64", lambda knobs: knobs.number("X", 1, at_least=1, at_most=64)),
    ("port", lambda knobs: knobs.port("X", 1)),
    ("port 0..", lambda knobs: knobs.port("X", 1, at_least=0)),
    ("duration", lambda knobs: knobs.duration("X", 1)),
    ("duration above 0", lambda knobs: knobs.duration("X", 1, more_than=0)),
    ("seconds 1..", lambda knobs: knobs.whole_seconds("X", 1)),
    ("milliseconds 0..", lambda knobs: knobs.milliseconds("X", 1, at_least=0)),
    ("true or false", lambda knobs: knobs.truth("X", True)),
    ("host", lambda knobs: knobs.host("X")),
    ("seconds 1..32767", lambda knobs: knobs.whole_seconds("X", 1, at_most=32767)),
    ("endpoints", lambda knobs: knobs.endpoints("X")),
    ("ports ..64", lambda knobs: knobs.ports("X", most=64)),
    ("some of never safe", lambda knobs: knobs.words("X", "never", "safe")),
    ("one of never safe", lambda knobs: knobs.word("X", "safe", "never", "safe")),
]
VALUES = st.one_of(
    st.from_regex(r"[0-9]{1,11}(ms|s|m|h)?", fullmatch=True),
    st.from_regex(r"([0-9]{1,3}(\.[0-9]{1,4})?(ms|s|m|h)){1,3}", fullmatch=True),
    st.from_regex(r"[a-z]{1,4}:[0-9]{1,6}(, ?[a-z]{1,4}:[0-9]{1,6})?", fullmatch=True),
    st.from_regex(r"[0-9]{1,5}-[0-9]{1,5}", fullmatch=True),
    st.sampled_from(
        [
            "",
            " ",
            "1-64",
            "1-65",
            "65535-65535",
            "true",
            "No",
            "off",
            "2",
            "never",
            "safe",
            "NEVER",
            "safe, never",
            "safe,x",
            "0",
            "-1",
            "1e3",
            "0.5s",
            "1.0ms",
            "8784h",
            "8785h",
            "9" * 400 + "h",
        ]
    ),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=8),
)


@pytest.mark.parametrize(("text", "ask"), PAIRS, ids=[text for text, _ in PAIRS])
@given(value=VALUES)
def test_both_refuse_the_same_values(text: str, ask: Callable[[Knobs], Any], value: str) -> None:
    try:
        ask(Knobs({"X": value}))
        taken = True
    except KnobError:
        taken = False
    assert (Takes(text).expected(value) is None) == taken


@pytest.mark.parametrize("text", ["", "number", "number 1", "numbers 1..", "seconds", "one of", "text"])
def test_what_node_yaml_may_not_say(text: str) -> None:
    with pytest.raises(ValueError, match="none of what a knob takes"):
        Takes(text)


def test_it_is_read_from_node_yaml(tmp_path: Path) -> None:
    from orchestrator.errors import InputError

    folder = tmp_path / "odd"
    folder.mkdir()
    knob = "  X: {default: 1, meaning: m, takes: numbers}"
    (folder / "node.yaml").write_text(f"kind: odd\nrole: server\ntitle: t\nentrypoint: [sleep]\nknobs:\n{knob}\n")
    with pytest.raises(InputError, match=r"node.yaml:6:38: knobs.X.takes: 'numbers' is none of what a knob takes"):
        dict(load_kinds(tmp_path))
