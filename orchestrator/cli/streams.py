"""Standard output and error of the command. Writing a result can fail, and that is told; telling people never fails."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator

from orchestrator.errors import EnvironmentFailure, SimctlError
from orchestrator.exitcodes import ExitCode
from orchestrator.text.safe import harmless


class OutputClosed(SimctlError):
    """The reader of our standard output went away, as in `simctl ... | head`. Nobody is left to be told."""

    exit_code = ExitCode.OUTPUT_CLOSED


class ResultStream(io.TextIOWrapper):
    """Standard output whose failures are errors of ours: a full disk, a reader that is gone."""

    def write(self, text: str) -> int:
        with _failures():
            super().write(harmless(text))
            return len(text)

    def flush(self) -> None:
        with _failures():
            super().flush()


def watch_results() -> None:
    """Make standard output a ResultStream. To be called first: a stream that was closed gets /dev/null in its place."""
    _fill_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):  # None when it was closed before we began
        old = sys.stdout
        encoding, line_buffering = old.encoding, old.line_buffering
        # A title may have characters that this locale has not: in visible form they spoil nothing.
        sys.stdout = ResultStream(
            old.detach(), encoding=encoding, errors="backslashreplace", line_buffering=line_buffering
        )


def tell(text: str) -> None:
    """A line or more on standard error. When nobody can be told any more, the work goes on."""
    if sys.stderr is None:  # closed before we began; print() would take standard output instead
        return
    try:
        print(harmless(text), file=sys.stderr, flush=True)
    except OSError:
        _give_up(2)


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _give_up(1)
        if error.errno == errno.EPIPE:
            raise OutputClosed("nobody reads the output") from None
        raise EnvironmentFailure(f"cannot write to standard output: {error.strerror}") from None


def _fill_closed() -> None:
    """The next file that is opened would become standard error, say, and a child would write into the recording."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def _give_up(fd: int) -> None:
    """What is still in the stream's buffer goes nowhere, or the interpreter would stumble over it when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)
