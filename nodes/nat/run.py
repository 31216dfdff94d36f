"""Makes its node a NAT: writes rules for nftables from the knobs, loads them, and stays.

Nothing listens here. What does the work is the kernel of this node's network namespace: conntrack, which keeps a table
of flows, and the rules, which send the first segment of a flow elsewhere and let the kernel treat all others alike.
Started with SIMCTL_RELOAD=1 it loads the rules anew and ends: flows that are there stay as they are.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import rules
from conntrack import Flow, Table
from events import emit
from knobs import KnobError, Knobs, refuse_arguments
from native import end, reloading

_NFT = "/usr/sbin/nft"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")

_STOP = {signal.SIGTERM, signal.SIGINT}

_LOOK_EVERY = 1.0
"""Seconds. What has expired is free again as much later at most."""

_MOST_LINES = 1000
"""Of the log, at a time."""


def main() -> None:
    try:
        refuse_arguments("nat", sys.argv[1:])
        knobs = Knobs()
        text = rules.rules(knobs, f"{os.getpid()}_{time.monotonic_ns()}")
    except KnobError as error:
        end("nat", str(error), 2)
    if _FORWARDING.read_text().strip() != "1":
        end("nat", "this node does not forward: set `sysctls: {net.ipv4.ip_forward: 1}` in the Compose file", 1)
    table = Table() if rules.limited(knobs) and not reloading() else None
    stop = _stop()
    _load(text)
    if reloading():
        return
    emit({"ev": "ready", "t": time.monotonic(), "kind": "nat"})
    if table is None:
        select.select([stop], [], [])
        return
    told, stopping = 0, False
    while not stopping:
        stopping = stop in select.select([table.fileno(), stop], [], [], _LOOK_EVERY)[0]
        _free(knobs, table)
        told = _tell_dropped(knobs, told)


def _stop() -> int:
    """A descriptor that is readable when it is time to go."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in _STOP:
        signal.signal(number, lambda *_: None)
    return read_end


def _free(knobs: Knobs, table: Table) -> None:
    """What conntrack has forgotten is free again; what went and came back is not."""
    gone, there = table.take(), table.look()
    lines = []
    if knobs.given("CONNTRACK_MAX"):
        elements = {_flow(flow) for flow in gone} - {_flow(flow) for flow in there}
        lines += [f"delete element ip simctl {rules.FLOWS} {{ {each} }}\n" for each in sorted(elements)]
    if knobs.given("SOURCE_PORTS"):
        elements = {_port(flow) for flow in gone} - {_port(flow) for flow in there}
        lines += [f"delete element ip simctl {rules.PORTS} {{ {each} }}\n" for each in sorted(elements)]
    if lines and _nft("".join(lines)).returncode != 0:
        for line in lines:  # one that is not there, as of a flow that needed none, kept the others
            _nft(line)


def _tell_dropped(knobs: Knobs, told: int) -> int:
    """A line in the log for each segment that found no place, beyond the `told` ones; how many there were."""
    command = [_NFT, "--json", "list", "counter", "ip", "simctl", rules.DROPPED]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        return told
    dropped = int(json.loads(listed.stdout)["nftables"][1]["counter"]["packets"])
    sys.stderr.write(f"nat: {rules.why_dropped(knobs)}\n" * min(dropped - told, _MOST_LINES))
    sys.stderr.flush()
    return dropped


def _flow(flow: Flow) -> str:
    return f"{flow.original.source} . {flow.original.source_port} . {flow.reply.source} . {flow.reply.source_port}"


def _port(flow: Flow) -> str:
    return f"{flow.reply.source} . {flow.reply.source_port} . {flow.reply.destination_port}"


def _load(text: str) -> None:
    try:
        done = _nft(text)
    except FileNotFoundError:
        end("nat", f"there is no program {_NFT} here: install the Debian package nftables", 127)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        end(
            "nat", "the kernel did not take these rules; it needs nf_tables, conntrack, and the capability NET_ADMIN", 1
        )


def _nft(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([_NFT, "-f", "-"], input=text, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    main()
