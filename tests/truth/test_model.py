"""The model on captures made by hand, of which the truth is known."""

from __future__ import annotations

import pytest

from tests.truth.handmade import CLIENT, CLIENT_KEY, NODES, SERVER, SERVER_KEY, ZERO, Recording, Talk, pcapng
from tests.truth.model_samples import Row, Stretch, parse_ss
from tests.truth.model_states import Known
from tests.truth.model_wire import ACK, FIN, RST, SYN, after, read_capture


def _of(recording: Recording, key: tuple[str, str, str], number: int = 0) -> Known:
    known = recording.truth().connections[number].known[key]
    assert not known.lost, known.lost
    return known


def _stretch(key: tuple[str, str, str], state: str, first: float, last: float, cookie: str = "1") -> Stretch:
    return Stretch(key, cookie, state, first, last)


def test_a_capture_is_read_as_it_was_written() -> None:
    talk = Talk().open(1.0).say(0, 1.5, ACK, 700)
    found = read_capture("lab", pcapng(talk.segments))
    assert found.segments == talk.segments
    assert (found.zero, found.names, found.nodes) == (ZERO, {v: k for k, v in NODES.items()}, set(NODES))


def test_a_capture_that_was_cut_off_is_read_up_to_there() -> None:
    talk = Talk().open(1.0)
    found = read_capture("lab", pcapng(talk.segments)[:-7])
    assert found.segments == talk.segments[:-1]


@pytest.mark.parametrize(("a", "b", "far"), [(5, 3, 2), (3, 5, -2), (2, 0xFFFFFFFF, 3), (0xFFFFFFFF, 2, -3)])
def test_sequence_numbers_wrap(a: int, b: int, far: int) -> None:
    assert after(a, b) == far


def test_both_ends_close_in_turn() -> None:
    talk = Talk().open(1.0).fin(1, 2.0).ack(0, 2.04).fin(0, 3.0).ack(1, 3.0001)
    recording = Recording([talk], stretches=[_stretch(CLIENT_KEY, "CLOSE_WAIT", 2.05, 2.9)])
    server, client = _of(recording, SERVER_KEY), _of(recording, CLIENT_KEY)
    assert server.at(2.5) == {"FIN_WAIT1", "FIN_WAIT2"}, "the first ACK may be lost, as far as anybody knows"
    assert server.at(9.0) == {"TIME_WAIT"}
    assert client.at(2.5) == {"CLOSE_WAIT"}
    assert client.at(9.0) == {"CLOSED", "LAST_ACK"}, "whether the last ACK arrived nobody saw"
    first = recording.truth().first_closing(recording.truth().connections[0])
    assert first is not None
    assert first[0].t == 2.0
    assert first[1] == {"server"}


def test_a_fin_that_nobody_acknowledged_may_have_arrived_or_not() -> None:
    talk = Talk().open(1.0).fin(1, 2.0).ack(0, 2.04).fin(0, 3.0, arrives=False)
    assert _of(Recording([talk]), SERVER_KEY).at(5.0) == {"FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSED"}


def test_a_sample_after_it_shows_that_a_fin_was_lost() -> None:
    talk = Talk().open(1.0).fin(1, 2.0).ack(0, 2.04).fin(0, 3.0, arrives=False)
    seen = [_stretch(SERVER_KEY, "FIN_WAIT2", 2.05, 9.0)]
    known = _of(Recording([talk], stretches=seen), SERVER_KEY)
    assert known.at(3.5) == known.at(8.0) == {"FIN_WAIT2"}
    assert known.ever(["TIME_WAIT"], 10.0, 0.02) == (False, False)


def test_a_link_that_is_down_shows_it_too() -> None:
    talk = Talk().open(1.0).fin(1, 2.0).ack(0, 2.04).fin(0, 3.0, arrives=False)
    steps = [{"name": "cut", "link": {"node": "client", "up": False}}]
    known = _of(Recording([talk], moments={"cut.start": 2.5, "cut.end": 2.6}, steps=steps), SERVER_KEY)
    assert known.ever(["TIME_WAIT"], 10.0, 0.02) == (False, False)


def test_a_fin_with_data_for_an_end_that_has_closed_is_answered_with_a_reset() -> None:
    talk = Talk().open(1.0).fin(0, 2.0).ack(1, 2.04).fin(1, 3.0, size=70, arrives=False)
    talk.say(0, 3.0001, RST)
    known = _of(Recording([talk]), CLIENT_KEY)
    assert known.at(2.5) == {"FIN_WAIT1", "FIN_WAIT2", "CLOSED"}
    assert known.at(3.5) == {"CLOSED"}
    assert known.ever(["TIME_WAIT"], 10.0, 0.02) == (False, False)


def test_fins_that_cross_lead_to_closing() -> None:
    talk = Talk().open(1.0).fin(0, 2.0, arrives=False).fin(1, 2.00001)
    talk.got[1] = talk.next[0]
    talk.ack(0, 2.0001).ack(1, 2.0002)
    recording = Recording([talk])
    assert _of(recording, CLIENT_KEY).at(5.0) == {"TIME_WAIT", "CLOSING", "CLOSED"}, "the last ACK may be lost"
    assert "CLOSING" in _of(recording, CLIENT_KEY).at(2.00015)
    first = recording.truth().first_closing(recording.truth().connections[0])
    assert first is not None
    assert first[1] == {"client", "server"}


def test_a_fin_that_waits_behind_data_is_not_sent_yet() -> None:
    talk = Talk().open(1.0).say(1, 1.5, ACK, 9000, arrives=False)
    talk.fin(0, 4.0)
    known = _of(Recording([talk], stretches=[_stretch(SERVER_KEY, "FIN_WAIT1", 2.0, 3.0)]), SERVER_KEY)
    assert known.at(2.5) == {"FIN_WAIT1"}
    first = Recording([talk]).truth().first_closing(Recording([talk]).truth().connections[0])
    assert first is not None
    assert first[0].sender == "client"


def test_a_reset_belongs_to_the_life_that_expects_it() -> None:
    """The server lost its peer; a SYN of the same port gets a challenge, which is answered with a RST."""
    old = Talk().open(1.0).say(0, 1.1, ACK, 30).ack(1, 1.1001)
    new = Talk(isns=(90_000_000, 77_000_000))
    new.say(0, 3.0, SYN, arrives=False)
    old.ack(1, 3.0001)
    old.segments.append(type(old.segments[0])(3.0002, "lab", "client", CLIENT, SERVER, RST, old.got[1], 0, 0))
    new.say(0, 4.0, SYN, again=True).say(1, 4.0001, SYN | ACK).ack(0, 4.0002)
    truth = Recording([old, new]).truth()
    assert [len([s for s in c.lives[0].segments if s.has(RST)]) for c in truth.connections] == [1, 0]
    assert truth.first_closing(truth.connections[1]) is None
    known = truth.connections[0].known[SERVER_KEY]
    assert not known.lost, known.lost
    assert known.at(3.5) == {"CLOSED", "ESTABLISHED", "FIN_WAIT1"}, "whether the RST arrived nobody saw"
    assert known.at(4.5) == {"CLOSED"}


def test_a_new_syn_ends_what_the_same_client_port_was() -> None:
    old = Talk().open(1.0).fin(0, 2.0).ack(1, 2.01).fin(1, 2.1).ack(0, 2.1001)
    new = Talk(isns=(90_000_000, 77_000_000)).open(5.0)
    known = Recording([old, new]).truth().connections[0].known[CLIENT_KEY]
    assert known.at(4.0) == {"TIME_WAIT"}
    assert known.at(6.0) == {"CLOSED"}


def test_a_request_that_waits_is_syn_recv() -> None:
    talk = Talk().say(0, 1.0, SYN).say(1, 1.0001, SYN | ACK, arrives=False)
    talk.say(1, 2.0, SYN | ACK, again=True, arrives=False)
    rows = [Row("SYN_RECV", 0, 0, SERVER, CLIENT, "0")]
    recording = Recording([talk], moments={"look": 1.5}, texts={"look": {"server": rows}})
    assert _of(recording, SERVER_KEY).at(1.6) >= {"SYN_RECV"}
    assert not recording.truth().connections[0].established


def test_a_nat_joins_by_the_sequence_number() -> None:
    front = Talk(network="front", addresses=("198.18.0.2:40000", "198.18.0.9:8080"), senders=("client", "nat")).open(
        1.0
    )
    back = Talk(network="back", addresses=("198.18.1.9:40000", "198.18.1.3:8080"), senders=("nat", "server")).open(
        1.00005
    )
    front.fin(0, 2.0)
    back.fin(0, 2.00004)
    networks = {
        "front": {"client": "198.18.0.2", "nat": "198.18.0.9"},
        "back": {"server": "198.18.1.3", "nat": "198.18.1.9"},
    }
    truth = Recording([front, back], networks=networks, kinds={"nat": "nat"}).truth()
    (connection,) = truth.connections
    assert (connection.client, connection.server) == (
        ("client", "198.18.0.2:40000", "198.18.0.9:8080"),
        ("server", "198.18.1.3:8080", "198.18.1.9:40000"),
    )
    assert [s.sender for s in connection.closings(truth.translators)] == ["client"], "what is passed on counts once"


def test_a_reset_of_the_nat_is_its_own() -> None:
    front = Talk(network="front", addresses=("198.18.0.2:40000", "198.18.0.9:8080"), senders=("client", "nat")).open(
        1.0
    )
    front.say(0, 5.0, ACK, 20).say(1, 5.0001, RST)
    networks = {"front": {"client": "198.18.0.2", "nat": "198.18.0.9"}}
    truth = Recording([front], networks=networks, kinds={"nat": "nat"}).truth()
    first = truth.first_closing(truth.connections[0])
    assert first is not None
    assert first[1] == {"nat"}


def test_what_comes_after_the_end_is_not_what_ever_was() -> None:
    known = _of(Recording([Talk().open(1.0).fin(1, 2.0).ack(0, 2.04).fin(0, 3.0).ack(1, 3.0001)]), SERVER_KEY)
    assert known.ever(["TIME_WAIT"], 10.0, 0.02) == (True, True)
    assert known.ever(["TIME_WAIT"], 2.5, 0.02) == (False, False)


def test_what_is_sent_again_is_counted() -> None:
    talk = Talk().open(1.0).say(0, 1.5, ACK, 100, arrives=False).say(0, 1.7, ACK, 100, again=True)
    talk.fin(0, 2.0).fin(0, 2.3, again=True)
    assert Recording([talk]).truth().repeated("client") == (2, 0)


def test_what_no_kernel_does_is_said() -> None:
    """The machine must not bend to what is impossible: a FIN of an end that was seen in TIME_WAIT."""
    talk = Talk().open(1.0).fin(0, 5.0)
    recording = Recording([talk], stretches=[_stretch(CLIENT_KEY, "TIME_WAIT", 2.0, 3.0)])
    assert "seen TIME_WAIT" in recording.truth().connections[0].known[CLIENT_KEY].lost


def test_ss_is_read() -> None:
    text = """State      Recv-Q Send-Q Local Address:Port Peer Address:Port Process
LISTEN     3      2            0.0.0.0:8080      0.0.0.0:*     users:(("python3",pid=1,fd=3)) ino:5 sk:19 cgroup:/ <->
FIN-WAIT-2 0      7         198.18.0.3:8080   198.18.0.2:48438 timer:(timewait,58sec,0) ino:0 sk:1a0ed
ESTAB 0 0 [::ffff:198.18.0.3]:80 [::ffff:198.18.0.2]:9 sk:5
"""
    assert parse_ss(text) == [
        Row("LISTEN", 3, 2, "0.0.0.0:8080", "0.0.0.0:*", "19"),
        Row("FIN_WAIT2", 0, 7, "198.18.0.3:8080", "198.18.0.2:48438", "1a0ed"),
        Row("ESTABLISHED", 0, 0, "198.18.0.3:80", "198.18.0.2:9", "5"),
    ]


def test_fins_have_flags() -> None:
    talk = Talk().open(1.0).fin(0, 2.0)
    assert talk.segments[-1].has(FIN)
    assert talk.segments[-1].closing
