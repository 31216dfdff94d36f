"""Python processes without their start: forked from an interpreter that has imported already what they will import.

In a virtual machine the start of interpreters and their imports cost most of a run, and on this one a tenth. Whatever
starts Python here is Python itself, so a forked child can become what it was to execute (become.py). Nothing of this is
active until enable() was called, which the guest of a virtual machine does, and a spawner that knows its nodes' kinds.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    import subprocess

_PACKAGE = Path(__file__).parents[1]
OWN = (_PACKAGE / "observe", _PACKAGE / "fabric", _PACKAGE / "runtimes" / "netns" / "spawner.py")
"""Source of our own that runs in processes of its own."""


class _Fresh(NamedTuple):
    """What an interpreter like ours begins with."""

    path: list[str]
    """sys.path without PYTHONPATH, before the program is known."""
    variables: dict[str, str]
    """Those that are Python's own, without PYTHONPATH."""


_OF_STREAMS = ("PYTHONUNBUFFERED", "PYTHONIOENCODING")
"""Variables that no forked child obeys."""

_fresh: _Fresh | None = None
"""None: not enabled."""


def enable() -> None:
    """From now on popen() and spawn() fork. To be called by a process with one thread, after preload()."""
    import subprocess  # noqa: F401 - what follows the fork is to find it here

    import orchestrator.system.become  # noqa: F401

    global _fresh
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = [path for path in sys.path[0 if sys.flags.safe_path else 1 :] if path not in given]
    variables = {name: value for name, value in _pythons(os.environ).items() if name not in _OF_STREAMS}
    _fresh = _Fresh(path, variables)
    gc.collect()
    gc.freeze()


def enabled() -> bool:
    """Of a process that runs a lab: whether it is in the guest of a virtual machine."""
    return _fresh is not None


def _pythons(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("PYTHON") and name != "PYTHONPATH"}


def applies(argv: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a fork can stand in for this command line: our interpreter, with no flag or variable of its own."""
    if _fresh is None or argv[0] != sys.executable or not _pythons(environment).items() <= _fresh.variables.items():
        return False
    from orchestrator.system.become import program_of

    return program_of(argv) is not None


def popen(
    argv: Sequence[str], *, environment: Mapping[str, str] | None = None, pass_fds: Collection[int] = (), **kwargs: Any
) -> subprocess.Popen[bytes]:
    """subprocess.Popen(argv, ...), forked where that is possible."""
    import subprocess

    environment = dict(os.environ if environment is None else environment)
    if _fresh is None or not applies(argv, environment):
        return subprocess.Popen(argv, env=environment, pass_fds=pass_fds, **kwargs)
    from orchestrator.system.become import become, descriptors

    path = _fresh.path

    def child() -> NoReturn:
        for descriptor in descriptors():
            if descriptor > 2 and descriptor not in pass_fds:
                with contextlib.suppress(OSError):
                    os.set_inheritable(descriptor, False)
        become(argv, environment, path, mask)

    with _signals_blocked() as mask:
        # Popen waits until the child's end of a pipe is closed on execve, which become() does too.
        return subprocess.Popen(argv, preexec_fn=child, pass_fds=pass_fds, **kwargs)


def spawn(argv: Sequence[str]) -> int:
    """Start `argv` in a session of its own, every signal at its default; returns its pid. Only where it applies()."""
    from orchestrator.system.become import CATCHABLE, become

    assert _fresh is not None
    environment, path = dict(os.environ), _fresh.path
    begun, begins = os.pipe()
    with _signals_blocked():
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for number in CATCHABLE:
                signal.signal(number, signal.SIG_DFL)
            become(argv, environment, path, ())
    os.close(begins)
    os.read(begun, 1)  # a signal to its process group must not come before there is one
    os.close(begun)
    return pid


@contextlib.contextmanager
def _signals_blocked() -> Iterator[Collection[signal.Signals | int]]:
    """A signal to a child that still has its parent's handlers would be lost, or told to the parent."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield mask
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def preload(paths: Iterable[Path], shared: Path | None = None) -> None:
    """Import what the Python files in these folders import (a path may also be one file), and compile the files.

    Of the files in the folder `shared` those count that one of the others imports by its name, and they are imported
    too. The other files are not, and no module that has the name of one: several node kinds have a `settings`.
    """
    from importlib.machinery import SourceFileLoader

    files = [file for path in paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    for file in files:  # which grows meanwhile
        used = (shared / f"{name}.py" for name in _imports(file)) if shared else ()
        files += [path for path in dict.fromkeys(used) if path not in files and path.is_file()]
    own = {file.stem for file in files if file.parent != shared}
    ours = own | {file.stem for file in files}
    for file in files:
        SourceFileLoader(file.stem, str(file)).get_code(file.stem)  # leaves it in __pycache__
        for name in _imports(file):
            if name.partition(".")[0] not in ours:
                with contextlib.suppress(ImportError):  # of another platform, or only for type checkers
                    importlib.import_module(name)
    if shared is not None:
        _import_from(shared, sorted(ours - own))


def _import_from(folder: Path, names: Iterable[str]) -> None:
    """As a script does that has put the folder first on its module path."""
    before = sys.path
    sys.path = [str(folder), *before]
    try:
        for name in names:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    finally:
        sys.path = before


def _imports(file: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports anywhere. What comes `from` a package may be a module too."""
    import ast

    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
