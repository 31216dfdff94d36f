"""Times of a connection are those of the kernel, not those at which a busy machine got around to it."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from orchestrator.measure.wire import arrival

STAMP = 35
"""SCM_TIMESTAMPNS."""
DAY = 1_700_000_000.5


def stamped(time_of_day: float, kind: int = STAMP) -> list[tuple[int, int, bytes]]:
    seconds = int(time_of_day)
    return [(socket.SOL_SOCKET, kind, struct.pack("@ll", seconds, round((time_of_day - seconds) * 1e9)))]


def test_what_waited_in_the_kernel_came_before_it_was_read() -> None:
    assert arrival(stamped(DAY - 0.25), 100.0, DAY) == pytest.approx(99.75)


@pytest.mark.parametrize(
    "control",
    [[], stamped(DAY + 1), stamped(DAY - 3600), stamped(DAY - 0.25, kind=29), [(socket.SOL_SOCKET, STAMP, b"short")]],
    ids=["none", "clock set back", "clock set forward", "another message", "another size"],
)
def test_a_stamp_that_cannot_be_is_not_believed(control: list[tuple[int, int, bytes]]) -> None:
    assert arrival(control, 100.0, DAY) == 100.0


def test_the_kernel_stamps_what_a_tcp_socket_receives() -> None:
    """The first socket that asks for stamps switches them on by a work queue of the kernel, which may be busy."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as here:
        here.setsockopt(socket.SOL_SOCKET, STAMP, 1)
        there, _ = listener.accept()
        until = time.monotonic() + 30
        kinds: list[int] = []
        with there:
            while not kinds and time.monotonic() < until:
                there.sendall(b"x")
                data, control, _, _ = here.recvmsg(10, socket.CMSG_SPACE(16))
                assert data == b"x"
                kinds = [kind for _, kind, _ in control]
    assert kinds == [STAMP]
