"""Recordings that are wrong, and the folder of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.history.build import build_history, history_of
from orchestrator.recording.events import Event
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.reader import read_events
from tests.support.builders import events, history

# -- files that are wrong ----------------------------------------------------------------------------------------


def read(folder: Path, lines: list[Event]) -> list[Event]:
    path = folder / "events.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return list(read_events(path))


RUN = "client:41000 > server:8080 | - E CW -\nserver:8080 > client:41000 | - E F2 F2"


def change(kind: str, **fields: object) -> list[Event]:
    """The run with fields of its first line of that kind changed; None takes a field away."""
    lines = events(RUN, {"t": 1, "ev": "request", "node": "client"}, {"t": 1, "ev": "closed", "node": "server",
                                                                     "reason": "idle"})  # fmt: skip
    line = next(line for line in lines if line["ev"] == kind)
    for name, value in fields.items():
        line[name] = value
        if value is None:
            del line[name]
    return lines


def test_a_right_file_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, events(RUN)) == events(RUN)


def test_socket_lines_may_stand_after_their_tick(tmp_path: Path) -> None:
    lines = events("client:41000 > server:8080 | - E CW -\nserver:8080 > client:41000 | - E F2 F2")
    swapped = sorted(lines, key=lambda line: (line["ev"] != "begin", line["t"], line["ev"] == "socket"))
    assert build_history(read(tmp_path, swapped)) == build_history(lines)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("begin", {"format": 3}, "this recording has format 3, this simctl reads formats up to 2"),
        ("begin", {"format": "1"}, "begin: `format` must be a whole number, not the text '1'"),
        ("begin", {"nodes": None}, "begin: the field `nodes` is missing"),
        ("begin", {"nodes": []}, "`nodes` is empty"),
        ("begin", {"nodes": ["client"]}, "each of `nodes` must be a mapping"),
        ("begin", {"nodes": [{"name": "client"}]}, "begin: node: the field `service` is missing"),
        ("begin", {"period": 0}, "`period` must be a number of seconds above 0"),
        ("begin", {"ev": "note", "text": ""}, "a recording starts with a `begin` line, not with `note`"),
        ("begin", {"t": 10**400}, "begin: `t` must be a number"),
        ("moment", {"name": 3}, "moment: `name` must be a text, not the number 3"),
        ("moment", {"name": "end"}, "the moment end is there twice"),
        ("tick", {"missed": [["client"]]}, "tick: each of `missed` must be a text, not a list"),
        ("tick", {"missed": ["cleint"]}, "the `begin` line declares no node cleint"),
        ("tick", {"counters": {}}, "the first tick that samples"),
        ("tick", {"counters": {"client": {"TW": "1"}}}, "tick: counters: client: `TW` must be a whole number"),
        ("tick", {"t": True}, "tick: `t` must be a number, not true"),
        ("tick", {"t": 7}, "this socket line has t 1.0, but the last tick is 7"),
        ("end", {"ev": "tick", "counters": {}}, "ticks must go forward in time: 3.0 comes after 3.0"),
        ("socket", {"state": "ESTAB"}, "no TCP state is called ESTAB"),
        ("socket", {"state": None}, "socket: the field `state` is missing"),
        ("socket", {"recv_q": None}, "socket: the field `recv_q` is missing"),
        ("socket", {"local": "198.18.0.2"}, "`local` must be an address with a port"),
        ("socket", {"node": "clinet"}, "the `begin` line declares no node clinet"),
        ("socket", {"t": 0.5}, "have t 0.5 and with t 1.0 stand before one tick|with t 0.5 and with t 1.0"),
        ("request", {"error": {"text": "x"}}, "request: error: the field `name` is missing"),
        ("request", {"error": "x"}, "request: `error` must be a mapping"),
        ("request", {"nth": "1"}, "request: `nth` must be a whole number"),
        ("closed", {"reason": None}, "closed: the field `reason` is missing"),
        ("end", {"outcome": None}, "end: the field `outcome` is missing"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(tmp_path: Path, kind: str, fields: dict[str, object], message: str) -> None:
    lines = change(kind, **fields)
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, lines)
    place = caught.value.place
    assert place is not None
    assert place.line is not None
    assert str(place).startswith(str(tmp_path / "events.jsonl"))
    assert caught.value.hint


def test_a_socket_line_of_a_missed_node_contradicts_its_tick(tmp_path: Path) -> None:
    lines = events(RUN)
    next(line for line in lines if line["ev"] == "tick" and line["t"] == 1)["missed"] = ["client"]
    with pytest.raises(InputError, match="says that client was missed, but there is a socket line of it"):
        read(tmp_path, lines)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ('{"t": 3, "ev": "no', "the last line is cut off: the run was killed while it wrote it"),
        ('{"t": 3, "ev": "no\n', "not a line of JSON"),
        ('{"t": NaN, "ev": "note"}\n', "NaN is not a number of JSON"),
        ("[1]\n", "expected a JSON object, not a list"),
        ('{"t": 3}\n', "the field `ev`"),
        ("\x00\x00\n", "not a line of JSON"),
        ('{"t": 1e999, "ev": "note", "text": "x"}\n', "note: `t` must be a number"),
        ("[" * 100_000 + "\n", "not a line of JSON"),
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path: Path, tail: str, message: str) -> None:
    path = tmp_path / "events.jsonl"
    lines = events(RUN)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    with pytest.raises(InputError, match=message) as caught:
        list(read_events(path))
    assert caught.value.place is not None
    assert caught.value.place.line == len(lines) + 1


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with pytest.raises(InputError, match="cannot read the recording: No such file"):
        list(read_events(path))
    path.touch()
    with pytest.raises(InputError, match="the recording is empty"):
        list(read_events(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_whatever_a_field_holds_there_is_a_history_or_an_input_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = change("tick", took=0.0)
    line = data.draw(st.sampled_from(lines))
    field = data.draw(st.sampled_from(sorted(line)))
    line[field] = data.draw(JSON)
    path = tmp_path_factory.mktemp("run") / "events.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    try:
        checked = list(read_events(path))
    except InputError as error:
        assert str(path) in str(error)
    else:
        build_history(checked)


# -- the folder --------------------------------------------------------------------------------------------------


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path) -> None:
    folders = [RunFolder.create(tmp_path / "runs", "idle") for _ in range(4)]
    assert len({folder.path for folder in folders}) == 4
    assert all(folder.path.name.split("-", 2)[2].startswith("idle") for folder in folders)
    assert folders[0].logs.is_dir()


def test_a_folder_knows_its_history(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "x")
    folder.events.write_text("".join(json.dumps(line) + "\n" for line in events(RUN)))
    folder.scenario.touch()
    assert history_of(RunFolder.open(folder.path)) == history(RUN)


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no run folder"):
        RunFolder.open(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"it has no events\.jsonl"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        RunFolder.open(tmp_path / "file")


def test_a_kind_of_format_1_is_an_unknown_one_in_format_2(tmp_path: Path) -> None:
    begin, *others = events(RUN)
    lines = [begin | {"format": 2}, *others, {"t": 9.0, "ev": "minisocket", "local": 5}]
    assert "1 line of the unknown kind `minisocket` passed over" in build_history(read(tmp_path, lines)).notes
