"""Whether the trace is whole: counters against events, lost events, and what the end of a namespace takes along."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from orchestrator.fabric.wiring import Fabric, Leg
from orchestrator.history.build import build_history
from orchestrator.history.kernelevents import KINDS, understood
from orchestrator.observe.trace import tracefs
from orchestrator.observe.trace.tracer import Tracer
from orchestrator.recording.events import Event
from orchestrator.system.linux import CLONE_NEWNET, setns, unshare
from tests.support.components import require
from tests.support.twonodes import PORT, Side, TwoNodes, close_by_client, deaf, linger_zero, until

pytestmark = pytest.mark.netns


# -- conservation ------------------------------------------------------------------------------------------------------


def test_counters_tell_as_many_minisockets_as_were_born(nodes: TwoNodes) -> None:
    """Those that are to live for 4 s at most are counted as killed when they are born."""
    for _ in range(3):
        close_by_client(*nodes.connected())
    nodes.client.await_states("TIME_WAIT", "TIME_WAIT", "TIME_WAIT")
    nodes.client.set(tcp_fin_timeout=1)
    client, _ = nodes.connected()
    client.close()
    nodes.client.await_states("TIME_WAIT", "TIME_WAIT", "TIME_WAIT", "FIN_WAIT2")
    assert (nodes.client.counter("TW"), nodes.client.counter("TWKilled")) == (3, 1)
    nodes.client.await_states("TIME_WAIT", "TIME_WAIT", "TIME_WAIT")
    assert (nodes.client.counter("TW"), nodes.client.counter("TWKilled")) == (3, 1), "its end is not counted"
    nodes.history()
    said = [line["what"] for line in nodes.lines("minisocket") if line["node"] == "client"]
    assert (said.count("born"), said.count("expired")) == (4, 1)


def test_every_retransmit_is_in_the_trace(nodes: TwoNodes) -> None:
    client, server = nodes.connected()
    with deaf(server):
        client.send(b"lost at first")
        until(lambda: nodes.client.counter("RetransSegs") >= 2)
    assert server.recv(64) == b"lost at first"
    nodes.history()
    again = [line for line in nodes.lines("retransmit") if line["state"] == "ESTABLISHED"]
    assert len(again) == nodes.client.counter("RetransSegs")
    assert {line["node"] for line in again} == {"client"}


def test_overrun_is_read_as_lost_and_makes_the_trace_unbelieved(
    nodes: TwoNodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second tracer beside the lab's, with a buffer that is too small, which nobody empties meanwhile."""
    monkeypatch.setattr(tracefs, "_BUFFER_KB", 8)
    names = {nodes.client.address: "client", nodes.server.address: "server"}
    with ThreadPoolExecutor(max_workers=1) as thread:  # it may need a mount namespace of its own
        tracer = thread.submit(Tracer, names).result()
        thread.submit(tracer.start).result()
        with nodes.server.listen() as listener:
            for _ in range(100):
                close_by_client(*nodes.connect(listener))
        events = thread.submit(tracer.finish, nodes.zero).result()
        thread.submit(tracer.close).result()
    (traced,) = [event for event in events if event["ev"] == "traced"]
    assert traced["lost"] > 0
    assert len(nodes.history().connections) == 100, "the lab's own tracer had room"

    others = [event for event in nodes.recording() if event["ev"] not in (*KINDS, "traced")]
    history = build_history([*others, *events])
    assert not history.exact
    assert f"the kernel's trace lost {traced['lost']} events, so samples are used instead" in history.notes


# -- the end of a namespace --------------------------------------------------------------------------------------------


def test_deleting_a_namespace_purges_its_minisockets() -> None:
    """So the last sample comes before. Two orphans of two seconds: the older one loses its namespace."""
    require("root")
    with ThreadPoolExecutor(max_workers=1) as thread:  # it moves from namespace to namespace
        events = thread.submit(_purge).result()
    understood_events = understood(events, {"198.18.255.1": "client", "198.18.255.2": "server"}.get)
    said = [(event["node"], event["what"]) for event in understood_events if event["ev"] == "minisocket"]
    assert [node for node, what in said if what == "born"] == ["client", "server"]
    assert [node for node, what in said if what == "expired"] == ["server"]


def _purge() -> list[Event]:
    """What the trace says from before the first orphan to the time at which the second is gone."""
    unshare(CLONE_NEWNET)
    with ExitStack() as held:
        fabric = held.enter_context(closing(Fabric()))
        client, server = (
            held.enter_context(closing(_node(fabric, name, address)))
            for name, address in (("client", "198.18.255.1"), ("server", "198.18.255.2"))
        )
        tracer = held.enter_context(closing(Tracer({client.address, server.address})))
        tracer.start()
        for accepted in (_orphan(client, server), _orphan(server, client)):
            linger_zero(accepted)  # or it would hold its namespace until its FIN is acknowledged
        client.set_link(up=False)
        client.close()
        until(lambda: "FIN_WAIT2" not in server.states(), "the younger one's time is over")
        return tracer.finish(zero=0.0)


def _node(fabric: Fabric, name: str, address: str) -> Side:
    """A namespace that nothing but this object holds, wired to the others of the fabric."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    unshare(CLONE_NEWNET)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    setns(home, CLONE_NEWNET)
    try:
        if not fabric.ports:
            fabric.add_network("lab")
        fabric.add_legs([Leg(name, "eth0", "lab", address, 24)], {name: own}, {})
        return Side(name, address, f"/proc/self/fd/{own}")
    finally:
        os.close(own)
        os.close(home)


def _orphan(own: Side, other: Side) -> socket.socket:
    """A connection that `own` has closed; returns the other end."""
    own.set(tcp_fin_timeout=2)
    with other.listen() as listener:
        closed = own.tcp()
        closed.connect((other.address, PORT))
        accepted = other.accept(listener)
        closed.close()
        until(lambda: "FIN_WAIT2" in own.states())
    return accepted
