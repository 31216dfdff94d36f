"""What a Compose file may ask of the machine that reads it, and what may be a name.

A scenario comes from anywhere, so a topology gets only what cannot reach out of its lab; `--allow-exec`
(`allow_host_access`) lifts the limits marked so below.
"""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.text.record import record
from orchestrator.text.suggest import suggestion
from orchestrator.topology.compose.cursor import Cursor

HARMLESS_CAPABILITIES = (
    "KILL",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SYS_PTRACE",
)
"""They act on the node's own namespaces and processes only. Others need `--allow-exec`."""

CAPABILITIES = (
    *("ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN"),
    *("DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE"),
    *("LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST"),
    *("NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT"),
    *("SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME"),
    *("SYS_TTY_CONFIG", "WAKE_ALARM"),
)
"""capabilities(7) without the prefix CAP_, and ALL."""

RESERVED_NAMES = frozenset(
    ("that", "only", "unless", "where", "at", "always", "never", "eventually", "for", "for_", "over", "start", "end")
)
"""The scenario language's own keys of an expectation, and the run's two moments."""

MAX_REPLICAS = 1000

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_DIGITS_AND_DOTS = re.compile(r"[0-9.]+")
_SYSCTL = re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_-]+)+")
_IN_NODE_ONLY = ("/proc", "/sys", "/dev")
_ALLOW = "if you trust this file, run it with --allow-exec"


@record
class Rules:
    """What every service is read by."""

    folder: Path
    kinds: tuple[str, ...]
    allow_host_access: bool


def host_problem(name: str, what: str, longest: int = 253) -> str | None:
    """Why this cannot be a host name in /etc/hosts; None when it can. `what` says what it would name."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith("."):
        return (
            f"{name[:60]!r} cannot name {what}: use letters, digits, `_`, `-` and `.`, beginning with a letter or digit"
        )
    if len(name) > longest:
        return f"{name[:20]}... cannot name {what}: at most {longest} characters"
    if _DIGITS_AND_DOTS.fullmatch(name):
        return f"{name} cannot name {what}: programs would read it as an address"
    if name.lower() == "localhost":
        return f"{name} cannot name {what}: it is the loopback of every node"
    return None


def node_problem(name: str, what: str) -> str | None:
    """As `host_problem`, of a service or a node, whose names are keys in a scenario and names of files too."""
    if name in RESERVED_NAMES:
        return f"{name} cannot name {what}: the word has a meaning of its own in a scenario's expectations"
    return host_problem(name, what, longest=63)


def check_capability(cursor: Cursor, rules: Rules) -> str | None:
    """The capability without its prefix; None after a problem."""
    name = cursor.word("the name of a capability")
    if name is None:
        return None
    name = name.upper().removeprefix("CAP_")
    if name not in CAPABILITIES:
        cursor.problem(f"{name[:60]} is no capability of Linux", hint=suggestion(name, HARMLESS_CAPABILITIES))
        return None
    if name not in HARMLESS_CAPABILITIES and not rules.allow_host_access:
        allowed = ", ".join(HARMLESS_CAPABILITIES)
        cursor.problem(f"the capability {name} reaches out of the lab; allowed are {allowed}", hint=_ALLOW)
        return None
    return name


def check_sysctl(name: str, cursor: Cursor, rules: Rules) -> bool:
    """Whether the node may set it."""
    if not _SYSCTL.fullmatch(name):
        cursor.problem(f"{name[:60]!r} is no sysctl: expected a name such as net.ipv4.tcp_fin_timeout")
        return False
    if not name.startswith("net.") and not rules.allow_host_access:
        cursor.problem(f"the sysctl {name} is not one of the node's network (net.*)", hint=_ALLOW)
        return False
    return True


def check_path(text: str, cursor: Cursor, rules: Rules, *, required: bool = True) -> Path | None:
    """The absolute path with symbolic links followed; must lie inside the file's folder unless allowed.

    None after a problem, or when it does not exist and is not `required`.
    """
    try:
        path = (rules.folder / Path(text).expanduser()).resolve()
        there = path.exists()
        inside = path.is_relative_to(rules.folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, a loop of links, an unknown ~user
        cursor.problem(f"the path {text[:60]!r} cannot be read: {error}")
        return None
    if not inside and not rules.allow_host_access:
        cursor.problem(f"{text[:60]} lies outside the Compose file's folder", hint=f"move it below the file; {_ALLOW}")
        return None
    if there:
        return path
    if required:
        cursor.problem(f"no such file or folder: {text[:200]}", hint=f"relative paths start in {rules.folder}")
    return None


def target_problem(target: str) -> str | None:
    """Why nothing can be mounted there; None when it can."""
    parts = target.split("/")
    if not target.startswith("/") or ".." in parts:
        return f"expected an absolute path in the node, not {target[:60]!r}"
    normal = "/" + "/".join(part for part in parts if part not in ("", "."))
    if normal == "/" or any(normal == top or normal.startswith(top + "/") for top in _IN_NODE_ONLY):
        return f"nothing can be mounted on {target[:60]}: the node needs its own"
    return None
