"""Tables of minisockets: what two dumps differ in, whatever came, went, turned or lost its place; and the pace."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.observe.pace import until_next
from orchestrator.observe.sources.minisockets import EXPIRES, ID, ID_END, STATE, MiniTable, differences

SIZE = 96
TIME_WAIT, FIN_WAIT2 = 6, 5


def message(number: int, state: int = TIME_WAIT, expires: int = 0) -> bytes:
    """An inet_diag message as far as the table looks at it."""
    raw = bytearray(SIZE)
    raw[STATE] = state
    raw[ID:ID_END] = number.to_bytes(48, "little")
    raw[EXPIRES : EXPIRES + 4] = expires.to_bytes(4, "little")
    return bytes(raw)


def dump(*numbers: int, **fields: int) -> bytes:
    return b"".join(message(number, **fields) for number in numbers)


def ids(raw: bytes, offsets: list[int]) -> list[int]:
    return [int.from_bytes(raw[offset + ID : offset + ID_END], "little") for offset in offsets]


dumps = st.lists(st.tuples(st.integers(0, 40), st.sampled_from([TIME_WAIT, FIN_WAIT2])), max_size=60)
"""In any order, and with sockets that stand there twice."""


@given(dumps, dumps)
def test_differences_make_one_dump_of_the_other(old: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    before, now = (b"".join(message(*one) for one in each) for each in (old, new))
    came, went = differences(before, now, SIZE)
    made = Counter(old)
    made.update(new[offset // SIZE] for offset in came)
    made.subtract(old[offset // SIZE] for offset in went)
    assert +made == Counter(new)
    assert min(made.values(), default=0) >= 0


@given(st.lists(dumps, max_size=6))
def test_news_of_a_table_add_up_to_its_dumps(series: list[list[tuple[int, int]]]) -> None:
    table = MiniTable()
    told: set[int] = set()
    for sockets in series:
        # In one dump one socket may stand twice, but in one state.
        state_of = dict(sockets)
        raw = b"".join(message(number, state_of[number]) for number, _ in sockets)
        changes = table.update(raw, SIZE if raw else 0)
        came = set(ids(raw, changes.came))
        gone = {int.from_bytes(socket_id, "little") for socket_id in changes.gone}
        assert gone <= told
        assert not gone & set(state_of)
        told = (told - gone) | came
        assert told == set(state_of)
        assert len(table) == len(told)


def test_a_running_timer_is_no_news_but_a_turn_is() -> None:
    table = MiniTable()
    assert len(table.update(dump(1, 2, 3, state=FIN_WAIT2, expires=60_000), SIZE).came) == 3
    same = table.update(dump(1, 2, 3, state=FIN_WAIT2, expires=59_950), SIZE)
    assert (same.came, same.gone) == ([], [])
    raw = dump(1, state=FIN_WAIT2) + dump(2) + dump(3, state=FIN_WAIT2)
    turned = table.update(raw, SIZE)
    assert (ids(raw, turned.came), turned.gone) == ([2], [])


def test_neighbours_that_come_in_a_run_do_not_put_the_dumps_out_of_step() -> None:
    old = list(range(0, 4000, 2))
    new = [*old[:700], *range(5001, 5201), *old[700:1200], *old[1500:]]
    came, went = differences(dump(*old), dump(*new), SIZE)
    assert (len(came), len(went)) == (200, 300)


def test_scattered_changes_are_all_that_is_told() -> None:
    random = Random(3)
    old = random.sample(range(100_000), 3000)
    new = [one for one in old if random.random() > 0.02]
    for number in range(100_000, 100_050):
        new.insert(random.randrange(len(new)), number)
    came, went = differences(dump(*old), dump(*new), SIZE)
    assert len(came) == 50
    assert len(went) == len(old) + 50 - len(new)


def test_the_pace() -> None:
    """The period while tables are small; never more than a quarter of a core; less while a trace tells the story."""
    assert until_next(0.05, 0.001, 0.001, nodes=2, traced=True) == 0.05
    assert until_next(0.05, 0.02, 0.02, nodes=2, traced=False) == 0.08
    beside_a_trace = until_next(0.05, 0.005, 0.005, nodes=2, traced=True)
    assert 0.1 < beside_a_trace < 0.2
    assert until_next(0.05, 0.02, 0.02, nodes=2, traced=True) == 0.2, "four periods at most"
    assert until_next(0.05, 0.1, 0.1, nodes=2, traced=True) == 0.4, "or what a quarter of a core takes"
    assert until_next(0.1, 0.012, 0.012, nodes=100, traced=True) == 0.1, "100 nodes at 10 Hz"
