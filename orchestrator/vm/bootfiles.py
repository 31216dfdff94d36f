"""What QEMU loads before there is a root file system: the initramfs, written here, in the kernel's own format.

It holds busybox, the kernel modules that the root file system needs, and the project's code, which the guest takes
along into its memory. Format: "newc" cpio, Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

PROJECT = "/opt/simctl"
"""Where the guest has the project's code."""

_TRAILER = "TRAILER!!!"

_INIT = f"""#!/bin/busybox sh
# The first program of the guest: finds its root file system and becomes the init of that.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
for module in $($b cat /modules/order); do $b insmod /modules/$module.ko; done
for disk in /sys/block/pmem*; do
    [ "$($b cat $disk/ro)" = 1 ] && root=/dev/${{disk##*/}} || exchange=/dev/${{disk##*/}}
done
$b mount -t ext4 -o ro $root /lower
$b mount -t tmpfs -o mode=755 upper /upper
$b mkdir /upper/files /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /new
$b mkdir -p /new{PROJECT}
$b cp -r /project/. /new{PROJECT}/
$b ln -s $exchange /dev/exchange
for folder in dev proc sys; do $b mount --move /$folder /new/$folder; done
exec $b switch_root /new /bin/sh {PROJECT}/orchestrator/run/virtual/inside/init.sh
"""


def initramfs(image: Path, project: Sequence[tuple[str, bytes]], target: Path) -> None:
    """Write the initramfs: `image` has busybox and modules/, `project` is names and contents of the code."""
    modules = (image / "modules" / "order").read_text().split()
    folders = ["bin", "dev", "proc", "sys", "modules", "lower", "upper", "new"]
    with target.open("wb") as file:
        entries = [
            *((name, stat.S_IFDIR | 0o755, b"") for name in folders),
            ("bin/busybox", stat.S_IFREG | 0o755, (image / "busybox").read_bytes()),
            ("init", stat.S_IFREG | 0o755, _INIT.encode()),
            ("modules/order", stat.S_IFREG | 0o644, "\n".join(modules).encode()),
            *((f"modules/{m}.ko", stat.S_IFREG | 0o644, (image / "modules" / f"{m}.ko").read_bytes()) for m in modules),
            *((name, stat.S_IFDIR | 0o755, b"") for name in _folders(f"project/{name}" for name, _ in project)),
            *((f"project/{name}", stat.S_IFREG | 0o644, content) for name, content in project),
            (_TRAILER, 0, b""),
        ]
        for number, (name, mode, content) in enumerate(entries, 1):
            file.write(_entry(name, number, mode, content))


def _folders(names: Iterator[str]) -> list[str]:
    """Every folder that the names stand in, parents first."""
    return sorted({parent.as_posix() for name in names for parent in Path(name).parents} - {"."})


def _entry(name: str, number: int, mode: int, content: bytes) -> bytes:
    """One file: 13 numbers of 8 hexadecimal digits, name and content each filled up to 4 bytes."""
    raw = name.encode() + b"\0"
    #         inode   mode  uid gid links time size          device     rdev  length    check
    numbers = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0]
    head = b"070701" + b"".join(b"%08X" % value for value in numbers) + raw
    return _filled(head) + _filled(content)


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
