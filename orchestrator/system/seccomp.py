"""System calls that no program of a node needs, and that would reach what belongs to no namespace: keyrings are a
user's, also where that is root; BPF programs, performance counters and the kernel's log are the machine's; sockets of
some families are in no network namespace. And those by which a program becomes root of a user namespace of its own,
with all the kernel's code behind that.

A filter of seccomp(2), as a program of classic BPF over struct seccomp_data. Kernels since 5.11 remember which calls it
always allows, so that those cost nothing. libseccomp would take a package of the distribution for some thirty words.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import NamedTuple

_CLONE_NEWUSER = 0x10000000

_FORBIDDEN = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "request_key": (249, 218),
    "syslog": (103, 116),
    "userfaultfd": (323, 282),
}
"""Name -> its number on x86_64 and on aarch64 (asm/unistd.h). The profile of container engines forbids them too."""

_WITH_FLAGS = {"clone": (56, 220), "unshare": (272, 97)}
"""Allowed but for CLONE_NEWUSER in their first argument."""

_SOCKET = (41, 198)
_FAMILIES = (1, 2, 10, 16, 17)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET (linux/socket.h): those that network namespaces hold, and that
programs here use. AF_VSOCK reaches the hypervisor and its other guests from every namespace, AF_ALG much code."""

_CLONE3 = (435, 435)
"""Its flags lie in memory, which no filter reads: as if the kernel did not know it, so that libraries take clone."""


class _Machine(NamedTuple):
    audit: int
    """AUDIT_ARCH_* of linux/audit.h."""
    column: int
    """Of the tables above."""
    most: int
    """Greater numbers are of another ABI (x32)."""


_MACHINES = {"x86_64": _Machine(0xC000003E, 0, 0x3FFFFFFF), "aarch64": _Machine(0xC00000B7, 1, 0xFFFFFFFF)}

_LOAD, _EQUAL, _GREATER, _SET, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
"""BPF_LD|BPF_W|BPF_ABS; BPF_JMP with BPF_JEQ, BPF_JGT, BPF_JSET, and a constant; BPF_RET|BPF_K (linux/bpf_common.h)."""

_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in struct seccomp_data; of the argument the lower half, on a little-endian machine."""

_ALLOW, _FAIL = 0x7FFF0000, 0x00050000

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def forbid_system_calls(*, user_namespaces: bool = False) -> bool:
    """From now on this process and all that come from it get EPERM for these calls; `user_namespaces`: but not for
    making one. It must have given up new privileges. Raises OSError. False: on this kind of processor there is no
    filter."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return False
    code = _program(machine, user_namespaces=user_namespaces)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(code) // 8, code)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl(PR_SET_SECCOMP): {os.strerror(ctypes.get_errno())}")
    return True


def _program(machine: _Machine, *, user_namespaces: bool) -> bytes:
    """Its answers are its last instructions, to which the checks before them jump."""
    checks: list[tuple[int, int, str]] = [(_GREATER, machine.most, "refuse")]
    checks += [(_EQUAL, numbers[machine.column], "refuse") for numbers in _FORBIDDEN.values()]
    checks += [(_EQUAL, _CLONE3[machine.column], "unknown")]
    if not user_namespaces:
        checks += [(_EQUAL, numbers[machine.column], "flags") for numbers in _WITH_FLAGS.values()]
    checks.append((_EQUAL, _SOCKET[machine.column], "family"))
    # Where each answer stands, counted from behind the last check.
    answers = {"allow": 0, "flags": 1, "refuse": 3, "unknown": 4, "family": 6}
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),  # a call of another architecture has other numbers
        (_LOAD, 0, 0, _NUMBER),
    ]
    for number, (jump, value, answer) in enumerate(checks):
        lines.append((jump, len(checks) - 1 - number + answers[answer], 0, value))
    lines += [
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_SET, 0, 2, _CLONE_NEWUSER),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        *((_EQUAL, len(_FAMILIES) - number, 0, family) for number, family in enumerate(_FAMILIES)),
        (_RETURN, 0, 0, _FAIL | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
