"""The Debian that the base image stands on: debian:bookworm-slim, or, where no registry answers, one made here.

mmdebstrap makes a minimal Debian from the package archive, checks its signatures, and the engine imports the result.
That takes about half a minute, once: the image stays as simctl/debian:bookworm-ARCH.
"""

from __future__ import annotations

import os
import pwd
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.engine.client import engine_errors
from orchestrator.errors import EnvironmentFailure
from orchestrator.text.progress import Progress

if TYPE_CHECKING:
    from docker import APIClient

RELEASE = "bookworm"
_UPSTREAM = "debian", f"{RELEASE}-slim"
_REPOSITORY = "simctl/debian"

_PULL_SILENCE = 15.0
"""Seconds without a word from the registry after which it counts as out of reach."""

_PLAIN_MIRROR = re.compile(r"http://[A-Za-z0-9.-]+(:\d+)?/debian/?")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LOG_TAIL = 15
_PIECE = 1 << 20

# The engine's names of processor architectures and Debian's, where they differ.
_DEBIAN_ARCHITECTURES = {"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}

# Left out of the image: documentation (its folders stay; some packages fail without them). Caches mmdebstrap removes.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*/*", "/usr/share/locale/*", "/usr/share/info/*")
_OF_THIS_MACHINE = 'rm -rf "$1"/var/log/* "$1"/etc/hostname "$1"/etc/resolv.conf'
"""For a shell; `$1` is the root file system."""


def ensure(client: APIClient, progress: Progress, cache: Path) -> str:
    """The reference of a Debian image that the engine has; pulls or makes it first where needed.

    `cache` is a folder in which to make it; the caller makes sure that no other simctl does so at the same time.
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
    with _bootstrapped(cache / "debian", architecture, progress) as archive:
        _import(client, archive, tag, progress)
    return reference


def _has(client: APIClient, reference: str) -> bool:
    with engine_errors("cannot list images"):
        return bool(client.images(reference))


def _pull(client: APIClient, progress: Progress) -> bool:
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
    why = "no registry can be reached, so the base image must be made here"
    if (lacking := why_not(f"{why}, and that")) is not None:
        raise EnvironmentFailure(lacking.message, hint=f"{lacking.hint}; or use --runtime netns")


@contextmanager
def _bootstrapped(folder: Path, architecture: str, progress: Progress) -> Iterator[Path]:
    """A minimal Debian as a tar archive in a folder of its own, which is gone afterwards, whatever happens."""
    mirror = apt_mirror()
    progress(f"{RELEASE}: mmdebstrap from {mirror or 'the package archive'} (about half a minute)")
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)  # of a simctl that was killed
    try:
        folder.mkdir(parents=True)
        _mmdebstrap(folder, architecture, mirror)
        progress(f"{RELEASE}: made in {time.monotonic() - began:.0f} s")
        yield folder / _ARCHIVE
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_ARCHIVE = "debian.tar"


def _mmdebstrap(folder: Path, architecture: str, mirror: str | None) -> None:
    # Bound to our life. As root also in mount and pid namespaces of its own: however we end, no process and no mount of
    # it stays, and removing the folder can never reach through a mount. Without root mmdebstrap makes those itself.
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"] if os.geteuid() == 0 else []
    # Without root it works as other users, to whom the cache is closed; then it removes its own folder in /tmp.
    scratch = {"TMPDIR": str(folder)} if namespaces else {}
    command = [
        "setpriv", "--pdeathsig", "KILL" if namespaces else "TERM", *namespaces,
        "mmdebstrap", "--variant=minbase", "--components=main", "--format=tar", "--skip=output/dev",
        f"--mode={mode()}", f"--architectures={architecture}",
        # Without these two, usrmerge would bring the whole of Perl.
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", "--include=usr-is-merged",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        f"--customize-hook={_OF_THIS_MACHINE}",
        RELEASE, str(folder / _ARCHIVE), *([mirror] if mirror else []),
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        env={**os.environ, **scratch, "PATH": tool_path(), "LC_ALL": "C"},
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
                os.killpg(child.pid, signal.SIGKILL if namespaces else signal.SIGTERM)
            raise
    if child.returncode != 0:
        raise EnvironmentFailure(
            f"mmdebstrap of {RELEASE} from {mirror or 'the package archive'} failed (exit status {child.returncode})",
            hint="is the package archive reachable from this machine?",
            detail=[line for line in output.splitlines() if line.strip()][-_LOG_TAIL:],
        )


def _import(client: APIClient, archive: Path, tag: str, progress: Progress) -> None:
    began = time.monotonic()
    with archive.open("rb") as file, engine_errors(f"cannot import {_REPOSITORY}:{tag}"):
        # In pieces: the library promises chunks, and of a file it would send all at once.
        pieces = iter(partial(file.read, _PIECE), b"")
        client.import_image_from_stream(pieces, repository=_REPOSITORY, tag=tag, changes=['CMD ["sh"]'])
    progress(f"image {_REPOSITORY}:{tag}: imported in {time.monotonic() - began:.0f} s")


# -- mmdebstrap, for images and for the guest of a virtual machine -----------------------------------------------------


def why_not(what: str) -> EnvironmentFailure | None:
    """Why this user cannot use mmdebstrap, with the packages that it takes; `what` needs it, as in "that needs"."""
    needed = {"mmdebstrap": "mmdebstrap", "gpgv": "gpgv", "tar": "tar", "setpriv": "util-linux"}
    if os.geteuid() != 0:
        needed["newuidmap"] = "uidmap"
    lacking = sorted({package for tool, package in needed.items() if shutil.which(tool, path=tool_path()) is None})
    if not _KEYRING.exists():
        lacking.append("debian-archive-keyring")
    if lacking:
        return EnvironmentFailure(f"{what} needs {', '.join(lacking)}", hint=f"apt-get install {' '.join(lacking)}")
    if os.geteuid() != 0 and not all(map(_has_subordinates, (Path("/etc/subuid"), Path("/etc/subgid")))):
        return EnvironmentFailure(
            f"{what} takes subordinate ids, and the user {_user()} has none",
            hint=f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {_user()}",
        )
    return None


def mode() -> str:
    """How mmdebstrap gets the rights that it needs."""
    return "root" if os.geteuid() == 0 else "unshare"


def tool_path() -> str:
    """PATH with the folders in which an ordinary user does not look."""
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def _has_subordinates(path: Path) -> bool:
    """Whether the file, as subuid(5) describes it, has a line of this user."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.partition(":")[0] in (_user(), str(os.getuid())) for line in lines)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


# -- the package archive ---------------------------------------------------------------------------------------------


def apt_mirror() -> str | None:
    """The package archive that this machine uses; None: mmdebstrap knows Debian's own."""
    return plain_mirror(_apt_sources())


def plain_mirror(sources: Iterable[str]) -> str | None:
    """The first Debian archive, by plain http, that these apt sources (contents of files) name.

    By http, because a minimal Debian has no certificates; the signatures are what counts.
    """
    for text in sources:
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if words and words[0] in ("deb", "URIs:"):
                for word in words[1:]:
                    if _PLAIN_MIRROR.fullmatch(word):
                        return word.rstrip("/")
    return None


def _apt_sources(folder: Path = Path("/etc/apt")) -> Iterator[str]:
    """The contents of the files that name Debian's own archive; those of other publishers are none of our business."""
    for path in (folder / "sources.list", folder / "sources.list.d" / "debian.sources"):
        with suppress(OSError):
            yield path.read_text(errors="replace")
