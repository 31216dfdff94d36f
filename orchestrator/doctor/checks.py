"""What this machine can do: each ability tried, what its lack costs, and how to get it.

Checks are data; printing them is the CLI's. Nothing here raises on a strange machine: what cannot be found out is a
finding too.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.observe import abilities as kernelprobe
from orchestrator.runtimes.check import RIGHTS, Check, refusal, tool
from orchestrator.runtimes.registry import abilities
from orchestrator.system import usercache

_SYSCTLS = {
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
    "user.max_user_namespaces": ("0", "15000"),
}
"""Setting -> the value that forbids user namespaces, and one that allows them. Sources: Debian's kernel patch,
Ubuntu 23.10 and newer, user_namespaces(7)."""

_TOOLS = (
    ("ss", "iproute2", "runs keep no `ss -tanope` of their nodes as evidence"),
    ("netstat", "net-tools", "runs keep no `netstat -tanp` of their nodes as evidence"),
    ("nft", "nftables", "packets cannot be dropped or refused on their way, nor impaired"),
    ("tcpdump", "tcpdump", "packets of a node cannot be looked at by hand"),
    ("nsenter", "util-linux", "the commands that reports print for looking by hand do not work"),
)
"""Command, Debian package, what its lack costs."""

_OTHER_KERNEL = "a kernel with CONFIG"

_RUNS_BYTES = 200 << 20
_CACHE_BYTES = 1 << 30


def checks(runs: Path = Path("runs")) -> list[Check]:
    """All checks, most important first. Leaves nothing behind. Never raises.

    Takes well under a second; a second more where the probe of docker has to be a container.
    """
    root = os.geteuid() == 0
    users_trial = kernelprobe.try_user_namespaces() if linux() else None
    lab_trial = kernelprobe.try_lab(user_namespace=not root) if linux() else None
    users = users_trial.outcome() if users_trial else {}
    lab = lab_trial.outcome() if lab_trial else {}
    return [
        _linux(),
        _root(root, lab),
        _user_namespaces(users),
        *_kernel(root, lab),
        *(check for ability in abilities() for check in ability.checks(lab)),
        *(tool(*each) for each in _TOOLS),
        _disk("disk for runs", runs, _RUNS_BYTES, "runs cannot be recorded", "free space, or choose another --output"),
        _disk(
            "disk for cache",
            usercache.location(),
            _CACHE_BYTES,
            "images cannot be built",
            "free space, or set XDG_CACHE_HOME",
        ),
    ]


def runtimes(found: Sequence[Check]) -> list[str]:
    """The runtimes on which the main job can run here."""
    ok = {check.name: bool(check.ok) for check in found}
    return [ability.name for ability in abilities() if all(ok[name] for name in ability.needs)]


def linux() -> bool:
    """Whether this is Linux at all."""
    return sys.platform == "linux"


def _linux() -> Check:
    return Check(
        "linux",
        linux(),
        f"{platform.system()} {platform.release()}",
        "nothing runs: connections are watched through Linux namespaces and netlink",
        "a Linux machine, or a virtual machine with Linux",
    )


def _root(root: bool, lab: kernelprobe.Outcome) -> Check:
    refused = refusal(lab, "namespaces")
    found, get = "yes", "no chroot, and CAP_SYS_ADMIN and CAP_NET_ADMIN"
    if not root:
        found, get = f"no, user id {os.geteuid()}", "sudo simctl ..."
    elif refused:
        found = f"user id 0, but namespaces are refused: {refused}"
    elif not _of_the_machine():
        found, get = "of a user namespace only", "run outside of it"
    costs = "netns through user namespaces, without kernel tracing; docker with its probe in a container"
    return Check("root", found == "yes", found, costs, get)


def _of_the_machine() -> bool:
    """Whether root here is root of the machine: its user namespace maps every id to itself."""
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def _user_namespaces(outcome: kernelprobe.Outcome) -> Check:
    refused = refusal(outcome, "namespaces")
    masked = outcome.get("proc")
    found = "work" if masked is None else f"work, but without a /proc of their own ({masked})"
    return Check(
        "user namespaces",
        refused is None,
        found if refused is None else f"refused: {refused}",
        "simctl needs root for every run",
        userns_advice(_read_sysctls()),
    )


def userns_advice(settings: Mapping[str, str]) -> str:
    """How to allow user namespaces, from the settings that exist here and their values."""
    forbidding = [name for name, (forbids, _) in _SYSCTLS.items() if settings.get(name) == forbids]
    if forbidding:
        return "sudo sysctl -w " + " ".join(f"{name}={_SYSCTLS[name][1]}" for name in forbidding)
    return "no setting forbids them: it may be a container's seccomp profile, or a chroot"


def _read_sysctls() -> dict[str, str]:
    values = {}
    for name in _SYSCTLS:
        try:
            values[name] = Path("/proc/sys", *name.split(".")).read_text().strip()
        except OSError:  # the setting of another distribution
            continue
    return values


def _kernel(root: bool, lab: kernelprobe.Outcome) -> list[Check]:
    tracing = refusal(lab, "tracing") if root else "needs root"
    return [
        _ability(lab, "wiring", "bridge, veth pair, pinned settings", "no lab can be wired", RIGHTS),
        _ability(lab, "socket tables", "netlink inet_diag answers", "nothing can be observed", RIGHTS),
        Check(
            "tracing",
            tracing is None,
            "tracefs and its socket events" if tracing is None else tracing,
            "states shorter than the sampling period can be missed",
            "root, and a kernel with tracefs that is not locked down",
        ),
        _ability(lab, "netem", "delay and loss", "no delay, loss or reordering", f"{_OTHER_KERNEL}_NET_SCH_NETEM"),
        _ability(lab, "capture", "frames can be kept", "no --capture", "CAP_NET_RAW, and a kernel with CONFIG_PACKET"),
        _ability(lab, "nftables", "packet filter", "packets cannot be dropped", f"{_OTHER_KERNEL}_NF_TABLES"),
    ]


def _ability(lab: kernelprobe.Outcome, name: str, works: str, costs: str, get: str) -> Check:
    reason = refusal(lab, name)
    if reason is not None and name not in lab:
        return Check(name, None, f"not tried: {reason}", costs, get)
    return Check(name, reason is None, works if reason is None else reason, costs, get)


def _disk(name: str, folder: Path, least: int, costs: str, get: str) -> Check:
    """Room in the folder, or where it would be made; `least` in bytes."""
    place = folder.absolute()
    while not os.access(place, os.F_OK) and place != place.parent:
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Check(name, None, f"{place}: {error.strerror}", costs, get)
    writable = os.access(place, os.W_OK | os.X_OK)
    found = f"{free / 1e9:.1f} GB free in {folder}" if writable else f"{place} is not writable"
    return Check(name, writable and free >= least, found, costs, get)
