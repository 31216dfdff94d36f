"""An owner that a program reports is put beside all else that is known of a socket."""

from __future__ import annotations

from dataclasses import fields, replace

from orchestrator.history.model import MinisocketEnd, Socket, StateInterval
from orchestrator.history.owners import with_reported_owners
from orchestrator.history.readings import QueueReading, TrafficReading
from orchestrator.tcp.states import TcpState


def test_a_reported_socket_gets_the_owner_of_its_reporter_and_keeps_the_rest() -> None:
    stays = (StateInterval(TcpState.ESTABLISHED, 1.0, 2.0),)
    queues, traffic = (QueueReading(1.0, 2, 3),), (TrafficReading(1.0, 1, 2, 3, 4, 5.0, 6.0),)
    seen = Socket(
        "client", "a1", "10.0.0.2:40000", "10.0.0.3:80", stays, (), queues, 0, 7, "python",
        MinisocketEnd.REUSED, ((1.0, True),), traffic, ((1.0, 1),), 1.5,
    )  # fmt: skip
    unowned = replace(seen, sk="a2", local="10.0.0.2:40001", uid=None, pid=None, comm=None)
    assert not [field.name for field in fields(Socket) if getattr(seen, field.name) == field.default], "a field unset"
    reports = [{"node": "client", "local": one.local, "peer": one.peer} for one in (seen, unowned)]
    assert with_reported_owners([seen, unowned], reports) == (seen, replace(unowned, uid=0, pid=7, comm="python"))
