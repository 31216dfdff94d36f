"""The guest's root file system as a tar archive: Debian, the packages of the recipe, Python libraries.

mmdebstrap makes it, as root or, where subordinate ids are there, as an ordinary user. Otherwise a Docker engine does
(enginedebian.py).
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from orchestrator.engine.client import engine_answers
from orchestrator.engine.debian import apt_mirror, mode, tool_path, why_not
from orchestrator.errors import EnvironmentFailure
from orchestrator.system import resources
from orchestrator.text.progress import Progress
from orchestrator.vm.enginedebian import write_archive
from orchestrator.vm.recipe import BEFORE, LIBRARIES, PREPARED, RELEASE, Recipe, preparation

_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/lintian/*")
_LOG_TAIL = 20


def check_tools() -> None:
    """Raise EnvironmentFailure, with the packages that it takes, when no root file system can be made here."""
    if (lacking := why_not(_WHAT)) is not None and not engine_answers()[0]:
        raise EnvironmentFailure(lacking.message, hint=f"{lacking.hint}; or, instead, a Docker engine")


_WHAT = "making the guest's root file system"


def unpack_debian(recipe: Recipe, libraries: Path, root: Path, log: Path, progress: Progress) -> None:
    """Make the root file system and unpack it into the folder `root`. Raises EnvironmentFailure."""
    root.mkdir()
    if why_not(_WHAT) is None:
        _unpack_made_here(recipe, libraries, root, log, progress)
    else:
        _unpack_made_by_engine(recipe, libraries, root, log, progress)


def _unpack_made_by_engine(recipe: Recipe, libraries: Path, root: Path, log: Path, progress: Progress) -> None:
    with log.open("wb") as errors, _started(_tar(root), stdin=subprocess.PIPE, stderr=errors) as tar:
        assert tar.stdin is not None
        try:
            write_archive(recipe, libraries, root.with_name("debian"), tar.stdin, progress)
            tar.stdin.close()
        except BrokenPipeError:  # tar says why
            pass
        except BaseException:
            tar.kill()
            raise
        if tar.wait() != 0:
            raise _failure("tar", "the engine", log)


def _unpack_made_here(recipe: Recipe, libraries: Path, root: Path, log: Path, progress: Progress) -> None:
    mirror = apt_mirror()
    progress(
        f"vm: {RELEASE} with {len(recipe.packages)} packages from {mirror or 'the package archive'} (about a minute)"
    )
    with (
        log.open("wb") as errors,
        _started(_bootstrap(recipe, libraries, mirror), stdout=subprocess.PIPE, stderr=errors) as debian,
        _started(_tar(root), stdin=debian.stdout, stderr=errors) as tar,
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
        raise _failure(failed[-1], mirror or "the package archive", log)


def _failure(program: str, source: str, log: Path) -> EnvironmentFailure:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    full = any("No space left on device" in line for line in lines)
    return EnvironmentFailure(
        f"{program} could not make the guest's root file system from {source}",
        hint="free some space, or point XDG_CACHE_HOME to another disk"
        if full
        else "is the package archive reachable from this machine?",
        detail=lines[-_LOG_TAIL:],
    )


def _tar(root: Path) -> list[str]:
    owner = ["--same-owner", "--numeric-owner"] if os.geteuid() == 0 else ["--no-same-owner"]
    return ["tar", "--extract", *owner, "--exclude=./dev/*", "--exclude=dev/*", f"--directory={root}"]


def _started(command: list[str], **streams: object) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PATH": tool_path(),
        "INITRD": "No",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C",
    }
    stdin = streams.pop("stdin", subprocess.DEVNULL)
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command, stdin=stdin, env=environment, start_new_session=True, **streams
    )


def _bootstrap(recipe: Recipe, libraries: Path, mirror: str | None) -> list[str]:
    """The command line of mmdebstrap; the archive goes to its standard output."""
    hooks = [
        f"copy-in {shlex.quote(str(libraries))} {shlex.quote(str(Path(LIBRARIES).parent))}",
        f'chroot "$1" python3 -m compileall -q {LIBRARIES} || true',
    ]
    for kind, words in recipe.preparations.items():
        hooks += _preparation(kind, words)
    command = [
        "mmdebstrap", "--variant=minbase", "--format=tar", "--components=main",
        f"--mode={mode()}",
        f"--include={','.join(recipe.packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f"--essential-hook={line.format(root='$1')}" for line in BEFORE),
        *(f"--customize-hook={hook}" for hook in hooks),
        RELEASE, "-", *([mirror] if mirror else []),
    ]  # fmt: skip
    # Bound to our life: whichever way simctl ends, so does this.
    return ["setpriv", "--pdeathsig", "TERM", *command]


def _preparation(kind: str, command: tuple[str, ...]) -> list[str]:
    """Hooks that let a node kind do once, here, what would take the guest minutes."""
    return [
        f'mkdir -p "$1{PREPARED}"',
        *(f"copy-in {shlex.quote(str(resources.NODES / each))} {PREPARED}" for each in ("base", kind)),
        f'chroot "$1" {preparation(kind, command)}',
        f'rm -rf "$1{PREPARED}"',
    ]
