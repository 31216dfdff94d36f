"""The guest's agent: gets everything ready, stops the machine, and when that goes on, carries out the order.

The machine is frozen at the stop in the middle of main(). Every run begins there, with the interpreter started, all
modules imported, the kernel's caches warm, and a probe and a spawner that wait.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from orchestrator.run.virtual.inside.doorbell import Doorbell
from orchestrator.run.virtual.inside.work import carry_out, warm_up
from orchestrator.vm import bundle
from orchestrator.vm.exchange import Exchange, Full

_HEARTBEAT = 5.0
"""Seconds of the guest. Also the longest time without a timer: with none armed, virtual time would stop for ever."""

INPUT = Path("/run/input")
RECORDING = Path("/run/recording")


def main() -> None:
    bell = Doorbell()
    exchange = Exchange(os.open("/dev/exchange", os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC))

    def say(text: str) -> None:
        exchange.say(text)
        bell.tell()

    _beat(bell)  # before there are descriptors of others that it would hold
    standby = warm_up(RECORDING, say)
    bell.stop()
    begun = time.monotonic()
    try:
        order = bundle.unpack(exchange.reader(), INPUT)
        result = carry_out(order, INPUT, standby, say)
    except Exception:
        result = {"broken": traceback.format_exc().splitlines()}
    result["seconds"] = time.monotonic() - begun
    try:
        exchange.put(bundle.pack(result, bundle.tree(RECORDING)))
    except Full:
        exchange.put(bundle.pack({**result, "too_large": True}))
    bell.stop()


def _beat(bell: Doorbell) -> None:
    """Show the host that the machine is alive, from a process of its own."""
    if os.fork() == 0:
        while True:
            time.sleep(_HEARTBEAT)
            bell.tell()


if __name__ == "__main__":
    main()
    sys.exit("let go on after the result was given")
