"""Thin typed wrappers of the Linux calls that Python 3.11 does not have. Each raises OSError as the os module does.

What is read from /proc here and in observe/sources/owner.py is read by hand, not by psutil. The probe does it between
two ticks, also in a container that has no such library, and needs what psutil does not show: inodes of sockets, and
starts of processes in clock ticks, which name a process for ever (create_time() is a time of day, which a set clock
moves).
Also, psutil finds children by reading every process of the machine: 4 ms among 130 of them, where
/proc/PID/task/TID/children takes 0.04 ms; to import it takes 22 ms.
"""

from __future__ import annotations

import ctypes
import math
import os
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_SETATTR = 442
"""Its number on every architecture: Linux 5.12."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_CAPBSET_DROP = 24
_PR_SET_MM, _PR_SET_MM_MAP = 35, 14
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_CAPABILITY_VERSION = 0x20080522
"""Two times effective, permitted, inheritable: of capabilities 0 to 31, and of the others."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sbrk.restype = ctypes.c_void_p

_shown: list[object] = []
"""Memory that /proc shows, see show_as()."""


def _check(result: int, what: str) -> None:
    if result != 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces: unshare(2)."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int = 0) -> None:
    """Move the calling thread into the namespace that `fd` holds: setns(2)."""
    _check(_libc.setns(fd, flags), "setns")


def mount(source: str, target: str, fstype: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2); the strings as mount(8) takes them."""

    def text(value: str | None) -> bytes | None:
        return None if value is None else os.fsencode(value)

    result = _libc.mount(text(source), text(target), text(fstype), ctypes.c_ulong(flags), text(data))
    _check(result, f"mount {source} on {target}")


def set_mounts(path: str, attributes: int, *, clear: int = 0, recursive: bool = False) -> None:
    """Set attributes of a mount, and of all below it if `recursive`, and clear others: mount_setattr(2)."""
    wanted = (ctypes.c_uint64 * 4)(attributes, clear, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    number, fd, length = ctypes.c_long(_MOUNT_SETATTR), ctypes.c_int(_AT_FDCWD), ctypes.c_size_t(32)
    result = _libc.syscall(number, fd, os.fsencode(path), ctypes.c_uint(flags), wanted, length)
    _check(result, f"mount_setattr {path}")


def sethostname(name: str) -> None:
    """Set the name of this UTS namespace: sethostname(2)."""
    raw = os.fsencode(name)
    _check(_libc.sethostname(raw, len(raw)), "sethostname")


def die_with_parent(signal: int) -> None:
    """Ask for `signal` when the thread that forked this process ends: prctl(PR_SET_PDEATHSIG).

    The parent may be gone already: compare os.getppid() with the expected pid after this call.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they can be waited for."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")


def forbid_new_privileges() -> None:
    """No program that this process or one that comes from it executes has more than what they have."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def limit_capabilities(keep: frozenset[int]) -> None:
    """Give up every other capability, this process and all that come from it, and forbid gaining any."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        if capability not in keep:
            _check(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl(PR_CAPBSET_DROP)")
    forbid_new_privileges()
    # A program that is executed has no more than what is bounded; one that is only forked has what we have.
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, sets), "capget")
    masks = [sum(1 << number - low for number in keep if low <= number < low + 32) for low in (0, 32)]
    for index in range(6):
        sets[index] &= masks[index // 3]
    _check(_libc.capset(header, sets), "capset")


_ALL_IDS = ["0", "0", "4294967295"]
_WIRING = (12, 19, 21)
"""CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN: capabilities(7)."""


def is_root_of_the_machine() -> bool:
    """Whether this process may enter and change what others run: root, not of a user namespace, not of a container."""
    if os.geteuid() != 0 or Path("/proc/self/uid_map").read_text().split() != _ALL_IDS:
        return False
    status = Path("/proc/self/status").read_text()
    effective = int(status.partition("CapEff:")[2].split()[0], 16)
    return all(effective >> capability & 1 for capability in _WIRING)


@contextmanager
def inside_netns(fd: int, home: int) -> Iterator[None]:
    """Do something in another network namespace, and come back to `home`.

    Sockets and /proc/net files that are opened inside stay there. Child processes that are started inside live there.
    """
    setns(fd, CLONE_NEWNET)
    try:
        yield
    finally:
        setns(home, CLONE_NEWNET)


def enter_new_user_namespace(flags: int = 0) -> None:
    """Become root of a new user namespace, with further namespaces of it by `flags`.

    The process must have one thread. Raises OSError where the administrator forbids user namespaces.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | flags)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def process_start_time(pid: int) -> int | None:
    """Clock ticks after boot at which the process started, None when there is no such process.

    A pid together with this number names a process for ever: pids are reused, the pair is not. Source: proc(5), stat.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def keep_freed_memory() -> None:
    """Have malloc keep what is freed, up to 64 MB, for a process that needs large buffers again and again.

    To give 300 kB back to the kernel and take them anew costs 0.3 ms of page faults, ten times the copy that they are
    for. Without effect where the C library has no mallopt(3), as musl.
    """
    if hasattr(_libc, "mallopt"):
        for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            _libc.mallopt(parameter, _KEPT_BYTES)


class _MemoryMap(ctypes.Structure):
    """struct prctl_mm_map (linux/prctl.h)."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in (
            "start_code", "end_code", "start_data", "end_data", "start_brk", "brk", "start_stack",
            "arg_start", "arg_end", "env_start", "env_end", "auxv",
        )),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    )  # fmt: skip


def show_as(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Have /proc, and with it ps, ss and netstat, show this process as if it had executed `argv`.

    Its name, /proc/PID/cmdline and /proc/PID/environ. Raises OSError where the kernel has no PR_SET_MM_MAP.
    """
    _check(_libc.prctl(_PR_SET_NAME, os.fsencode(os.path.basename(argv[0])), 0, 0, 0), "prctl(PR_SET_NAME)")  # noqa: PTH119
    arguments = b"".join(os.fsencode(word) + b"\0" for word in argv)
    variables = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in environment.items())
    shown = ctypes.create_string_buffer(arguments + variables)
    _shown.append(shown)
    begin = ctypes.addressof(shown)
    middle = begin + len(arguments)
    fields = [0] * 4 + [int(word) for word in Path("/proc/self/stat").read_text().rpartition(")")[2].split()[1:]]
    memory = _MemoryMap(
        start_code=fields[26], end_code=fields[27], start_data=fields[45], end_data=fields[46], start_brk=fields[47],
        start_stack=fields[28], arg_start=begin, arg_end=middle, env_start=middle, env_end=middle + len(variables),
        exe_fd=0xFFFFFFFF,
    )  # fmt: skip
    memory.brk = _libc.sbrk(0)
    result = _libc.prctl(_PR_SET_MM, _PR_SET_MM_MAP, ctypes.byref(memory), ctypes.sizeof(memory), 0)
    _check(result, "prctl(PR_SET_MM_MAP)")


def descendants(pid: int) -> list[int]:
    """Pids of all living descendants of a process, nearest first; the process itself is not among them."""
    found: list[int] = []
    queue = [pid]
    while queue:
        children = _children(queue.pop(0))
        found += children
        queue += children
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - the observer is here at every tick
            with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:  # noqa: PTH123
                children += map(int, file.readall().split())
    except OSError:  # it ended while we looked
        pass
    return children


def readable(descriptors: Sequence[int], seconds: float | None = None) -> list[int]:
    """Those that can be read without waiting, or are at their end, as soon as there is one; none when so long was
    waited. None: for ever.

    select(2) knows descriptors below 1024 only, and a lab of many nodes has more."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poll.poll(None if seconds is None else math.ceil(seconds * 1000))]
