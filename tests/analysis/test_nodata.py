"""What tells that no data went between the last sample of a connection and its end: FINs and later samples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.analysis.nodata import last_tick, no_data_since
from orchestrator.history.model import SIDES, History, Side
from tests.support.builders import history
from tests.support.ladders import CLIENT, SERVER

pytestmark = pytest.mark.pure

CLOSED = """
    server:8080                | L L L L L L
    client:41000 > server:8080 | - E E E - -
    server:8080 > client:41000 | - E E E - -
"""
OPEN = CLOSED.replace("E E E - -", "E E E E E")


def sampled(table: str, carried: dict[Side, int] | None = None, **later: int) -> History:
    """Ten bytes each way at 2 s; `later`: what each side had sent at 4 s; `carried`: what the FINs say in all."""

    def counted(t: float, side: str, sent: int, got: int) -> dict[str, object]:
        local, peer, sk = (CLIENT, SERVER, "1") if side == "client" else (SERVER, CLIENT, "2")
        event: dict[str, object] = {"ev": "socket", "t": t, "node": side, "sk": sk, "local": local, "peer": peer}
        numbers = {"recv_q": 0, "send_q": 0, "sent": sent, "acked": sent + 1, "received": got}
        return event | {"state": "ESTABLISHED"} | numbers

    more = [counted(2, side, 10, 10) for side in ("client", "server")]
    if later:
        more += [counted(4, "client", later["client"], later["server"])]
        more += [counted(4, "server", later["server"], later["client"])]
    found = history(table, *more)
    whole = None if carried is None else dict(carried)
    fins = None if carried is None else dict.fromkeys(SIDES, 3.5)
    return replace(found, connections=(replace(found.connections[0], carried=whole, fins=fins),))


def proven(run: History, since: float = 3.0, until: float = 3.9) -> bool:
    return no_data_since(run.connections[0], run, since, until)


def test_without_a_fin_the_last_sample_proves_nothing_of_what_came_after_it() -> None:
    assert not proven(sampled(CLOSED))


def test_the_fins_tell_all_that_was_ever_sent() -> None:
    assert proven(sampled(CLOSED, {Side.CLIENT: 10, Side.SERVER: 10}))


@pytest.mark.parametrize("sender", SIDES)
def test_what_one_side_sent_is_not_taken_for_the_other_s(sender: Side) -> None:
    """The silence of one direction proves nothing of the other."""
    assert not proven(sampled(CLOSED, {sender: 17, sender.other: 10}))
    assert not proven(sampled(CLOSED, {sender.other: 10})), "no FIN of this side"


def test_a_later_sample_tells_as_well() -> None:
    assert proven(sampled(OPEN, client=10, server=10), until=4.0)
    assert not proven(sampled(OPEN, client=11, server=10), until=4.0)
    assert not proven(sampled(OPEN, client=10, server=11), until=4.0)


def test_the_last_tick() -> None:
    run = sampled(CLOSED)
    assert (last_tick(run, 3.9), last_tick(run, 3.0), last_tick(run, -1.0)) == (3.0, 3.0, None)
