"""The record of every standing lab of this user: who keeps it and how to reach it. Cleanup goes by what stands here.

    HOME/labs/NAME/    a lab's folder; making it takes the name
        starter        pid and start time of the `simctl up` that made it
        lab.json       the record, once the lab is up
        control        the daemon's socket
        daemon.log, logs/, ...

HOME is the environment variable SIMCTL_STATE where it is set; else /run/simctl for root, and $XDG_RUNTIME_DIR/simctl or
simctl-UID in the folder for temporary files for anyone else. All of them end with the machine, as labs do.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.runtimes.ability import StandingNode
from orchestrator.system.linux import process_start_time
from orchestrator.text.files import read_regular
from orchestrator.text.record import record
from orchestrator.text.suggest import did_you_mean

STATE = "SIMCTL_STATE"
"""Environment variable: where the records are, for those who want them elsewhere (a test, a second set of labs)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_SOCKET_PATH = 107
"""Bytes that the address of a Unix socket may have (sun_path in unix(7), less its end)."""

_STARTER = re.compile(r"([0-9]{1,10}) ([0-9]{1,20})")
_PARTIAL = re.compile(r"\.partial-([0-9]{1,10})-([0-9]{1,20})")
"""Name of a folder that is to become a lab's. Both say the pid and start time of who makes it."""

_LARGEST = 64 << 20
"""Bytes of a record."""

_DOWN_TIMEOUT = 20.0


@record
class LabRecord:
    """One standing lab. A pid together with its start time names a process for ever."""

    name: str
    topology: str
    runtime: str
    daemon_pid: int
    daemon_start: int
    folder: str
    nodes: Mapping[str, Mapping[str, Any]]
    """Node -> {pid, kind, addresses}; of a container also its id."""
    rootless: bool = False
    reachable: bool = True
    """Whether this user may enter the namespaces of the nodes; otherwise their engine has to do it."""

    @property
    def alive(self) -> bool:
        return process_start_time(self.daemon_pid) == self.daemon_start

    @property
    def socket(self) -> Path:
        return Path(self.folder) / "control"


def home() -> Path:
    """This user's folder of standing labs. Raises EnvironmentFailure."""
    folder = _base() / "labs"
    hint = f"set {STATE} to a folder of your own"
    for each in (folder.parent, folder):
        try:
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
            owner = each.lstat().st_uid
        except OSError as error:
            raise EnvironmentFailure(f"cannot make the folder {each}: {error.strerror}", hint=hint) from None
        if owner != os.geteuid():
            raise EnvironmentFailure(f"{each} belongs to another user", hint=hint)
    return folder


def _base() -> Path:
    if chosen := os.environ.get(STATE):
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/run/simctl")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime, "simctl")
    return Path(tempfile.gettempdir(), f"simctl-{os.geteuid()}")


def reserve(name: str, *, exact: bool) -> Path:
    """Take a name by making the lab's folder. When it is taken: an error if `exact`, else NAME-2, NAME-3, ...

    Raises InputError for a name that is taken or cannot be one, EnvironmentFailure for a folder that cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be the name of a lab",
            hint="up to 40 letters, digits, `.`, `_` and `-`, a letter or a digit first",
        )
    remove_dead()
    for candidate in [name] if exact else [name, *(f"{name}-{number}" for number in range(2, 1000))]:
        folder = home() / candidate
        if len(os.fsencode(folder / "control")) > _SOCKET_PATH:
            raise EnvironmentFailure(
                f"the path {folder} is too long for a socket in it", hint=f"set {STATE} to a folder with a short name"
            )
        try:
            if not _taken(folder):
                continue
        except OSError as error:
            raise EnvironmentFailure(f"cannot write into {folder.parent}: {error.strerror}") from None
        return folder
    raise InputError(f"a lab named {name!r} is up already", hint=f"simctl down {name}, or choose another --name")


def _taken(folder: Path) -> bool:
    """Make the folder, with its starter in it from the first moment; False when it is there. Raises OSError."""
    pid, start = os.getpid(), process_start_time(os.getpid())
    partial = folder.with_name(f".partial-{pid}-{start}")
    try:
        partial.mkdir(mode=0o700, exist_ok=True)
        (partial / "starter").write_text(f"{pid} {start}")
        partial.rename(folder)  # onto a folder with something in it that is refused
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def save(record: LabRecord) -> None:
    """Written whole or not at all, so that nobody reads half a record."""
    path = Path(record.folder) / "lab.json"
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(asdict(record)))
    partial.rename(path)


def labs() -> list[LabRecord]:
    """All standing labs, oldest first; records whose daemon is gone are included."""
    found = [(folder, _record(folder)) for folder in _folders()]
    records = [(folder.stat().st_mtime, record) for folder, record in found if record is not None]
    return [record for _, record in sorted(records, key=lambda pair: pair[0])]


def _folders() -> list[Path]:
    return [path for path in home().iterdir() if path.is_dir() and not path.is_symlink()]


def _record(folder: Path) -> LabRecord | None:
    try:
        return LabRecord(**json.loads(read_regular(folder / "lab.json", _LARGEST)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def find(name: str | None, *, choose: str = "--lab NAME") -> LabRecord:
    """The lab of that name; without a name the only one. Raises InputError that lists what there is.

    `choose` is how the calling verb takes the name.
    """
    living = [record for record in labs() if record.alive]
    if name is not None:
        match = next((record for record in living if record.name == name), None)
        if match is not None:
            return match
        names = [record.name for record in living]
        guess = did_you_mean(name, names)
        raise InputError(
            f"no lab named {name!r} is up",
            hint=f"did you mean {guess}?" if guess else f"up are: {', '.join(names) or 'none; see simctl up'}",
        )
    if not living:
        raise InputError("no lab is up", hint="bring one up: simctl up compose/client-server.yaml")
    if len(living) > 1:
        raise InputError("several labs are up", hint=f"say which with {choose}: {', '.join(r.name for r in living)}")
    return living[0]


def node_of(record: LabRecord, node: str) -> Mapping[str, Any]:
    """One node of a lab. Raises InputError that lists them."""
    if node not in record.nodes:
        guess = did_you_mean(node, list(record.nodes))
        raise InputError(
            f"lab {record.name} has no node {node!r}",
            hint=f"did you mean {guess}?" if guess else f"its nodes: {', '.join(record.nodes)}",
        )
    return record.nodes[node]


def standing_node(record: LabRecord, node: str) -> StandingNode:
    """One node as its runtime wants it. Raises InputError."""
    facts = node_of(record, node)
    return StandingNode(int(facts["pid"]), facts.get("container"), record.rootless)


def ask(record: LabRecord, do: str, **fields: Any) -> dict[str, Any]:
    """Send a request to the daemon of a lab. Raises EnvironmentFailure."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)
            connection.connect(str(record.socket))
            connection.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile("rb").readline())
    except (OSError, ValueError) as error:
        raise EnvironmentFailure(
            f"the daemon of lab {record.name} does not answer: {error}", hint=f"simctl down {record.name}"
        ) from None
    if "error" in answer:
        raise EnvironmentFailure(str(answer["error"]))
    return answer


def take_down(record: LabRecord) -> None:
    """End the daemon, and with it everything that it holds; then remove the record."""
    if record.alive:
        os.kill(record.daemon_pid, signal.SIGTERM)
        deadline = time.monotonic() + _DOWN_TIMEOUT
        while record.alive and time.monotonic() < deadline:
            time.sleep(0.01)
        if record.alive:
            os.kill(record.daemon_pid, signal.SIGKILL)
    shutil.rmtree(record.folder, ignore_errors=True)


def remove_dead() -> list[str]:
    """Remove the folders of labs whose daemon was killed; their nodes died with it. Returns their names."""
    dead = [folder for folder in _folders() if _is_dead(folder)]
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in dead]


def _is_dead(folder: Path) -> bool:
    """Without a record the lab is being started, as long as the one who starts it lives. A folder that does not say who
    that is stands for nothing."""
    record = _record(folder)
    if record is not None:
        return not record.alive
    starter = _PARTIAL.fullmatch(folder.name) or _starter(folder)
    return starter is None or process_start_time(int(starter[1])) != int(starter[2])


def _starter(folder: Path) -> re.Match[str] | None:
    try:
        return _STARTER.fullmatch(read_regular(folder / "starter", _LARGEST).decode(errors="replace"))
    except OSError:
        return None
