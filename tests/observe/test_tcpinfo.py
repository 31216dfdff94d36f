"""The kernel's `struct tcp_info` in a message: where it stands, and kernels whose struct is shorter or longer."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.observe.sources.tcpinfo import NOTHING, Traffic, TrafficReader

pytestmark = pytest.mark.pure


def message(info: bytes | None, *, before: int = 1) -> bytes:
    """A message with so many small attributes before the struct."""
    attributes = b"".join(struct.pack("=HHI", 8, 15, 0) for _ in range(before))
    if info is not None:
        attributes += struct.pack("=HH", 4 + len(info), 2) + info
    return bytes(88) + attributes


def info(size: int, **at: int) -> bytes:
    """`at`: offset, as `o120` -> value; bytes_acked and the like are 64 bits."""
    found = bytearray(size)
    for name, value in at.items():
        offset = int(name[1:])
        struct.pack_into("=Q" if offset in (120, 128, 200, 208) else "=I", found, offset, value)
    return bytes(found)


def read(raw: bytes) -> Traffic | None:
    reader = TrafficReader()
    reader.moved(raw, 0, len(raw))
    return reader.read(raw, 0, len(raw))


@given(st.integers(216, 400).map(lambda size: size & ~7), st.integers(0, 4))
def test_a_longer_struct_has_the_same_at_the_same_place(size: int, before: int) -> None:
    raw = message(
        info(size, o44=1500, o52=250, o120=11, o128=22, o144=33, o152=1, o156=1, o200=44, o208=5), before=before
    )
    assert read(raw) == Traffic(acked=11, received=22, sent=44, unsent=33, sent_ago=1.5, received_ago=0.25, resent=5)


def test_who_never_sent_data_has_no_time_of_it() -> None:
    assert read(message(info(248, o44=1500, o52=250))) == Traffic(0, 0, 0, 0, None, None)


@pytest.mark.parametrize("raw", [message(info(208)), message(None), message(None, before=0)])
def test_of_a_shorter_struct_or_none_nothing_is_read(raw: bytes) -> None:
    reader = TrafficReader()
    assert reader.moved(raw, 0, len(raw)) == NOTHING
    assert reader.moved(raw, 0, len(raw)) == NOTHING
    assert reader.read(raw, 0, len(raw)) is None


def test_two_messages_of_one_length_may_have_it_at_two_places() -> None:
    one = message(info(256, o120=7), before=0) + bytes(8)
    two = message(info(256, o120=7), before=1)
    reader = TrafficReader()
    assert len(one) == len(two)
    assert reader.moved(one, 0, len(one)) == reader.moved(two, 0, len(two)) != NOTHING


def test_time_alone_moves_nothing() -> None:
    earlier, later = message(info(248, o44=10, o120=5)), message(info(248, o44=999, o52=999, o120=5))
    reader = TrafficReader()
    assert reader.moved(earlier, 0, len(earlier)) == reader.moved(later, 0, len(later))
