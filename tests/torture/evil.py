"""Tries whatever a program of a node should not be able to do on the machine, and prints what it could do, as JSON.
`python3 evil.py CANARY ...`: files and folders of the machine that it must not write; `secret:FILE`: nor read."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path


def tries(what: Callable[[], object]) -> bool:
    try:
        what()
    except (OSError, ValueError):
        return False
    return True


def written(path: str) -> bool:
    """Whether a file there can be made, or written to."""
    target = Path(path)
    if target.is_dir():
        made = target / f"simctl-evil-{os.getpid()}"
        return tries(made.touch) and tries(made.unlink)
    return tries(lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)))


def read(path: str) -> bool:
    return tries(lambda: 1 / len(Path(path).read_bytes()) if Path(path).stat().st_size else _nothing())


def _nothing() -> None:
    raise ValueError("empty")


def opened(path: str) -> bool:
    return tries(lambda: os.close(os.open(path, os.O_RDONLY)))


def connected(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as own:
        return tries(lambda: own.connect(path))


WRITE = (
    *("/", "/etc", "/etc/cron.d", "/usr/local/bin", "/usr/bin", "/var/tmp", "/var/lib", "/opt", "/srv", "/mnt"),
    *("/etc/passwd", "/etc/hosts.allow", "/etc/ld.so.cache", "/bin/sh"),
    *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches"),
    *("/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/kernel/uevent_helper"),
    *("/sys/fs/cgroup", "/sys/kernel/tracing", "/sys/kernel/tracing/instances", "/sys/fs/cgroup/pids"),
)
READ = ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/proc/kcore", "/dev/kmsg")
DEVICES = ("/dev/kvm", "/dev/vda", "/dev/sda", "/dev/mem", "/dev/loop0", "/dev/loop-control", "/dev/fuse", "/dev/port")
SOCKETS = ("/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/systemd/private")
MEMORY = 0x51C71
"""Key of a piece of System V memory of the machine."""
OWN = ("/tmp", "/dev/shm", "/dev/null", "/run")

KEY = b"simctl-test"
"""Name of a key of the user's, in the kernel's keyring of that user."""

_libc = ctypes.CDLL(None, use_errno=True)
KEYCTL, IO_URING_SETUP = {"x86_64": (250, 425), "aarch64": (219, 425)}[os.uname().machine]
USER_KEYRING = -4


def calls() -> dict[str, bool]:
    """System calls that would change the machine."""
    return {
        "mount": _libc.mount(b"none", b"/mnt", b"tmpfs", 0, None) == 0,
        "umount": _libc.umount2(b"/tmp", 2) == 0,
        "remount": _libc.mount(b"none", b"/", None, 0x20 | 0x1000, None) == 0,
        "mknod": tries(lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0))),
        "sethostname": _libc.sethostname(b"evil", 4) == 0,
        "chroot": tries(lambda: os.chroot("/tmp")),
        "raise the priority": tries(lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)),
        "set the clock": tries(lambda: __import__("time").clock_settime(0, 1)),
        "see processes of the machine": len([path for path in Path("/proc").iterdir() if path.name.isdigit()]) > 20,
        "reach the network": tries(lambda: socket.create_connection(("192.0.2.1", 80), 0.2).close()),
        "see memory of others": _libc.shmget(MEMORY, 4096, 0) >= 0,
        "find a key of the user": _libc.syscall(KEYCTL, 10, USER_KEYRING, b"user", KEY, 0) >= 0,
        "read the kernel's log": _libc.klogctl(10, None, 0) >= 0,
        "be root of a user namespace": _libc.unshare(0x10000000) == 0,
        "talk to the hypervisor": tries(lambda: socket.socket(socket.AF_VSOCK).close()),
        "reach the kernel's cryptography": tries(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close()),
        "queue calls for the kernel": _libc.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(256)) >= 0,
    }


def main() -> None:
    canaries = [word for word in sys.argv[1:] if not word.startswith("secret:")]
    secrets = [word.removeprefix("secret:") for word in sys.argv[1:] if word.startswith("secret:")]
    found = {
        "writes": [path for path in (*WRITE, *canaries) if Path(path).exists() and written(path)],
        "reads": [path for path in (*READ, *secrets) if Path(path).exists() and read(path)],
        "opens": [path for path in DEVICES if opened(path)],
        "connects": [path for path in SOCKETS if connected(path)],
        "does": [name for name, could in calls().items() if could],
        "lacks": [path for path in OWN if not written(path)],
    }
    print("EVIL", json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
