"""The Debian that the base image stands on: debian:bookworm-slim, or, where no registry answers, one made here.

debootstrap unpacks a minimal Debian from the package archive, checks its signatures, and the engine imports the result.
That takes about 40 s, once: the image stays as simctl/debian:bookworm-ARCH.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.engine.client import engine_errors
from orchestrator.errors import EnvironmentFailure

if TYPE_CHECKING:
    from docker import APIClient

RELEASE = "bookworm"
_UPSTREAM = "debian", f"{RELEASE}-slim"
_REPOSITORY = "simctl/debian"

_PULL_SILENCE = 15.0
"""Seconds without a word from the registry after which it counts as out of reach."""

_MIRROR = "http://deb.debian.org/debian"
_PLAIN_MIRROR = re.compile(r"http://[A-Za-z0-9.-]+(:\d+)?/debian/?")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LOG_TAIL = 15

# The engine's names of processor architectures and Debian's, where they differ.
_DEBIAN_ARCHITECTURES = {"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}

# Left out of the image: caches, and documentation (its folders stay; some packages fail without them).
_LEFT_OUT = (
    "./dev/*", "./proc/*", "./sys/*", "./tmp/*", "./run/*", "./var/cache/apt/*", "./var/lib/apt/lists/*",
    "./var/log/*", "./usr/share/doc/*", "./usr/share/man/*/*", "./usr/share/locale/*", "./usr/share/info/*",
    "./etc/hostname", "./etc/resolv.conf", "./debootstrap",
)  # fmt: skip


def ensure(client: APIClient, progress: Callable[[str], None], cache: Path) -> str:
    """The reference of a Debian image that the engine has; pulls or makes it first where needed.

    `cache` is a folder in which to unpack; the caller makes sure that no other simctl does so at the same time.
    Raises EnvironmentFailure.
    """
    with engine_errors("cannot ask the engine for its architecture"):
        engine_architecture = client.version()["Arch"]
    architecture = _DEBIAN_ARCHITECTURES.get(engine_architecture, engine_architecture)
    tag = f"{RELEASE}-{architecture}"
    reference = f"{_REPOSITORY}:{tag}"
    if _has(client, reference):
        return reference
    if _has(client, ":".join(_UPSTREAM)) or _pull(client, progress):
        with engine_errors(f"cannot tag the image {reference}"):
            client.tag(":".join(_UPSTREAM), _REPOSITORY, tag)
        return reference
    _check_tools()
    with _bootstrapped(cache / "debian", architecture, progress) as root:
        _import(client, root, tag, progress)
    return reference


def _has(client: APIClient, reference: str) -> bool:
    with engine_errors("cannot list images"):
        return bool(client.images(reference))


def _pull(client: APIClient, progress: Callable[[str], None]) -> bool:
    """Whether the registry gave us its Debian."""
    name = ":".join(_UPSTREAM)
    progress(f"image {name}: asking the registry")
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def pull() -> None:
        try:
            for line in client.pull(*_UPSTREAM, stream=True, decode=True):
                said.put(line.get("error", ""))
        except Exception as error:
            said.put(str(getattr(error, "explanation", None) or error))
        said.put(None)

    # A thread, because the library gives a pull no time limit. One that hangs is left behind; it ends with us.
    threading.Thread(target=pull, name="image-pull", daemon=True).start()
    began = time.monotonic()
    try:
        while (error := said.get(timeout=_PULL_SILENCE)) is not None:
            if error:
                progress(f"image {name}: no registry ({error})")
                return False
    except queue.Empty:
        progress(f"image {name}: no registry (silent for {_PULL_SILENCE:.0f} s)")
        return False
    progress(f"image {name}: pulled in {time.monotonic() - began:.0f} s")
    return True


# -- making one ------------------------------------------------------------------------------------------------------


def _check_tools() -> None:
    needed = {"debootstrap": "debootstrap", "gpgv": "gpgv", "unshare": "util-linux", "setpriv": "util-linux"}
    packages = {package for tool, package in needed.items() if shutil.which(tool) is None}
    if not _KEYRING.exists():
        packages.add("debian-archive-keyring")
    why = "no registry can be reached, so the base image must be made here"
    if packages:
        raise EnvironmentFailure(
            f"{why}, and that needs {', '.join(sorted(packages))}",
            hint=f"apt-get install {' '.join(sorted(packages))}, or use --runtime netns",
        )
    if os.geteuid() != 0:
        raise EnvironmentFailure(
            f"{why}, and debootstrap needs root", hint="sudo simctl images build, or use --runtime netns"
        )


@contextmanager
def _bootstrapped(root: Path, architecture: str, progress: Callable[[str], None]) -> Iterator[Path]:
    """A minimal Debian in a folder, which is gone afterwards, whatever happens."""
    mirror = apt_mirror()
    progress(f"{RELEASE}: debootstrap from {mirror} (about half a minute)")
    began = time.monotonic()
    shutil.rmtree(root, ignore_errors=True)  # of a simctl that was killed
    try:
        _debootstrap(root, architecture, mirror)
        progress(f"{RELEASE}: unpacked in {time.monotonic() - began:.0f} s")
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _debootstrap(root: Path, architecture: str, mirror: str) -> None:
    # In mount and pid namespaces of its own, and bound to our life: however we end, no process and no mount of it
    # stays, and removing the folder can never reach through a mount.
    command = [
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--mount", "--pid", "--fork", "--kill-child",
        "debootstrap", "--variant=minbase", "--force-check-gpg", f"--keyring={_KEYRING}", f"--arch={architecture}",
        RELEASE, str(root), mirror,
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as child:
        try:
            output, _ = child.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise
    if child.returncode != 0:
        raise EnvironmentFailure(
            f"debootstrap of {RELEASE} from {mirror} failed (exit status {child.returncode})",
            hint="is the package archive reachable from this machine?",
            detail=[line for line in output.splitlines() if line.strip()][-_LOG_TAIL:],
        )


def _import(client: APIClient, root: Path, tag: str, progress: Callable[[str], None]) -> None:
    began = time.monotonic()
    excluded = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
    command = ["tar", "--create", "--numeric-owner", *excluded, f"--directory={root}", "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        try:
            with engine_errors(f"cannot import {_REPOSITORY}:{tag}"):
                client.import_image_from_stream(child.stdout, repository=_REPOSITORY, tag=tag, changes=['CMD ["sh"]'])
        except BaseException:
            child.kill()
            raise
    progress(f"image {_REPOSITORY}:{tag}: imported in {time.monotonic() - began:.0f} s")


# -- the package archive ---------------------------------------------------------------------------------------------


def apt_mirror() -> str:
    """The package archive that this machine uses."""
    return plain_mirror(_apt_sources())


def plain_mirror(sources: Iterable[str]) -> str:
    """The first Debian archive, by plain http, that these apt sources (contents of files) name; else Debian's own.

    By http, because a minimal Debian has no certificates; the signatures are what counts.
    """
    for text in sources:
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if words and words[0] in ("deb", "URIs:"):
                for word in words[1:]:
                    if _PLAIN_MIRROR.fullmatch(word):
                        return word.rstrip("/")
    return _MIRROR


def _apt_sources(folder: Path = Path("/etc/apt")) -> Iterator[str]:
    """The contents of the files that name Debian's own archive; those of other publishers are none of our business."""
    for path in (folder / "sources.list", folder / "sources.list.d" / "debian.sources"):
        with suppress(OSError):
            yield path.read_text(errors="replace")
