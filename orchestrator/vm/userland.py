"""The guest's root file system as a tar archive: Debian, the packages of the recipe, Python libraries.

mmdebstrap makes it, as root or, where user namespaces and subordinate ids are there, as an ordinary user. Otherwise a
Docker engine does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator import resources
from orchestrator.errors import EnvironmentFailure
from orchestrator.runtimes.debian import apt_mirror
from orchestrator.vm.recipe import PYTHON, RELEASE, Recipe

LIBRARIES = f"/usr/local/lib/python{PYTHON}/dist-packages"
CACHE = "/var/cache"
"""XDG_CACHE_HOME of the guest, and of what prepares its node kinds."""

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/lintian/*")
_LOG_TAIL = 20

Progress = Callable[[str], None]


def check_tools() -> None:
    """Raise EnvironmentFailure, with the packages that it takes, when no root file system can be made here."""
    needed = {"mmdebstrap": "mmdebstrap", "gpgv": "gpgv", "tar": "tar"}
    if os.geteuid() != 0:
        needed["newuidmap"] = "uidmap"
    lacking = sorted({package for tool, package in needed.items() if shutil.which(tool, path=_path()) is None})
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        lacking.append("debian-archive-keyring")
    if lacking:
        raise EnvironmentFailure(
            f"making the guest's root file system needs {', '.join(lacking)}",
            hint=f"apt-get install {' '.join(lacking)}",
        )


def unpack_debian(recipe: Recipe, libraries: Path, root: Path, log: Path, progress: Progress) -> None:
    """Make the root file system and unpack it into the folder `root`. Raises EnvironmentFailure."""
    mirror = apt_mirror()
    progress(f"vm: {RELEASE} with {len(recipe.packages)} packages from {mirror} (about a minute)")
    root.mkdir()
    owner = ["--same-owner", "--numeric-owner"] if os.geteuid() == 0 else ["--no-same-owner"]
    with (
        log.open("wb") as errors,
        _started(_bootstrap(recipe, libraries, mirror), stdout=subprocess.PIPE, stderr=errors) as debian,
        _started(
            ["tar", "--extract", *owner, "--exclude=./dev/*", f"--directory={root}"], stdin=debian.stdout, stderr=errors
        ) as tar,
    ):
        try:
            assert debian.stdout is not None
            debian.stdout.close()
            failed = [name for name, child in (("tar", tar), ("mmdebstrap", debian)) if child.wait() != 0]
        except BaseException:
            for child in (debian, tar):
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
            raise
    if failed:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise EnvironmentFailure(
            f"{failed[-1]} could not make the guest's root file system from {mirror}",
            hint="is the package archive reachable from this machine?",
            detail=lines[-_LOG_TAIL:],
        )


def _started(command: list[str], **streams: object) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PATH": _path(), "INITRD": "No", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    stdin = streams.pop("stdin", subprocess.DEVNULL)
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command, stdin=stdin, env=environment, start_new_session=True, **streams
    )


def _bootstrap(recipe: Recipe, libraries: Path, mirror: str) -> list[str]:
    """The command line of mmdebstrap; the archive goes to its standard output."""
    hooks = [
        f"copy-in {shlex.quote(str(libraries))} {shlex.quote(str(Path(LIBRARIES).parent))}",
        f'chroot "$1" python3 -m compileall -q {LIBRARIES} || true',
    ]
    for kind, words in recipe.preparations.items():
        hooks += _preparation(kind, words)
    command = [
        "mmdebstrap", "--variant=minbase", "--format=tar", "--components=main",
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        f"--include={','.join(recipe.packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        # Packages of the JRE register manual pages there, and fail where the folder is missing.
        '--essential-hook=mkdir -p "$1/usr/share/man/man1"',
        *(f"--customize-hook={hook}" for hook in hooks),
        RELEASE, "-", mirror,
    ]  # fmt: skip
    # Bound to our life: whichever way simctl ends, so does this.
    return ["setpriv", "--pdeathsig", "TERM", *command]


def _preparation(kind: str, command: tuple[str, ...]) -> list[str]:
    """Hooks that let a node kind do once, here, what would take the guest minutes."""
    words = [word.replace("{python}", "/usr/bin/python3") for word in command]
    inside = shlex.quote(f"cd /opt/prepare/{kind} && {shlex.join(words)}")
    return [
        'mkdir -p "$1/opt/prepare"',
        f"copy-in {shlex.quote(str(resources.NODES / kind))} /opt/prepare",
        f'chroot "$1" env XDG_CACHE_HOME={CACHE} HOME=/tmp LANG=C.UTF-8 sh -c {inside}',
        'rm -rf "$1/opt/prepare"',
    ]


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
