"""The streams of a container: the engine's frames taken apart, input half closed, nobody blocked for ever."""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.streams import NodeStreams, frames
from orchestrator.runtimes.docker.events import exited

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=50)))


def frame(number: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxL", number, len(payload)) + payload


@given(FRAMES)
def test_frames_come_out_as_they_went_in(sent: list[tuple[int, bytes]]) -> None:
    assert list(frames(io.BytesIO(b"".join(frame(*one) for one in sent)))) == sent


@given(FRAMES, st.data())
def test_a_stream_cut_anywhere_gives_a_prefix(sent: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = b"".join(frame(*one) for one in sent)
    cut = data.draw(st.integers(0, len(whole)))
    got = list(frames(io.BytesIO(whole[:cut])))
    assert got[:-1] == sent[: max(len(got) - 1, 0)]
    if got:
        number, payload = sent[len(got) - 1]
        assert got[-1][0] == number
        assert payload.startswith(got[-1][1])


@pytest.fixture
def engine() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of an attach connection: ours, and the one on which this test plays the engine."""
    ours, engines = socket.socketpair()
    with ours, engines:
        engines.settimeout(10)
        yield ours, engines


def test_output_and_error_part_ways(engine: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    streams = NodeStreams(engine[0], tmp_path / "a.log", output_to_log=False)
    engine[1].sendall(frame(1, b"one\n") + frame(2, b"oops\n") + frame(1, b"two\n"))
    engine[1].shutdown(socket.SHUT_WR)
    assert streams.stdout.read() == b"one\ntwo\n"
    assert streams.wait_ended(10)
    assert (tmp_path / "a.log").read_bytes() == b"oops\n"
    streams.close()


def test_a_foreign_node_has_everything_in_its_log(engine: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    streams = NodeStreams(engine[0], tmp_path / "a.log", output_to_log=True)
    engine[1].sendall(frame(1, b"one\n") + frame(2, b"oops\n"))
    engine[1].shutdown(socket.SHUT_WR)
    assert streams.stdout.read() == b""
    streams.close()
    assert (tmp_path / "a.log").read_bytes() == b"one\noops\n"


def test_closing_the_input_leaves_the_output_open(engine: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    streams = NodeStreams(engine[0], tmp_path / "a.log", output_to_log=False)
    streams.stdin.write(b"go\n")
    streams.stdin.close()
    assert engine[1].makefile("rb").read() == b"go\n"
    engine[1].sendall(frame(1, b"bye\n"))
    assert streams.stdout.readline() == b"bye\n"
    streams.stdin.close()
    streams.close()


def test_a_reader_who_never_comes_does_not_hold_up_the_end(
    engine: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    streams = NodeStreams(engine[0], tmp_path / "a.log", output_to_log=False)

    def chatter() -> None:
        with pytest.raises(OSError):
            while True:
                engine[1].sendall(frame(1, b"x" * 65536))

    talker = threading.Thread(target=chatter)
    talker.start()
    assert not streams.wait_ended(0.2)
    streams.close()
    assert streams.wait_ended(0)
    talker.join(timeout=10)
    assert not talker.is_alive()


def test_a_listener_who_left_does_not_cost_the_log(engine: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    streams = NodeStreams(engine[0], tmp_path / "a.log", output_to_log=False)
    streams.stdout.close()
    engine[1].sendall(frame(1, b"unheard\n") * 3 + frame(2, b"oops\n"))
    engine[1].shutdown(socket.SHUT_WR)
    streams.close()
    assert (tmp_path / "a.log").read_bytes() == b"oops\n"


@pytest.mark.parametrize(("code", "text"), [(0, "exit status 0"), (128, "exit status 128"), (137, "killed by SIGKILL")])
def test_what_exit_codes_mean(code: int, text: str) -> None:
    assert str(exited(code)) == text
