"""Sockets that no tick saw, told from the kernel's counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.history.model import Unobserved
from orchestrator.tcp.states import TcpState as S
from tests.support.builders import history


def unobserved(text: str) -> list[tuple[str, float, float, int]]:
    return [(entry.node, entry.after, entry.before, entry.count) for entry in history(text).unobserved]


def test_the_counters_tell_of_sockets_that_no_tick_saw() -> None:
    assert unobserved("server:8080 | L L L\nunseen server 0 0 2") == [("server", 1, 2, 2)]


def test_seen_sockets_are_not_unseen() -> None:
    assert unobserved("client:41000 > server:8080 | - SS E -\nserver:8080 > client:41000 | - - E CW") == []


def test_a_request_socket_is_counted_when_its_handshake_is_finished() -> None:
    """The builder counts as the kernel does: PassiveOpens rises when SYN_RECV is left."""
    assert unobserved("server:8080 > client:41000 | - SR SR E E") == []
    assert unobserved("server:8080 > client:41000 | SR SR E E E") == []


def test_a_request_socket_that_vanished_may_be_the_one_that_was_counted() -> None:
    (entry,) = history("server:8080 > client:41000 | - SR - -\nunseen server 0 0 1 0").unobserved
    assert (entry.count, entry.least, entry.most) == (1, 0, 1)


@pytest.mark.parametrize("in_flight", ["0 1 -1 0 0", "0 1 0 -1 0", "0 0 1 0 -1"])
def test_a_socket_that_was_opened_while_the_tick_was_taken_is_no_other_one(in_flight: str) -> None:
    """The counters of a tick know it, the next table shows it; in a loop there may be one at every tick."""
    rows = "\n".join(f"client:{41000 + t} > server:8080 | " + "- " * t + "E " * (5 - t) for t in range(1, 5))
    assert unobserved(f"{rows}\nunseen client {in_flight}") == []


def test_an_unseen_socket_among_sockets_in_flight_has_a_longer_interval() -> None:
    """One was opened while tick 1 was taken, or lived unseen before it; then one more that tick 3 did not see."""
    rows = "client:41000 > server:8080 | - - E E E\nunseen client 0 1 0 0 0"
    assert unobserved(rows) == [("client", 0, 2, 1)]


def test_what_the_kernel_never_counts_does_not_hide_others() -> None:
    row = "client:41000 > server:8080 | - E E E E E"
    assert unobserved(f"{row}\nunseen client 0 -1 0 0 1 0") == [("client", 3, 4, 1)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6))
def test_unseen_sockets_lie_in_their_intervals(told: list[tuple[int, int, int]]) -> None:
    """From the truth: per interval how many lived unseen, how many were seen, how many of these came while the tick
    before was taken."""
    width, rows, counted = len(told) + 1, [], [0] * (len(told) + 1)
    truth: list[int] = []
    for tick, (hidden, shown, early) in enumerate(told, 1):
        for number in range(shown):
            cells = " ".join("-" if t < tick else "E" for t in range(width))
            rows.append(f"client:{1000 * tick + number} > server:80 | {cells}")
        counted[tick] += hidden
        truth += [tick] * hidden
        if tick > 1:
            moved = min(early, shown)
            counted[tick - 1] += moved
            counted[tick] -= moved
    run = history("\n".join([*rows, "client:9 | " + "L " * width, f"unseen client {' '.join(map(str, counted))}"]))
    places = [(entry.after, entry.before) for entry in run.unobserved for _ in range(entry.count)]
    assert len(places) == len(truth)
    assert all(after <= tick - 1 and tick <= before for tick, (after, before) in zip(truth, places, strict=True))
    assert all(entry.least == entry.most == entry.count for entry in run.unobserved)


def test_unseen_sockets_go_with_the_ticks_that_sampled_the_node() -> None:
    assert unobserved("client:41000 > server:8080 | E ? E\nunseen client 0 1 0") == [("client", 0, 2, 1)]


def test_a_refused_connection_is_an_unseen_socket_but_no_connection() -> None:
    (entry,) = history(
        "client:40000 > server:8080 | E E E\nunseen client 0 1 0\ncount client AttemptFails 0 1 1"
    ).unobserved
    assert entry == Unobserved("client", 0, 1, 1, 0, 0, frozenset({S.SYN_SENT, S.CLOSED}))


def test_a_failed_attempt_on_a_listening_node_may_be_a_handshake_that_was_never_counted() -> None:
    (entry,) = history("server:8080 | L L L\nunseen server 0 1 0\ncount server AttemptFails 0 1 1").unobserved
    assert (entry.least, entry.most) == (0, 1)
