"""How often a health check is run, and what its results make of a node."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from orchestrator.lab.health import Health
from orchestrator.runtimes.base import ExecResult
from orchestrator.topology.model import Healthcheck

SOON = 1000.0


@dataclass
class Node:
    """Answers checks with these statuses, in turn; its clock moves when it is told to."""

    statuses: list[int]
    now: float = 0.0
    ran: list[tuple[tuple[str, ...], float]] = field(default_factory=list)

    def execute(self, command: tuple[str, ...], seconds: float) -> ExecResult:
        self.ran.append((command, seconds))
        return ExecResult(self.statuses.pop(0), "first\nlast\n")

    def health(self, check: Healthcheck) -> Health:
        return Health(check, self.execute, lambda: self.now)


def test_the_first_look_is_at_once_and_the_next_an_interval_later() -> None:
    node = Node([1, 0])
    health = node.health(Healthcheck(("CMD", "true"), interval=5.0, timeout=2.0))
    assert not health.look(SOON)
    node.now = 4.9
    assert not health.look(SOON)
    node.now = 5.0
    assert health.look(SOON)
    node.now = 50.0
    assert health.look(SOON), "what has passed is not run again"
    assert node.ran == [(("true",), 2.0)] * 2


@pytest.mark.parametrize(
    ("test", "command"),
    [
        (("CMD", "ls", "-l"), ("ls", "-l")),
        (("CMD-SHELL", "a | b"), ("/bin/sh", "-c", "a | b")),
    ],
)
def test_a_shell_is_there_where_it_is_asked_for(test: tuple[str, ...], command: tuple[str, ...]) -> None:
    assert Node([]).health(Healthcheck(test)).command == command


def test_retries_in_a_row_make_it_unhealthy_those_of_the_start_period_aside() -> None:
    node = Node([1, 1, 1, -1])
    health = node.health(Healthcheck(("CMD", "false"), interval=1.0, retries=2, start_period=1.5))
    for now in (0.0, 1.0, 2.0):
        node.now = now
        health.look(SOON)
        assert not health.unhealthy
    node.now = 3.0
    health.look(SOON)
    assert health.unhealthy
    assert health.failures == 2
    assert health.trouble == "its healthcheck `false` does not pass: it was killed by SIGHUP"
    assert health.said[1:] == ["first", "last"]


def test_a_check_ends_with_the_time_that_the_node_has() -> None:
    node = Node([0], now=10.0)
    node.health(Healthcheck(("CMD", "true"), timeout=30.0)).look(12.5)
    assert node.ran == [(("true",), 2.5)]
