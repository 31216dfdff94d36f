"""Calls in SYN_SENT to the last: the trace names their port with the change that follows; until then samples do."""

from __future__ import annotations

import pytest

from orchestrator.history.build import build_history
from orchestrator.history.model import History
from orchestrator.recording.events import Event
from tests.support.builders import HOSTS, events

pytestmark = pytest.mark.pure

CLIENT, SERVER = HOSTS["client"], f"{HOSTS['server']}:8080"


def call(a: int, born: float, gone: float | None = None, port: int = 41000, cookie: str = "") -> list[Event]:
    """A call that nobody answers; the trace knows its port when it is given up, and not before."""
    one: Event = {"t": born, "ev": "state", "node": "client", "a": a, "local": f"{CLIENT}:0", "peer": SERVER}
    found = [one | {"old": "CLOSED", "new": "SYN_SENT"}]
    if gone is not None:
        named = one | {"t": gone, "local": f"{CLIENT}:{port}"}
        found += [named | {"old": "SYN_SENT", "new": "CLOSED"}]
        found += [named | {"ev": "destroy", "sk": cookie}] if cookie else []
    return found


def build(table: str, *trace: Event) -> History:
    lost: Event = {"t": 0.0, "ev": "traced", "lost": 0, "counts": {}}
    found = build_history(events(table, *sorted(trace, key=lambda event: float(event["t"])), lost))
    assert found.exact, found.notes
    return found


def ports(found: History) -> list[str]:
    return [one.local.rpartition(":")[2] for one in found.sockets if one.node == "client"]


def test_a_sample_names_the_port_of_a_call_that_is_under_way() -> None:
    table = "client:41000 > server:8080 | - SS SS\ncount client ActiveOpens 0 1 1"
    assert ports(build(table, *call(1, 0.5))) == ["41000"]


@pytest.mark.parametrize("cookie", ["", "7"])
def test_a_port_that_an_earlier_call_had_names_the_later_one_as_well(cookie: str) -> None:
    """Both from the same port, one after the other, within a tick: two sockets, not three."""
    table = """
        client:41000 > server:8080 #7 | - SS - -
        client:41000 > server:8080 #8 | - -  SS SS
        count client ActiveOpens 0 1 2 2
    """
    found = build(table, *call(1, 0.5, gone=1.5, cookie=cookie), *call(2, 1.5001))
    assert ports(found) == ["41000", "41000"]
    assert len(found.connections) == 2


def test_what_a_sample_shows_of_another_call_names_nothing() -> None:
    table = """
        client:41000 > server:8080 | - SS -
        count client ActiveOpens 0 1 2
    """
    assert sorted(ports(build(table, *call(1, 0.5, gone=1.5), *call(2, 1.6)))) == ["0", "41000"]
