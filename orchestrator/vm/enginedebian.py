"""The guest's root file system from a Docker engine, where there is no mmdebstrap that this user could use.

The engine builds an image with the recipe's packages and libraries, gives out its files, and forgets it.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from orchestrator.engine import debian
from orchestrator.engine.client import connect, engine_errors
from orchestrator.errors import EnvironmentFailure
from orchestrator.system import resources
from orchestrator.text.progress import Progress
from orchestrator.vm.recipe import BEFORE, LIBRARIES, PREPARED, Recipe, preparation

if TYPE_CHECKING:
    from docker import APIClient

_FAILED = "the engine could not make the guest's root file system"
_LOG_TAIL = 20
_LIBRARIES = "dist-packages"
_SHARED = "base"
"""Folder of nodes/ that the programs of all kinds import from."""
_APT = ("apt.conf", "dpkg.cfg")


def write_archive(recipe: Recipe, libraries: Path, scratch: Path, output: IO[bytes], progress: Progress) -> None:
    """Write the root file system as a tar archive. Raises EnvironmentFailure; OSError when nobody takes it."""
    with closing(connect()) as client:
        base = debian.ensure(client, progress, scratch)
        progress(f"vm: {debian.RELEASE} with {len(recipe.packages)} packages from {base} by the engine (two minutes)")
        image = _build(client, _context(_dockerfile(recipe, base), recipe, libraries))
        try:
            with engine_errors(_FAILED):
                container = client.create_container(image, command=["true"])["Id"]
                try:
                    for piece in client.export(container):
                        output.write(piece)
                finally:
                    client.remove_container(container, force=True)
        finally:
            with suppress(EnvironmentFailure), engine_errors(_FAILED):
                client.remove_image(image, force=True)


def _dockerfile(recipe: Recipe, base: str) -> str:
    """The steps, in the order in which mmdebstrap makes them (userland.py)."""
    lines = [
        f"FROM {base}",
        "COPY apt.conf /etc/apt/apt.conf.d/90simctl",
        "COPY dpkg.cfg /etc/dpkg/dpkg.cfg.d/90simctl",
        "ENV INITRD=No DEBIAN_FRONTEND=noninteractive",
        f"RUN {' && '.join(line.format(root='') for line in BEFORE)} && apt-get update"
        f" && apt-get install --yes --no-install-recommends {' '.join(recipe.packages)} && rm -rf /var/lib/apt/lists/*",
        f"COPY {_LIBRARIES} {LIBRARIES}",
        f"RUN python3 -m compileall -q {LIBRARIES} || true",
    ]
    if recipe.preparations:
        lines.append(f"COPY {_SHARED} {PREPARED}/{_SHARED}")
    for kind, words in recipe.preparations.items():
        lines += [
            f"COPY {kind} {PREPARED}/{kind}",
            f"RUN {json.dumps(['sh', '-c', preparation(kind, words)])}",
        ]
    return "\n".join([*lines, f"RUN rm -rf {PREPARED}", ""])


def _build(client: APIClient, context: io.BytesIO) -> str:
    """The id of the image."""
    log: list[str] = []
    error = identity = ""
    with engine_errors(_FAILED):
        for line in client.build(fileobj=context, custom_context=True, rm=True, forcerm=True, decode=True):
            log += line.get("stream", "").splitlines()
            error = error or line.get("error", "")
            identity = line.get("aux", {}).get("ID", identity)
    if error:
        raise EnvironmentFailure(
            f"{_FAILED}: {error}",
            hint="is the package archive reachable from the engine?",
            detail=[line for line in log if line.strip()][-_LOG_TAIL:],
        )
    return identity


def _context(text: str, recipe: Recipe, libraries: Path) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
        for name, path in _sources(recipe, libraries):
            archive.add(path, name, filter=_anonymous)
    buffer.seek(0)
    return buffer


def _sources(recipe: Recipe, libraries: Path) -> Iterator[tuple[str, Path]]:
    yield _LIBRARIES, libraries
    for name in _APT:
        yield name, resources.NODES / "base" / name
    for folder in (_SHARED, *recipe.preparations):
        yield folder, resources.NODES / folder


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if "__pycache__" in entry.name.split("/"):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
