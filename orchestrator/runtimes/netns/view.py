"""What a node sees of this machine: its programs, read-only, and nothing that is somebody's. docs/security.md has the
user's side.

Everything is made in the node's own mount namespace by what will be its first process, which then gives up the right to
change it. Where simctl is root, the node's program is root too: these walls are what it stands behind.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from orchestrator.bounds import NODE_PROCESSES, NODE_TMP
from orchestrator.system import linux

HIDDEN = ("/run", "/var/lib/docker", "/var/lib/containerd", "/var/log", "/var/spool", "/boot")
"""Folders that a node sees empty: what daemons of this machine keep. In /run are the sockets of engines."""

HOMES = ("/root", "/home")
"""Hidden too, with the user's own home, unless the user trusts the file: then what it runs may lie there."""

_MASKED = (
    *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/krb5.keytab"),
    *("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sysrq-trigger"),
)
"""Files that it sees empty."""

_MASKED_FOLDERS = ("/etc/ssh", "/etc/ssl/private", "/etc/sudoers.d")

_READ_ONLY = ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs")
"""Parts of its own /proc that set what is the whole machine's. What a topology sets of a node's network is written from
outside."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_OWN = linux.MS_NOSUID | linux.MS_NODEV

_PID_MAX_IS_OWN = (6, 14)
"""The Linux from which on a pid namespace has a pid_max of its own; before, it is the machine's."""


def make_view(request: dict[str, Any]) -> None:
    """Own /tmp, /run, /dev, /proc, /etc/hosts, no resolver, the topology's volumes; of all other files those of the
    machine that no one needs to hide, and none of them can be written. Raises OSError, ValueError."""
    kept = [(path, os.open(path, os.O_PATH)) for path in request["keep"] if Path(path).exists()]
    volumes = [(volume, os.open(volume["source"], os.O_PATH)) for volume in request["volumes"]]
    devices = [(f"/dev/{name}", os.open(f"/dev/{name}", os.O_PATH)) for name in _DEVICES if Path("/dev", name).exists()]
    linux.set_mounts("/", linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID, recursive=True)
    linux.mount("simctl", "/tmp", "tmpfs", _OWN, f"mode=1777,size={NODE_TMP.limit}")
    hidden = {Path(folder).resolve() for folder in (*HIDDEN, *request["hidden"])}
    for folder in sorted(hidden):
        if folder.is_dir() and not folder.is_relative_to("/tmp"):
            linux.mount("simctl", str(folder), "tmpfs", _OWN, "mode=755,size=1m")
    _make_devices(devices)
    _replace("/etc/hosts", request["hosts"])
    _replace("/etc/resolv.conf", "# simctl: a lab has no name server; /etc/hosts has every name\n")
    for path, fd in kept:  # an interpreter, a checkout or a cache below what is hidden must stay visible
        Path(path).mkdir(parents=True, exist_ok=True)
        linux.mount(f"/proc/self/fd/{fd}", path, flags=linux.MS_BIND)
    for volume, fd in volumes:
        _bind_volume(volume, fd)
    for fd in [fd for _, fd in kept + volumes + devices]:
        os.close(fd)
    own_proc = False
    with contextlib.suppress(OSError):  # refused in containers that mask /proc: the machine's shows instead
        linux.mount("proc", "/proc", "proc", _OWN | linux.MS_NOEXEC)
        own_proc = True
    if own_proc:
        _bound_processes()
    _mask()


def _make_devices(devices: list[tuple[str, int]]) -> None:
    linux.mount("simctl", "/dev", "tmpfs", linux.MS_NOSUID, "mode=755,size=1m")
    for path, fd in devices:
        Path(path).touch()
        linux.mount(f"/proc/self/fd/{fd}", path, flags=linux.MS_BIND)
        linux.set_mounts(path, 0, clear=linux.MOUNT_ATTR_RDONLY)
    for name, target in _LINKS.items():
        Path("/dev", name).symlink_to(target)
    Path("/dev/shm").mkdir()
    linux.mount("simctl", "/dev/shm", "tmpfs", _OWN, f"mode=1777,size={NODE_TMP.limit}")


def _bound_processes() -> None:
    """Before /proc/sys is read-only."""
    version = os.uname().release.split(".")
    if tuple(int(part) for part in version[:2] if part.isdigit()) >= _PID_MAX_IS_OWN:
        Path("/proc/sys/kernel/pid_max").write_text(str(NODE_PROCESSES.limit))


def _mask() -> None:
    for path in _READ_ONLY:
        if Path(path).exists():
            linux.mount(path, path, flags=linux.MS_BIND | linux.MS_REC)
            linux.set_mounts(path, linux.MOUNT_ATTR_RDONLY)
    for path in _MASKED:
        if Path(path).exists():
            linux.mount("/dev/null", path, flags=linux.MS_BIND)
    for path in _MASKED_FOLDERS:
        if Path(path).is_dir():
            linux.mount("simctl", path, "tmpfs", _OWN | linux.MS_RDONLY, "mode=755,size=4k")


def _replace(path: str, text: str) -> None:
    """Show `text` at `path` to this node only, by a bind mount of a file that is already unlinked."""
    if not Path(path).exists():
        return
    source = Path("/tmp/.simctl")
    source.write_text(text)
    linux.mount(str(source), path, flags=linux.MS_BIND)
    source.unlink()


def _bind_volume(volume: dict[str, Any], fd: int) -> None:
    target = Path(volume["target"])
    if not target.exists():
        raise ValueError(f"the volume's target {target} does not exist on this machine; under netns nothing is created")
    source = f"/proc/self/fd/{fd}"
    linux.mount(source, str(target), flags=linux.MS_BIND)
    if not volume["read_only"]:
        linux.set_mounts(str(target), 0, clear=linux.MOUNT_ATTR_RDONLY)
