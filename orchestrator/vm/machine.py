"""The virtual machine: QEMU's command line, in one place. A guest can only go on in the machine that it was frozen in.

-icount shift=0,sleep=off   time is counted in instructions, 1 ns each; idle time is skipped, not slept through
rr=record                   QEMU's threads take turns, so that runs are the same; see icount.py
-M pc, one processor        a second one hangs, and so does the machine `microvm`
-cpu qemu64                 has no RDRAND: every random number comes from what is in the snapshot
root on an NVDIMM           reading it is a copy in memory. Waiting for a disk would be idle time, and time would jump
no network device           nothing goes in or out but the exchange
pvpanic                     the doorbell: a write to it stops the machine in that very instruction, and tells the host
"""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.errors import EnvironmentFailure
from orchestrator.text.record import record
from orchestrator.vm import exchange, image
from orchestrator.vm.cache import Held

QEMU = "qemu-system-x86_64"
MEMORY = 1 << 30
"""Bytes of the guest. What it never touches costs nothing."""

INITRAMFS = "initramfs"
RAM = "ram.img"
STATE = "state"

_KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 oops=panic "  # a panic ends QEMU, and the console tells why
    "mitigations=off nopti audit=0 "  # nobody attacks the guest, and each instruction is time
    "norandmaps "  # a program that is executed again has its addresses again: QEMU has translated them already
    "clocksource=tsc tsc=reliable no_timer_check "
    "nowatchdog psi=0 "  # what wakes an idle guest is most of the cost of a long wait
    "cgroup_disable=memory transparent_hugepage=never net.ifnames=0"
)


def find_qemu() -> str:
    """The program's path. Raises EnvironmentFailure with what to install."""
    found = shutil.which(QEMU)
    if found is None:
        raise EnvironmentFailure(
            f"the runtime vm needs {QEMU}", hint="apt-get install qemu-system-x86, or use --runtime netns"
        )
    return found


@record
class Machine:
    """`image` has kernel and root file system, `home` the initramfs and the memory's file. Both are folders."""

    qemu: str
    image: Path
    home: Path
    shift: int = 0
    """An instruction takes 2**shift ns. A frozen machine may go on with another one."""
    held: tuple[Held, ...] = ()
    """What keeps the two folders from being removed."""

    def command(self, *, qmp: int, exchange_: int, console: Path, fresh: bool) -> list[str]:
        """The command line. `qmp`: our socket, inherited; `exchange_`: its file, inherited. The machine starts halted.

        `fresh`: it will boot, and its memory is written to the file; else it waits for the state of a frozen one, and
        what it writes to memory stays its own.
        """
        rootfs = self.image / image.ROOTFS
        return [
            self.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-S", "-no-reboot",
            "-machine", "pc,nvdimm=on,memory-backend=ram", "-cpu", "qemu64", "-smp", "1",
            "-accel", "tcg,thread=single",
            "-m", f"{MEMORY >> 20}M,slots=4,maxmem=8G",
            "-object", _file("ram", self.home / RAM, MEMORY, share=fresh),
            "-icount", f"shift={self.shift},sleep=off" + ("" if fresh else ",rr=record,rrfile=/dev/null"),
            "-rtc", "base=2024-01-01T00:00:00,clock=vm", "-seed", "1",
            "-action", "panic=pause",
            "-kernel", _plain(self.image / image.KERNEL), "-initrd", _plain(self.home / INITRAMFS),
            "-append", _KERNEL_ARGUMENTS,
            "-object", _file("root", rootfs, rootfs.stat().st_size, share=True) + ",readonly=on",
            "-device", "nvdimm,id=nvdimm0,memdev=root,unarmed=on",
            "-object", _file("exchange", Path(f"/proc/self/fd/{exchange_}"), exchange.SIZE, share=True),
            "-device", "nvdimm,id=nvdimm1,memdev=exchange",
            "-device", "pvpanic-pci",
            "-chardev", f"file,id=console,path={_quoted(console)}", "-device", "isa-serial,chardev=console",
            "-chardev", f"socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control",
            *([] if fresh else ["-incoming", "defer"]),
        ]  # fmt: skip


def _file(name: str, path: Path, size: int, *, share: bool) -> str:
    return f"memory-backend-file,id={name},mem-path={_quoted(path)},size={size},share={'on' if share else 'off'}"


def _quoted(path: Path) -> str:
    """In an option of several parts a comma is written twice."""
    return str(path).replace(",", ",,")


def _plain(path: Path) -> str:
    return str(path)
