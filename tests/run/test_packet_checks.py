"""What a scenario says of packets and gets wrong: one message each, where it is, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InputError
from tests.run.test_change_checks import check as check_in
from tests.run.test_scenario_check import STEP, check


@pytest.mark.parametrize(
    ("step", "column", "says"),
    [
        ("drop: {from: sever}", 18, "no node is called sever"),
        ("drop: {from: server, to: zzz}", 30, "no node is called zzz"),
        ("drop: {flags: FIN}", 11, "neither `from` nor `to` is given"),
        ("drop: {from: server, network: lap}", 35, "server is not on a network lap"),
        ("drop: {from: server, flags: FON}", 33, "expected 'SYN', 'SYN+ACK', 'FIN', 'RST', 'ACK' or 'data'"),
        ("drop: {from: server, flags: []}", 33, "the list is empty"),
        ("drop: {from: server, flags: [FIN, FIN]}", 33, "a value is there twice"),
        ("drop: {from: server, port: 0}", 32, "at least 1"),
        ("drop: {from: server, protocol: sctp}", 36, "expected 'tcp', 'udp' or 'icmp'"),
        ("drop: {from: server, protocol: udp, flags: SYN}", 11, "`flags` are TCP's"),
        ("drop: {from: server, protocol: icmp, port: 8}", 11, "ICMP has no `port`"),
        ("drop: {from: server, nth: 0}", 31, "at least 1"),
        ("drop: {from: server, nth: [1, 1]}", 31, "there twice"),
        ("drop: {from: server, nth: true}", 31, "expected a whole number"),
        ("drop: {from: server, nth: 1, probability: 30%}", 11, "cannot both be given"),
        ("drop: {from: server, probability: 30}", 39, "a probability such as 30% or 0.3"),
        ("drop: {from: server, probability: 0%}", 39, "a probability such as 30% or 0.3"),
        ("drop: {from: server, probability: nan%}", 39, "a probability such as 30% or 0.3"),
        ("drop: {from: server, probability: 1_0%}", 39, "a probability such as 30% or 0.3"),
        ("drop: {from: server, probability: 1.0e-9}", 39, "from 0.03% to 100%, not the number 1e-09"),
        (f"drop: {{from: server, nth: {list(range(1, 300))}}}", 31, "must have at most 256, not 299"),
        ("drop: {from: server, to: server}", 30, "what server sends to itself crosses no network"),
        ("drop: {from: server, seed: 3}", 11, "`seed` is for `probability`"),
        ("drop: {from: server, probability: 30%, seed: -1}", 50, "at least 0"),
        ("drop: {from: server, for: 3}", 31, "a duration needs a unit"),
        ("drop: {from: server, for: 0s}", 31, "must be above 0"),
        ("drop: {from: server, loss: 3}", 26, "unknown key loss"),
        ("reject: {to: server, with: icmp}", 32, "expected 'reset', 'port-unreachable'"),
        ("reject: {to: server, protocol: udp}", 13, "`with: reset` is TCP's"),
        ("partition: {between: [client]}", 26, "expected two names"),
        ("partition: {between: [client, client]}", 26, "cannot be cut off from itself"),
        ("partition: {between: [client, serve]}", 26, "no node is called serve"),
        ("partition: {between: [client, server], network: x}", 53, "not both on x"),
        ("impair: {to: server}", 13, "nothing is impaired"),
        ("impair: {to: server, jitter: 10ms}", 13, "`jitter` is of a `delay`"),
        ("impair: {to: server, reorder: 10%}", 13, "`reorder` is of a `delay`"),
        ("impair: {to: server, delay: 10ms, jitter: 20ms}", 13, "`jitter` is more than `delay`"),
        ("impair: {to: server, delay: 0.0001ms}", 13, "whole microseconds: this is less than one"),
        ("impair: {to: server, rate: 0.001kbit}", 32, "expected a rate such as"),
        ("impair: {to: server, delay: 10}", 33, "a duration needs a unit"),
        ("impair: {to: server, delay: 11m}", 33, "at most 600"),
        ("impair: {to: server, duplicate: 200%}", 37, "a probability such as"),
        ("impair: {to: server, corrupt: x}", 35, "a probability such as"),
        ("impair: {to: server, rate: fast}", 32, "expected a rate such as"),
        ("impair: {to: server, rate: 0mbit}", 32, "expected a rate such as"),
        ("mtu: {node: server, bytes: 100}", 32, "at least 576"),
        ("mtu: {node: server, bytes: 9000}", 32, "at most 1500"),
        ("mtu: {node: srv, bytes: 1000}", 17, "no node is called srv"),
        ("mtu: {node: server, bytes: 1000, network: x}", 47, "server is not on a network x"),
        ("heal: load", 11, "no earlier step load did anything that can be healed"),
    ],
)
def test_one_message_where_it_is_wrong(step: str, column: int, says: str) -> None:
    with pytest.raises(InputError) as refused:
        check(STEP + step)
    (problem,) = refused.value.problems
    assert says in problem.message
    assert problem.place is not None
    assert (problem.place.line, problem.place.column) == (8, column)


@pytest.mark.parametrize(
    ("heals", "line", "says"),
    [
        ("drop: {from: server, for: 1s}\n  - heal: drop-3", 9, "takes its drop back itself"),
        ("mtu: {node: server, bytes: 1000}\n  - heal: mtu-3\n  - heal: mtu-3", 10, "is healed by the step heal-4"),
        (
            "impair: {to: server, delay: 1s}\n  - impair: {to: server, duplicate: 1%}",
            9,
            "it must be the only one, and there is that of impair-3",
        ),
        ("heal: drop-4\n  - drop: {from: server}", 8, "no earlier step drop-4"),
    ],
)
def test_what_can_be_healed(heals: str, line: int, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        check(STEP + heals)
    assert refused.value.place is not None
    assert refused.value.place.line == line


def test_everything_at_once_is_fine() -> None:
    check(
        STEP + "drop: {from: server, to: client, network: lab, port: 8080, flags: [FIN, data], nth: [1, 3], for: 1s}\n"
        "  - reject: {to: worker, protocol: udp, with: port-unreachable, probability: 12.5%, seed: 3}\n"
        "  - partition: {between: [client, worker], network: lab}\n"
        "  - impair: {to: server, delay: 10ms, jitter: 5ms, duplicate: 0.1, corrupt: 1%, reorder: 5%, rate: 10mbit}\n"
        "  - mtu: {node: server, bytes: 1280, network: lab}\n"
        "  - heal: reject-4\n  - heal: partition-5\n  - heal: impair-6\n  - heal: mtu-7"
    )


def test_a_scenario_has_as_many_impairments_as_a_queueing_discipline_has_bands(tmp_path: Path) -> None:
    from orchestrator.fabric.faults.impairment import _BANDS
    from orchestrator.scenario.steps.impair import MOST

    assert MOST == _BANDS - 1
    steps = "\n  - ".join(f"impair: {{to: one, delay: {number}ms}}" for number in range(1, MOST + 2))
    check_in(tmp_path, steps.rsplit("\n", 1)[0])
    with pytest.raises(InputError, match="in 15 steps at most"):
        check_in(tmp_path, steps)
