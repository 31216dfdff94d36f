"""What a seed changes of a run in a virtual machine: nothing that a scenario may rely on.

Without a seed two runs are the same to the last byte. A seed sets what would be another one each time in real life:

    entropy   the random numbers that the guest's kernel hands out
    delay     how long the guest idles before the run begins. The kernel's timer wheel rounds a timer up to its place
              in the wheel: by 32 ms at 2 s, by 2 s at 60 s, by 131 s at two hours. So a timer's length depends on when
              it was armed. Ephemeral ports are another series every 10 s, and sequence numbers go with the clock
    shift     the processor's speed: 1 instruction in 1 ns, or in 2 ns
"""

from __future__ import annotations

import fcntl
import random
import struct
import time
from pathlib import Path

from orchestrator.text.record import record

_ENTROPY = 64
"""Bytes: twice the kernel's key."""

_WHEEL = 131.072
"""Seconds: the wheel's sixth level of 64 places moves on so often at 250 Hz. Timers of up to 2.3 hours are in it."""

# linux/random.h
_RNDADDENTROPY = 0x40085203
_RNDRESEEDCRNG = 0x5207


@record
class Variation:
    """See above. `delay` in seconds; an instruction takes 2**shift ns."""

    entropy: bytes
    delay: float
    shift: int


def variation(seed: int) -> Variation:
    """The same for the same seed."""
    chance = random.Random(seed)
    return Variation(chance.randbytes(_ENTROPY), chance.uniform(0, _WHEEL), chance.randrange(2))


def apply(seed: int) -> None:
    """Guest: take over entropy and delay. The shift is QEMU's."""
    chosen = variation(seed)
    pool = struct.pack(f"ii{_ENTROPY}s", 8 * _ENTROPY, _ENTROPY, chosen.entropy)
    with Path("/dev/urandom").open("wb") as device:
        fcntl.ioctl(device, _RNDADDENTROPY, pool)
        fcntl.ioctl(device, _RNDRESEEDCRNG)
    time.sleep(chosen.delay)
