"""The snapshot: a guest that has booted, has imported our code, and stands still, waiting for an order.

    ram.img     its memory, sparse; runs map it and keep what they change to themselves
    state       everything else of the machine
    initramfs   what it booted from, the project's code included

It belongs to one image, one state of the code and one QEMU, and is made again in seconds when any of them changes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.kinds.registry import Kind
from orchestrator.system import resources
from orchestrator.text.progress import Progress
from orchestrator.vm import bootfiles, cache
from orchestrator.vm.emulator import Emulator
from orchestrator.vm.exchange import Exchange
from orchestrator.vm.image import ROOTFS, ensure_image
from orchestrator.vm.machine import INITRAMFS, MEMORY, RAM, STATE, Machine, find_qemu

_SPACE = MEMORY
_KEPT = 3
"""Snapshots of a checkout: a developer goes back and forth between a few states of the code."""
_KEPT_BYTES = 8 << 30
"""Of all checkouts together, also of those that are gone. One takes 0.45 GB."""
Project = Sequence[tuple[str, bytes]]

_NOT_CODE = ("__pycache__", ".pyc", "_bundled")


def ensure_snapshot(kinds: Mapping[str, Kind], progress: Progress) -> Machine:
    """A machine that can be thawed; makes what is missing. Raises EnvironmentFailure."""
    qemu = find_qemu()
    image = ensure_image(kinds, progress)
    project = project_files()
    name = f"snapshot-{_key(qemu, image.path, project)}"

    def make(folder: Path) -> None:
        _make(Machine(qemu, image.path, folder), project, progress)

    home = cache.obtain(name, make, space=_SPACE, progress=progress)
    cache.keep_newest("snapshot", each=_KEPT, total=_KEPT_BYTES)
    return Machine(qemu, image.path, home.path, held=(image, home))


def _make(machine: Machine, project: Project, progress: Progress) -> None:
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


def project_files() -> Project:
    """The project's code as the guest gets it: name and content, sorted.

    Read once: who edits while a snapshot is made must not get one that claims to be what it is not.
    """
    package = Path(__file__).resolve().parents[1]
    return [
        (f"{folder.name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        for folder in (package, resources.NODES)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.endswith(_NOT_CODE) for part in path.relative_to(folder).parts)
    ]


def _key(qemu: str, image: Path, project: Project) -> str:
    """12 hexadecimal digits that change with everything that the snapshot depends on."""
    digest = hashlib.sha256(f"{image.name}\0{qemu}".encode())
    # An image that was removed and made again has its name, and its files in other blocks: a guest that has read some
    # would find nonsense in the others.
    for file in (Path(qemu).resolve(), image / ROOTFS):
        info = file.stat()
        digest.update(f"\0{info.st_size}\0{info.st_mtime_ns}".encode())
    for name, content in project:
        digest.update(f"\n{name}\0{hashlib.sha256(content).hexdigest()}".encode())
    return digest.hexdigest()[:12]
