"""The snapshot: a guest that has booted, has imported our code, and stands still, waiting for an order.

    ram.img     its memory, sparse; runs map it and keep what they change to themselves
    state       everything else of the machine
    initramfs   what it booted from, the project's code included

It belongs to one image, one state of the code and one QEMU, and is made again in seconds when any of them changes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from orchestrator import resources
from orchestrator.topology.kinds import Kind
from orchestrator.vm import bootfiles, cache
from orchestrator.vm.emulator import Emulator
from orchestrator.vm.exchange import Exchange
from orchestrator.vm.image import ensure_image
from orchestrator.vm.machine import INITRAMFS, MEMORY, RAM, STATE, Machine, find_qemu

_SPACE = MEMORY
_KEPT = 3
"""Snapshots: a developer goes back and forth between a few states of the code."""
_NOT_CODE = ("__pycache__", ".pyc", "_bundled")


def ensure_snapshot(kinds: Mapping[str, Kind], progress: cache.Progress) -> Machine:
    """A machine that can be thawed; makes what is missing. Raises EnvironmentFailure."""
    qemu = find_qemu()
    image = ensure_image(kinds, progress)
    project = project_files()
    name = f"snapshot-{_key(qemu, image, project)}"

    def make(folder: Path) -> None:
        _make(Machine(qemu, image, folder), project, progress)

    home = cache.make_once(name, make, space=_SPACE, progress=progress)
    cache.touch(home)
    for old in cache.entries("snapshot")[_KEPT:]:
        cache.remove(old)
    return Machine(qemu, image, home)


def _make(machine: Machine, project: list[tuple[str, Path]], progress: cache.Progress) -> None:
    began = time.monotonic()
    progress("vm: no snapshot with this code yet: booting a guest (half a minute)")
    bootfiles.initramfs(machine.image, project, machine.home / INITRAMFS)
    with (machine.home / RAM).open("wb") as ram:
        ram.truncate(MEMORY)
    exchange = Exchange.create()
    try:
        with Emulator(machine, exchange, fresh=True, progress=progress) as emulator:
            emulator.run()
            emulator.freeze(machine.home / STATE)
    finally:
        exchange.close()
    progress(f"vm: snapshot made in {time.monotonic() - began:.0f} s")


def project_files() -> list[tuple[str, Path]]:
    """The project's code as the guest gets it: name and path, sorted."""
    package = Path(__file__).resolve().parents[1]
    return [
        (f"{folder.name}/{path.relative_to(folder).as_posix()}", path)
        for folder in (package, resources.NODES)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.endswith(_NOT_CODE) for part in path.relative_to(folder).parts)
    ]


def _key(qemu: str, image: Path, project: list[tuple[str, Path]]) -> str:
    """12 hexadecimal digits that change with everything that the snapshot depends on."""
    program = Path(qemu).resolve().stat()
    digest = hashlib.sha256(f"{image.name}\0{qemu}\0{program.st_size}\0{program.st_mtime_ns}".encode())
    for name, path in project:
        digest.update(f"\n{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()[:12]
