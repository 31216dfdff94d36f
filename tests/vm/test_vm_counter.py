"""The count of instructions in a frozen machine's state: zero, at the same virtual time."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.vm.icount import UnknownState, restart

SECTION = b"\x05\x0ctimer/icount\0\0\0\1"
PARTS = st.binary(max_size=50).filter(lambda part: b"timer" not in part)


def rewritten(folder: Path, data: bytes, shift: int = 0) -> bytes:
    state = folder / "state"
    state.write_bytes(data)
    restart(state, shift)
    return state.read_bytes()


@given(PARTS, PARTS, st.integers(0, 1 << 50), st.integers(0, 1 << 50), st.integers(0, 3))
def test_time_stays_and_nothing_else_changes(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes, bias: int, count: int, shift: int
) -> None:
    data = before + SECTION + struct.pack(">qq", bias, count) + after
    found = rewritten(tmp_path_factory.mktemp("state"), data, shift)
    begin = len(before) + len(SECTION)
    assert struct.unpack_from(">qq", found, begin) == (bias + (count << shift), 0)
    assert found[:begin] == data[:begin] and found[begin + 16 :] == after


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x05\x0ctimer/icount\0\0\0\2" + bytes(16),
        SECTION + bytes(15),
        (SECTION + bytes(16)) * 2,
        SECTION + struct.pack(">qq", 1, -1),
    ],
    ids=["not there", "another version", "cut short", "twice", "negative"],
)
def test_another_form_is_refused_and_left_alone(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnknownState):
        rewritten(tmp_path, data)
    assert (tmp_path / "state").read_bytes() == data
