"""From event lines to the history: stays, gaps, unseen sockets, and every way in which a file can be wrong."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.recording.events import Event
from orchestrator.recording.folder import RunFolder
from orchestrator.recording.history import Gap, History, Socket, Stay, Unseen
from orchestrator.recording.lifecycle import ARCS, between, later
from orchestrator.recording.reader import build_history, read_events
from orchestrator.scenario.facts import TcpState as S
from tests.builders import CODES, HOSTS, events, history


def only(run: History, node: str) -> Socket:
    (socket,) = [socket for socket in run.sockets if socket.node == node]
    return socket


def states(gap: Gap) -> set[S]:
    return set(gap.states)


# -- the life of a socket ----------------------------------------------------------------------------------------


def test_no_state_comes_back() -> None:
    for state in S:
        if state is not S.CLOSED:
            assert state not in later(state)
            assert S.CLOSED in later(state)


def test_between_is_every_state_on_a_path() -> None:
    """Against a walk along all arcs, one at a time."""

    def walks(start: S, end: S, so_far: tuple[S, ...]) -> set[S]:
        found: set[S] = set()
        for following in ARCS[start]:
            if following is end:
                found |= {*so_far, end}
            elif following is not S.CLOSED:
                found |= walks(following, end, (*so_far, following))
        return found

    for start in S:
        for end in S:
            expected = walks(start, end, (start,))
            if not expected:
                with pytest.raises(ValueError, match="no socket goes"):
                    between(start, end)
            else:
                assert between(start, end) == expected - ({S.LISTEN} if start is end else set())


def test_a_gap_has_the_states_that_the_rfc_allows_between_its_ends() -> None:
    assert between(S.ESTABLISHED, S.TIME_WAIT) == {S.ESTABLISHED, S.FIN_WAIT1, S.FIN_WAIT2, S.CLOSING, S.TIME_WAIT}
    assert between(S.ESTABLISHED, S.LAST_ACK) == {S.ESTABLISHED, S.CLOSE_WAIT, S.LAST_ACK}
    assert between(S.CLOSED, S.ESTABLISHED) == {S.CLOSED, S.SYN_SENT, S.SYN_RECV, S.ESTABLISHED}
    assert between(S.CLOSED, S.LISTEN) == {S.CLOSED, S.LISTEN}


# -- stays and gaps ----------------------------------------------------------------------------------------------


def test_stays_and_gaps_alternate() -> None:
    socket = only(history("client:41000 > server:8080 | - E E CW CW -"), "client")
    assert socket.stays == (Stay(S.ESTABLISHED, 1, 2), Stay(S.CLOSE_WAIT, 3, 4))
    assert [(gap.after, gap.before) for gap in socket.gaps] == [(0, 1), (2, 3), (4, 5)]
    assert states(socket.gaps[1]) == {S.ESTABLISHED, S.CLOSE_WAIT}
    assert states(socket.gaps[2]) == {S.CLOSE_WAIT, S.LAST_ACK, S.CLOSED}


def test_what_was_there_first_has_no_gap_before_and_what_stays_none_after() -> None:
    socket = only(history("client:41000 > server:8080 | E E E"), "client")
    assert socket.stays == (Stay(S.ESTABLISHED, 0, 2),)
    assert socket.gaps == ()


def test_gaps_extend_over_a_missed_tick_and_stays_bridge_it() -> None:
    run = history("client:41000 > server:8080 | E ? E ? CW\nserver:8080 | L L L L L")
    socket = only(run, "client")
    assert socket.stays == (Stay(S.ESTABLISHED, 0, 2), Stay(S.CLOSE_WAIT, 4, 4))
    assert [(gap.after, gap.before) for gap in socket.gaps] == [(2, 4)]
    assert run.missed == {"client": (1, 3)}


def test_a_node_missed_at_the_end_is_known_until_its_last_tick() -> None:
    assert only(history("client:41000 > server:8080 | E E ? ?"), "client").stays == (Stay(S.ESTABLISHED, 0, 1),)


def test_queues_are_read_where_they_change() -> None:
    socket = only(history("client:41000 > server:8080 | E E/5 E/5 E/5/7 CW/1"), "client")
    assert [(reading.t, reading.recv_q, reading.send_q) for reading in socket.queues] == [
        (0, 0, 0), (1, 5, 0), (3, 5, 7), (4, 1, 0),
    ]  # fmt: skip


def test_the_owner_outlives_the_descriptor() -> None:
    socket = only(history("client:41000 > server:8080 {python3/12} | E F2 T"), "client")
    assert (socket.comm, socket.pid) == ("python3", 12)


@pytest.mark.parametrize(
    "rows",
    [
        "client:41000 > server:8080 #a | E E - SS E",
        "client:41000 > server:8080 #a | - F2 SS E E",
    ],
)
def test_a_descriptor_that_connects_again_is_another_socket(rows: str) -> None:
    first, second = history(rows).sockets
    assert first.sk == second.sk
    assert first.gaps[-1].before <= second.stays[0].first
    assert S.CLOSED in first.gaps[-1].states
    assert S.CLOSED in second.gaps[0].states


@given(st.lists(st.sampled_from(["-", *CODES]), min_size=2, max_size=8))
def test_any_sequence_of_states_gives_lives_that_alternate(cells: list[str]) -> None:
    """Also sequences that no kernel shows: nothing is lost, and no life goes back in its states."""
    run = history(f"client:41000 > server:8080 | {' '.join(cells)}")
    shown = {float(t): CODES[cell] for t, cell in enumerate(cells) if cell != "-"}
    told: dict[float, S] = {}
    for socket in run.sockets:
        for before, after in pairwise(socket.stays):
            assert after.state in later(before.state)
            assert any((gap.after, gap.before) == (before.last, after.first) for gap in socket.gaps)
        told |= {t: stay.state for stay in socket.stays for t in shown if stay.first <= t <= stay.last}
    assert told == shown


# -- TIME_WAIT inside a gap --------------------------------------------------------------------------------------

CLOSES = "client:41000 > server:8080 | E E - -"


def inside(run: History) -> set[S]:
    return states(only(run, "client").gaps[0])


def test_time_wait_does_not_fit_into_a_short_gap() -> None:
    assert inside(history(CLOSES)) == set(between(S.ESTABLISHED, S.CLOSED)) - {S.TIME_WAIT}


def test_time_wait_fits_when_it_was_armed_and_a_reset_may_have_killed_it() -> None:
    armed = "\ncount client TW 0 0 1 1"
    assert S.TIME_WAIT not in inside(history(CLOSES + armed))
    assert S.TIME_WAIT not in inside(history(CLOSES + "\ncount server OutRsts 0 0 1 1"))
    assert S.TIME_WAIT in inside(history(CLOSES + armed + "\ncount server OutRsts 0 0 1 1"))


def test_time_wait_fits_when_it_was_armed_and_a_new_connection_may_have_taken_its_place() -> None:
    assert S.TIME_WAIT in inside(history(CLOSES + "\ncount client TW 0 0 1 1\nunseen client 0 0 1 0"))


def test_the_slow_counter_group_may_show_a_minisocket_a_second_later() -> None:
    """TcpExt is read once a second: a rise that shows later may have happened in the gap."""
    late = "ticks 0 0.1 0.2 0.3 1.25\nclient:41000 > server:8080 | E E - - -\ncount server OutRsts 0 0 1 1 1\n"
    assert S.TIME_WAIT in inside(history(late + "count client TW 0 0 0 0 1"))
    assert S.TIME_WAIT not in inside(history(late + "count client TW 0 0 0 0 0"))


def test_time_wait_fits_into_a_long_gap() -> None:
    assert S.TIME_WAIT in inside(history("ticks 0 1 61 62\n" + CLOSES))


def test_time_wait_at_an_end_of_a_gap_stays() -> None:
    run = history("client:41000 > server:8080 | E T -")
    before, after = only(run, "client").gaps
    assert S.TIME_WAIT in before.states
    assert states(after) == {S.TIME_WAIT, S.CLOSED}


def test_a_socket_is_born_through_syn_sent_only_where_a_syn_was_sent() -> None:
    run = history("client:41000 > server:8080 | - E\nserver:8080 > client:41000 | - E\nproxy:5 > server:8080 | - SS")
    client, server, proxy = run.sockets
    assert states(client.gaps[0]) == {S.CLOSED, S.SYN_SENT, S.SYN_RECV, S.ESTABLISHED}
    assert states(server.gaps[0]) == {S.CLOSED, S.SYN_RECV, S.ESTABLISHED}
    assert states(proxy.gaps[0]) == {S.CLOSED, S.SYN_SENT}


def test_a_counter_that_rose_between_table_and_counters_of_one_tick_is_heeded() -> None:
    """The SYN was counted with the tick before the one that shows the socket."""
    run = history("server:41000 > client:80 | - - E\ncount server ActiveOpens 0 1 1\ncount server PassiveOpens 0 0 0")
    assert S.SYN_SENT in run.sockets[0].gaps[0].states


# -- minisockets -------------------------------------------------------------------------------------------------


def test_a_minisocket_under_a_new_name_is_the_same_socket() -> None:
    rows = "client:41000 > server:8080 #a | E F1 - -\nclient:41000 > server:8080 #b | - - F2 T\nunseen client 0 0 -1 0"
    socket = only(history(rows), "client")
    assert [stay.state for stay in socket.stays] == [S.ESTABLISHED, S.FIN_WAIT1, S.FIN_WAIT2, S.TIME_WAIT]
    assert socket.sk == "a"


@pytest.mark.parametrize(
    "rows",
    [
        "client:41000 > server:8080 #a | E CW - -\nclient:41000 > server:8080 #b | - - T T",  # cannot follow
        "client:41000 > server:8080 #a | E F2 - -\nclient:41000 > server:8080 #b | - - - T",  # another tick
        "client:41000 > server:8080 #a | E F2 - -\nclient:41001 > server:8080 #b | - - T T",  # another pair
        "client:41000 > server:8080 #a | E E - -\nclient:41000 > server:8080 #b | - - E E",  # no minisocket
    ],
)
def test_what_cannot_be_the_same_socket_is_not_joined(rows: str) -> None:
    assert len(history(rows).sockets) == 2


# -- unseen sockets ----------------------------------------------------------------------------------------------


def unseen(text: str) -> list[tuple[str, float, float, int]]:
    return [(entry.node, entry.after, entry.before, entry.count) for entry in history(text).unseen]


def test_the_counters_tell_of_sockets_that_no_tick_saw() -> None:
    assert unseen("server:8080 | L L L\nunseen server 0 0 2") == [("server", 1, 2, 2)]


def test_seen_sockets_are_not_unseen() -> None:
    assert unseen("client:41000 > server:8080 | - SS E -\nserver:8080 > client:41000 | - - E CW") == []


def test_a_request_socket_is_counted_when_its_handshake_is_finished() -> None:
    """The builder counts as the kernel does: PassiveOpens rises when SYN_RECV is left."""
    assert unseen("server:8080 > client:41000 | - SR SR E E") == []
    assert unseen("server:8080 > client:41000 | SR SR E E E") == []


def test_a_request_socket_that_vanished_may_be_the_one_that_was_counted() -> None:
    (entry,) = history("server:8080 > client:41000 | - SR - -\nunseen server 0 0 1 0").unseen
    assert (entry.count, entry.least, entry.most) == (1, 0, 1)


@pytest.mark.parametrize("in_flight", ["0 1 -1 0 0", "0 1 0 -1 0", "0 0 1 0 -1"])
def test_a_socket_that_was_opened_while_the_tick_was_taken_is_no_other_one(in_flight: str) -> None:
    """The counters of a tick know it, the next table shows it; in a loop there may be one at every tick."""
    rows = "\n".join(f"client:{41000 + t} > server:8080 | " + "- " * t + "E " * (5 - t) for t in range(1, 5))
    assert unseen(f"{rows}\nunseen client {in_flight}") == []


def test_an_unseen_socket_among_sockets_in_flight_has_a_longer_interval() -> None:
    """One was opened while tick 1 was taken, or lived unseen before it; then one more that tick 3 did not see."""
    rows = "client:41000 > server:8080 | - - E E E\nunseen client 0 1 0 0 0"
    assert unseen(rows) == [("client", 0, 2, 1)]


def test_what_the_kernel_never_counts_does_not_hide_others() -> None:
    row = "client:41000 > server:8080 | - E E E E E"
    assert unseen(f"{row}\nunseen client 0 -1 0 0 1 0") == [("client", 3, 4, 1)]


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
    places = [(entry.after, entry.before) for entry in run.unseen for _ in range(entry.count)]
    assert len(places) == len(truth)
    assert all(after <= tick - 1 and tick <= before for tick, (after, before) in zip(truth, places, strict=True))
    assert all(entry.least == entry.most == entry.count for entry in run.unseen)


def test_unseen_sockets_go_with_the_ticks_that_sampled_the_node() -> None:
    assert unseen("client:41000 > server:8080 | E ? E\nunseen client 0 1 0") == [("client", 0, 2, 1)]


def test_a_refused_connection_is_an_unseen_socket_but_no_connection() -> None:
    (entry,) = history(
        "client:40000 > server:8080 | E E E\nunseen client 0 1 0\ncount client AttemptFails 0 1 1"
    ).unseen
    assert entry == Unseen("client", 0, 1, 1, 0, 0, frozenset({S.SYN_SENT, S.CLOSED}))


def test_a_failed_attempt_on_a_listening_node_may_be_a_handshake_that_was_never_counted() -> None:
    (entry,) = history("server:8080 | L L L\nunseen server 0 1 0\ncount server AttemptFails 0 1 1").unseen
    assert (entry.least, entry.most) == (0, 1)


# -- the rest of the history -------------------------------------------------------------------------------------


def test_groups_addresses_and_who_speaks() -> None:
    run = history("client:41000 > server:8080 | E")
    assert run.groups == {"app": ("app-1", "app-2")}
    assert run.addresses[HOSTS["server"]] == "server"
    assert run.speaking == {"server", "app-1"}
    assert run.asking == {"client"}


def test_socket_lines_may_stand_after_their_tick(tmp_path: Path) -> None:
    lines = events("client:41000 > server:8080 | - E CW -\nserver:8080 > client:41000 | - E F2 F2")
    swapped = sorted(lines, key=lambda line: (line["ev"] != "begin", line["t"], line["ev"] == "socket"))
    assert build_history(read(tmp_path, swapped)) == build_history(lines)


def test_unknown_lines_are_passed_over_and_named() -> None:
    lines = [*events("client:41000 > server:8080 | E"), {"t": 1, "ev": "gossip"}, {"t": 1, "ev": "gossip"}]
    assert build_history(lines).notes == ("2 lines of the unknown kind `gossip` passed over",)


def test_socket_lines_after_the_last_tick_say_nothing() -> None:
    lines = events("client:41000 > server:8080 | E E")
    late = {**next(line for line in lines if line["ev"] == "socket"), "t": 1.5, "state": "CLOSE_WAIT"}
    assert build_history([*lines, late]).sockets == build_history(lines).sockets


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


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("begin", {"format": 2}, "this recording has format 2, this simctl reads formats up to 1"),
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
        ("tick", {"missed": [["client"]]}, "the `begin` line declares no node"),
        ("tick", {"missed": ["cleint"]}, "the `begin` line declares no node cleint"),
        ("tick", {"counters": {}}, "the first tick that samples"),
        ("tick", {"counters": {"client": {"TW": "1"}}}, "the counters of client must be a mapping of names to whole"),
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
    assert RunFolder.open(folder.path).history() == history(RUN)


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no run folder"):
        RunFolder.open(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"it has no events\.jsonl"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        RunFolder.open(tmp_path / "file")
