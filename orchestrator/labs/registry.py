"""The record of every standing lab of this user: who keeps it and how to reach it. Cleanup goes by what stands here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.linux import process_start_time
from orchestrator.suggest import did_you_mean

_DOWN_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class LabRecord:
    """One standing lab. A pid together with its start time names a process for ever."""

    name: str
    topology: str
    runtime: str
    keeper_pid: int
    keeper_start: int
    folder: str
    nodes: Mapping[str, Mapping[str, Any]]
    """Node -> {pid, kind, addresses}."""
    rootless: bool = False

    @property
    def alive(self) -> bool:
        return process_start_time(self.keeper_pid) == self.keeper_start

    @property
    def socket(self) -> Path:
        return Path(self.folder) / "control"


def home() -> Path:
    """This user's folder of standing labs; it lives as long as the machine is up."""
    if os.geteuid() == 0:
        base = Path("/run/simctl")
    else:
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or f"{tempfile.gettempdir()}/simctl-{os.geteuid()}") / "simctl"
    folder = base / "labs"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise EnvironmentFailure(f"cannot make {folder}: {error.strerror}") from None
    if folder.stat().st_uid != os.geteuid():
        raise EnvironmentFailure(
            f"{folder} belongs to another user", hint="set XDG_RUNTIME_DIR to a folder of your own"
        )
    return folder


def save(record: LabRecord) -> None:
    """Written whole or not at all, so that nobody reads half a record."""
    path = Path(record.folder) / "lab.json"
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(asdict(record)))
    partial.rename(path)


def labs() -> list[LabRecord]:
    """All standing labs, oldest first; records whose keeper is gone are included."""
    records: list[LabRecord] = []
    for path in sorted(home().glob("*/lab.json"), key=lambda path: path.stat().st_mtime):
        try:
            records.append(LabRecord(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError):
            continue
    return records


def find(name: str | None) -> LabRecord:
    """The lab of that name; without a name the only one. Raises InputError that lists what there is."""
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
        raise InputError("several labs are up", hint=f"choose with --lab: {', '.join(r.name for r in living)}")
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


def ask(record: LabRecord, do: str, **fields: Any) -> dict[str, Any]:
    """Ask the keeper of a lab. Raises EnvironmentFailure."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(60)
            connection.connect(str(record.socket))
            connection.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(connection.makefile("rb").readline())
    except (OSError, ValueError) as error:
        raise EnvironmentFailure(
            f"the keeper of lab {record.name} does not answer: {error}", hint=f"simctl down {record.name}"
        ) from None
    if "error" in answer:
        raise EnvironmentFailure(str(answer["error"]))
    return answer


def take_down(record: LabRecord) -> None:
    """End the keeper, and with it everything that it holds; then remove the record."""
    if record.alive:
        os.kill(record.keeper_pid, signal.SIGTERM)
        deadline = time.monotonic() + _DOWN_TIMEOUT
        while record.alive and time.monotonic() < deadline:
            time.sleep(0.01)
        if record.alive:
            os.kill(record.keeper_pid, signal.SIGKILL)
    shutil.rmtree(record.folder, ignore_errors=True)


def remove_dead() -> list[str]:
    """Remove the records of labs whose keeper was killed; their nodes died with it. Returns their names."""
    removed: list[str] = []
    for record in labs():
        if not record.alive:
            shutil.rmtree(record.folder, ignore_errors=True)
            removed.append(record.name)
    return removed
