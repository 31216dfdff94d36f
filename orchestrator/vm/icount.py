"""The counter of executed instructions in a frozen machine's state, set to zero.

Runs go on in QEMU's record mode (docs/system/replay.rst of QEMU). Nobody replays what it records; but there QEMU's two
threads, the one that executes the guest and the one that moves its clock on when it idles, wait for each other.
Otherwise they meet in some wrong order once in ten thousand times, and the guest's clock is some nanoseconds ahead.

Record mode takes the number of instructions since its beginning for a signed one of 32 bits. A machine that was frozen
after more than that cannot go on in it; one whose count is zero can. The guest never sees the count itself:

    virtual time = bias + count * 2**shift ns
"""

from __future__ import annotations

import struct
from pathlib import Path

_NAME = b"timer/icount"
_VERSION = 1
_HEAD = struct.pack(">BB", 5, len(_NAME)) + _NAME + struct.pack(">I", _VERSION)
"""A subsection of QEMU's migration stream: its kind, the length of its name, the name, its version."""
_FIELDS = struct.Struct(">qq")
"""Bias in ns, and count: vmstate_icount_timers in softmmu/icount.c and before."""


class UnknownState(ValueError):
    """Not a state in the form that we know."""


def restart(state: Path, shift: int) -> None:
    """Rewrite the file. `shift`: that of the machine which was frozen. Raises UnknownState, and leaves it as it was."""
    data = state.read_bytes()
    found = data.find(_HEAD)
    begin = found + len(_HEAD)
    if found < 0 or data.find(_HEAD, begin) >= 0 or begin + _FIELDS.size > len(data):
        raise UnknownState("the count of instructions was not found in the machine's state")
    bias, count = _FIELDS.unpack_from(data, begin)
    if count < 0:
        raise UnknownState("the count of instructions in the machine's state is negative")
    with state.open("r+b") as file:
        file.seek(begin)
        file.write(_FIELDS.pack(bias + (count << shift), 0))
