"""What a forked child does to become a Python program, where it might as well execute a new interpreter.

The same descriptors, signals, environment, module path, name in /proc and exit status. What was imported before the
fork needs no import, and is shared memory. Not the same: the interpreter's flags and hash seed are the parent's, so are
capabilities that an execve would take away, and what is alive at the end is not finalised.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, ModuleType
from typing import NoReturn

from orchestrator.system import linux

CATCHABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
_FLUSH_FAILED = 120
"""Exit status of an interpreter whose standard output could not take the rest."""

_kept: list[object] = []
"""What a fresh interpreter does not have, but must not be finalised either: it may own numbers of descriptors."""


@dataclass(frozen=True, slots=True)
class Program:
    """`python [-P] -m NAME [ARGUMENT ...]`, or `python [-P] NAME [ARGUMENT ...]` with a script's path."""

    is_module: bool
    name: str
    arguments: list[str]
    safe_path: bool


def program_of(argv: Sequence[str]) -> Program | None:
    """What follows the interpreter on a command line; None: something else than a program and its arguments."""
    words = list(argv[1:])
    safe_path = words[:1] == ["-P"]
    words = words[safe_path:]
    is_module = words[:1] == ["-m"]
    words = words[is_module:]
    if not words or words[0].startswith("-") or not (is_module or words[0].endswith(".py")):
        return None
    return Program(is_module, words[0], words[1:], safe_path)


def become(
    argv: Sequence[str],
    environment: Mapping[str, str],
    base_path: Sequence[str],
    mask: Collection[signal.Signals | int],
) -> NoReturn:
    """What execve(argv[0], argv, environment) would do, in a forked child. `argv`: as program_of() has it.

    `base_path`: sys.path of an interpreter without PYTHONPATH, before its program is known; `mask`: the signals that
    are to be blocked. The caller has blocked all, or one that comes now would be lost, or told to the parent.
    """
    program = program_of(argv)
    assert program is not None
    status = 1
    try:
        _close_descriptors()
        _default_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if not program.is_module and not Path(program.name).is_file():
            os.execve(argv[0], list(argv), dict(environment))  # it has the words for that
        gc.freeze()
        gc.enable()
        atexit._clear()
        with contextlib.suppress(OSError):  # only looks are lost
            linux.show_as(argv, environment)
        os.environ.clear()
        os.environ.update(environment)
        _fresh_streams()
        sys.orig_argv = list(argv)
        sys.path = _module_path(program, environment, base_path)
        status = _run(program)
    finally:
        os._exit(status & 0xFF)


def _close_descriptors() -> None:
    for descriptor in descriptors():
        with contextlib.suppress(OSError):
            if not os.get_inheritable(descriptor):
                os.close(descriptor)


def descriptors() -> list[int]:
    """Open ones, and the number that the listing itself had."""
    return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208


def _default_signals() -> None:
    """As execve leaves them and then Python's start: handlers are gone, what was ignored stays so."""
    signal.set_wakeup_fd(-1)
    for number in CATCHABLE:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(program: Program) -> int:
    """Run it as `__main__`, to its end and that of its threads; returns the exit status."""
    try:
        _execute(program)
        status = 0
    except BaseException as error:
        status = _told(error)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    return status if _flushed() else _FLUSH_FAILED


def _fresh_streams() -> None:
    """As Python opens them in the locale C.UTF-8."""
    _kept.extend((sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__))
    for number, mode, errors in (
        (0, "r", "surrogateescape"),
        (1, "w", "surrogateescape"),
        (2, "w", "backslashreplace"),
    ):
        name = ("stdin", "stdout", "stderr")[number]
        stream = None
        with contextlib.suppress(OSError):
            line_by_line = number == 2 or os.isatty(number)
            stream = open(number, mode, 1 if line_by_line else -1, "utf-8", errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _module_path(program: Program, environment: Mapping[str, str], base: Sequence[str]) -> list[str]:
    given = environment.get("PYTHONPATH", "")
    path = [*(given.split(os.pathsep) if given else []), *base]
    if program.safe_path:
        return path
    return [str(Path.cwd() if program.is_module else Path(program.name).resolve().parent), *path]


def _execute(program: Program) -> None:
    main = ModuleType("__main__")
    spec: ModuleSpec | None = None
    if program.is_module:
        spec = find_spec(program.name)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            raise ImportError(f"No module named {program.name}")
        loader, file = spec.loader, spec.loader.path
    else:
        _forget_namesakes(Path(program.name).resolve().parent)
        loader, file = SourceFileLoader("__main__", program.name), program.name
    code = loader.get_code(spec.name if spec else "__main__")  # from __pycache__, where it is
    assert isinstance(code, CodeType)
    sys.argv = [file, *program.arguments]
    main.__dict__.update(__file__=file, __loader__=loader, __spec__=spec, __package__=spec.parent if spec else None)
    _kept.append(sys.modules["__main__"])
    sys.modules["__main__"] = main
    exec(code, main.__dict__)


def _forget_namesakes(folder: Path) -> None:
    """A script's own modules come before all but the standard library's that are loaded."""
    for stem in {path.stem for path in folder.glob("*.py")} - sys.stdlib_module_names:
        _kept.append(sys.modules.pop(stem, None))


def _told(error: BaseException) -> int:
    """Say what ended the program as Python does; returns the exit status."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    sys.excepthook(type(error), error.with_traceback(trace), trace)
    if isinstance(error, KeyboardInterrupt):
        _flushed()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return 128 + signal.SIGINT
    return 1


def _flushed() -> bool:
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except (OSError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True
