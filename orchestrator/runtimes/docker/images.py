"""The images of node kinds: what they are called, which are missing, how they are built.

    simctl/debian:bookworm-ARCH   debian:bookworm-slim, or our own (debian.py)
    simctl/base:HASH              nodes/base on that
    simctl/KIND:HASH              nodes/KIND on simctl/base
    simctl/probe:HASH             nodes/probe and what the probe imports of simctl, on simctl/base

HASH is of everything that goes in: the folder and, for a kind, the base's hash. So an image is built again exactly when
its sources changed, and two checkouts on one machine do not take each other's. `:latest` is the one built last, for
people who use `docker compose`. The label `simctl.content` holds the hash in full.

A kind's Dockerfile begins with `ARG BASE=simctl/base` and `FROM ${BASE}`: the base is passed by its hash. Wheels that
node.yaml names lie beside it as `wheels`, ready for `COPY`: pip is here, with this machine's index and certificates.
"""

from __future__ import annotations

import hashlib
import io
import os
import queue
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.engine import debian
from orchestrator.engine.client import connect, engine_errors
from orchestrator.errors import EnvironmentFailure
from orchestrator.kinds import wheels
from orchestrator.kinds.registry import kind as kind_of
from orchestrator.kinds.registry import kind_names
from orchestrator.runtimes.docker.probesources import probe_sources
from orchestrator.system import resources, usercache
from orchestrator.text.progress import Progress
from orchestrator.text.record import record

if TYPE_CHECKING:
    from docker import APIClient

CONTENT_LABEL = "simctl.content"
PROBE = "probe"
"""No node kind, but named like one here: the image of the probe (probe.py)."""
_BASE = "base"
_AT_A_TIME = 2
"""Builds at a time. Most of a build is apt, which waits for the network as much as for a processor."""

_LOG_TAIL = 15
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The engine's architecture -> what wheels call it."""
_NOT_CONTENT = ("__pycache__", ".pyc")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class KindImages:
    """As ability.Images: those of the node kinds, and of the probe."""

    def names(self) -> list[str]:
        return [*kind_names(), PROBE]

    def missing(self, names: Iterable[str]) -> set[str]:
        return {reference.removeprefix("simctl/").partition(":")[0] for reference in missing_images(names)}

    def build(self, names: Iterable[str], progress: Progress, *, force: bool) -> dict[str, str]:
        chosen = [name if name == PROBE else kind_of(name).kind for name in names]
        return ensure_images(chosen, progress=progress, client=connect(), force=force)


@record
class Image:
    """An image that can be built: the folder of its Dockerfile, and the hash of all that goes in.

    `added`: what goes in beside the folder, name -> file.
    """

    name: str
    folder: Path
    content: str
    added: Mapping[str, Path] = field(default_factory=dict)

    @property
    def repository(self) -> str:
        return f"simctl/{self.name}"

    @property
    def reference(self) -> str:
        return f"{self.repository}:{self.content[:12]}"


def base_image(nodes: Path = resources.NODES) -> Image:
    return Image(_BASE, nodes / _BASE, _content(nodes / _BASE, debian.RELEASE))


def kind_images(kinds: Iterable[str], nodes: Path = resources.NODES) -> dict[str, Image]:
    """The images of node kinds, by kind, each once. Raises EnvironmentFailure for a kind without a Dockerfile."""
    base = base_image(nodes)
    images = {}
    for kind in dict.fromkeys(kinds):
        folder = nodes / kind
        if not (folder / "Dockerfile").is_file():
            raise EnvironmentFailure(f"node kind {kind} has no image: there is no {folder / 'Dockerfile'}")
        added = probe_sources() if kind == PROBE else {}
        images[kind] = Image(kind, folder, _content(folder, base.content, added), added)
    return images


def references(kinds: Iterable[str], *, nodes: Path = resources.NODES) -> dict[str, str]:
    """Kind -> image reference, for DockerRuntime. Says nothing about whether the images are there."""
    return {kind: image.reference for kind, image in kind_images(kinds, nodes).items()}


def missing_images(
    kinds: Iterable[str], *, client: APIClient | None = None, nodes: Path = resources.NODES
) -> list[str]:
    """The references, of those that these kinds need, that the engine does not have. Connects unless given a client."""
    there = _there(client or connect())
    return [image.reference for image in kind_images(kinds, nodes).values() if image.reference not in there]


def any_probe_image(client: APIClient) -> str | None:
    """An image of the probe: that of this version where it is there, else the one built last, else None."""
    there = _there(client)
    candidates = [*references([PROBE]).values(), f"simctl/{PROBE}:latest"]
    return next((reference for reference in candidates if reference in there), None)


def ensure_images(
    kinds: Iterable[str],
    *,
    progress: Progress,
    client: APIClient,
    nodes: Path = resources.NODES,
    force: bool = False,
) -> dict[str, str]:
    """Build what is missing (`force`: everything); returns kind -> reference. Raises EnvironmentFailure."""
    wanted = references(kinds, nodes=nodes)
    if force or missing_images(wanted, client=client, nodes=nodes):
        return build(wanted, progress=progress, client=client, nodes=nodes, force=force)
    return wanted


def build(
    kinds: Iterable[str],
    *,
    progress: Progress,
    client: APIClient,
    nodes: Path = resources.NODES,
    force: bool = False,
) -> dict[str, str]:
    """Build the base and the kinds' images where they are missing (`force`: anyway); returns kind -> reference.

    One simctl builds at a time. Raises EnvironmentFailure, with the end of the build's log where there is one.
    """
    base, images = base_image(nodes), kind_images(kinds, nodes)
    with usercache.locked(_cache() / "images.lock", "images: waiting for another simctl that builds them", progress):
        there = set() if force else _there(client)
        if base.reference not in there:
            _build(client, base, progress, {"DEBIAN": debian.ensure(client, progress, _cache())}, force=force)
        todo = [image for image in images.values() if image.reference not in there]
        arguments = {"BASE": base.reference}
        _in_parallel([partial(_build, client, image, progress, arguments, force=force) for image in todo])
        for image in [base, *images.values()]:
            _tag_latest(client, image)
    return {kind: image.reference for kind, image in images.items()}


def _there(client: APIClient) -> set[str]:
    with engine_errors("cannot list images"):
        found = client.images(filters={"label": CONTENT_LABEL})
    return {tag for image in found for tag in image["RepoTags"] or []}


def _build(client: APIClient, image: Image, progress: Progress, arguments: dict[str, str], *, force: bool) -> None:
    progress(f"image {image.reference}: building")
    began = time.monotonic()
    log: list[str] = []
    error = ""
    with engine_errors(f"cannot build the image {image.reference}"), _wheels(client, image) as fetched:
        for line in client.build(
            fileobj=_context(image.folder, {**image.added, **fetched}),
            custom_context=True,
            tag=image.reference,
            labels={CONTENT_LABEL: image.content},
            buildargs=arguments | {name: os.environ[name] for name in _PROXIES if name in os.environ},
            nocache=force,
            rm=True,
            forcerm=True,
            decode=True,
        ):
            log += line.get("stream", "").splitlines()
            error = error or line.get("error", "")
    if error:
        raise EnvironmentFailure(
            f"cannot build the image {image.reference}: {error}",
            hint=f"look at {image.folder / 'Dockerfile'}",
            detail=[line for line in log if line.strip()][-_LOG_TAIL:],
        )
    progress(f"image {image.reference}: built in {time.monotonic() - began:.0f} s")


@contextmanager
def _wheels(client: APIClient, image: Image) -> Iterator[Mapping[str, Path]]:
    """Name in the build context -> file, of the wheels that the kind needs, for the engine's architecture."""
    file = image.folder / "node.yaml"
    wanted = {need.wheel for need in kind_of(image.name, image.folder.parent).needs} if file.exists() else set()
    if requirements := sorted(wheel for wheel in wanted if wheel is not None):
        machine = _MACHINES.get(client.version()["Arch"], "x86_64")
        with tempfile.TemporaryDirectory(prefix="simctl-wheels-") as folder:
            wheels.install(requirements, Path(folder), what=" ".join(requirements), machine=machine)
            yield {f"wheels/{name}": path for name, path in _files(Path(folder), {})}
    else:
        yield {}


def _tag_latest(client: APIClient, image: Image) -> None:
    with engine_errors(f"cannot tag the image {image.reference}"):
        client.tag(image.reference, image.repository, "latest", force=True)


def _files(folder: Path, added: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """What belongs to an image's sources: name in the context and path, sorted by name, what is added at the end."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.endswith(_NOT_CONTENT) for part in name.split("/")):
            yield name, path
    yield from added.items()


def _content(folder: Path, below: str, added: Mapping[str, Path] | None = None) -> str:
    """Hash of an image's files (name, content, executable bit) and of what the image stands on."""
    digest = hashlib.sha256(below.encode())
    for name, path in _files(folder, added or {}):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"\n{name}\0{path.stat().st_mode & 0o100:o}\0{content}".encode())
    return digest.hexdigest()


def _context(folder: Path, added: Mapping[str, Path]) -> io.BytesIO:
    """The files as a build context: the same bytes on every machine, whoever owns the files, whatever their dates."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, path in _files(folder, added):
            data = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def _in_parallel(tasks: list[Callable[[], None]]) -> None:
    """Run the tasks, some at a time; the first error wins. Ctrl-C does not wait for them: the engine ends a build
    whose client is gone, and daemon threads end with us."""
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)

    def work() -> None:
        while True:
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                task()
                ended.put(None)
            except BaseException as error:
                ended.put(error)

    for _ in range(min(_AT_A_TIME, len(tasks))):
        threading.Thread(target=work, name="image-build", daemon=True).start()
    errors = [error for error in (ended.get() for _ in tasks) if error is not None]
    if errors:
        raise errors[0]


def _cache() -> Path:
    return usercache.make_folder(usercache.location())
