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
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import SimctlError
from orchestrator.observe import abilities as kernelprobe
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
    ("tcpdump", "tcpdump", "packets of a node cannot be looked at by hand"),
    ("nsenter", "util-linux", "the commands that reports print for looking by hand do not work"),
)
"""Command, Debian package, what its lack costs."""

RIGHTS = "CAP_NET_ADMIN: see root and user namespaces above"
_OTHER_KERNEL = "a kernel with CONFIG"

_RUNS_BYTES = 200 << 20
_CACHE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One ability. `ok` is None when it could not be found out; `costs` and `get` are one line each."""

    name: str
    ok: bool | None
    found: str
    costs: str
    get: str


def checks(runs: Path = Path("runs")) -> list[Check]:
    """All checks, most important first. Leaves nothing behind. Never raises.

    Takes well under a second; a second more where the probe of docker has to be a container.
    """
    root = os.geteuid() == 0
    users_trial = kernelprobe.try_user_namespaces() if linux() else None
    lab_trial = kernelprobe.try_lab(user_namespace=not root) if linux() else None
    from orchestrator.runtimes.docker.doctor import docker_checks
    from orchestrator.vm.doctor import vm_checks

    kinds = _kinds()
    users = users_trial.outcome() if users_trial else {}
    lab = lab_trial.outcome() if lab_trial else {}
    docker = docker_checks(lab)
    return [
        _linux(),
        _root(root, lab),
        _user_namespaces(users),
        *_kernel(root, lab),
        *docker,
        *vm_checks(),
        _mmdebstrap(),
        *kinds,
        *(_tool(*tool) for tool in _TOOLS),
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
    netns = ok["wiring"] and ok["socket tables"]  # tried in the way in which netns would go about it
    docker = ok["docker engine"] and ok["docker probe"]
    vm = all(ok[name] for name in ("qemu", "vm image", "vm memory"))
    return [name for name, works in (("netns", netns), ("docker", docker), ("vm", vm)) if works]


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


def refusal(outcome: kernelprobe.Outcome, ability: str) -> str | None:
    """Why an ability does not work; for one that could not be tried, what went wrong before it."""
    if ability in outcome:
        return outcome[ability]
    return outcome.get("child") or outcome.get("namespaces") or "this is not Linux"


def _mmdebstrap() -> Check:
    where = shutil.which("mmdebstrap", path=_search_path())
    return Check(
        "mmdebstrap",
        where is not None,
        where or "not found",
        "where no registry can be reached, images cannot be built; no virtual machine but by an engine",
        install("mmdebstrap"),
    )


def _kinds() -> list[Check]:
    """Which node kinds this machine can run as they are: one check for these, and one for each package that lacks."""
    from orchestrator.kinds.registry import load_kinds, missing

    try:
        kinds = load_kinds()
    except SimctlError as error:
        return [Check("node kinds", False, str(error), "no scenario can run", "restore the folder nodes/")]
    lacking: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        for need in missing(kind):
            lacking.setdefault(need.package, []).append(name)
    able = sorted(set(kinds) - {name for names in lacking.values() for name in names})
    found = f"{len(able)} of {len(kinds)} run under netns: {', '.join(able)}"
    return [
        Check("node kinds", bool(able), found, "no scenario runs under netns", "see below"),
        *(
            Check(f"{package}", False, "not here", f"no {', '.join(names)} under netns", install(package))
            for package, names in sorted(lacking.items())
        ),
    ]


def _tool(command: str, package: str, costs: str) -> Check:
    where = shutil.which(command, path=_search_path())
    return Check(command, where is not None, where or "not found", costs, install(package))


def _search_path() -> str:
    """PATH, and where Debian keeps what an ordinary user's PATH lacks."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


def install(*packages: str) -> str:
    names = " ".join(packages)
    return f"sudo apt-get install {names}" if shutil.which("apt-get") else f"install what Debian calls {names}"


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
