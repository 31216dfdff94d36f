"""The guest's doorbell: QEMU's pvpanic device, as docs/specs/pvpanic.txt of QEMU describes it.

A write of 1 stops the machine in that very instruction, until the host lets it go on; a write of 2 only tells the host
that there is something to read. Nothing has to be waited for, so ringing costs no virtual time.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

_VENDOR, _DEVICE = "0x1b36", "0x0011"
_STOP, _TELL = 1, 2
_LENGTH = 16
"""Bytes of the device's memory; it begins a page."""


class Doorbell:
    """Maps the device's memory into this process."""

    def __init__(self, devices: Path = Path("/sys/bus/pci/devices")) -> None:
        device = next(path for path in sorted(devices.iterdir()) if _is_bell(path))
        (device / "enable").write_text("1")
        descriptor = os.open(device / "resource0", os.O_RDWR | os.O_SYNC | os.O_CLOEXEC)
        self._memory = mmap.mmap(descriptor, _LENGTH)
        os.close(descriptor)

    def stop(self) -> None:
        """Stop the machine. Returns when the host lets it go on, which may be another host in another year."""
        self._memory[0] = _STOP

    def tell(self) -> None:
        """Tell the host that there is progress to read, or that we are alive."""
        self._memory[0] = _TELL


def _is_bell(device: Path) -> bool:
    return (device / "vendor").read_text().strip() == _VENDOR and (device / "device").read_text().strip() == _DEVICE
