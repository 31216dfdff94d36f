"""The first process of every node: waits until the node is wired, runs the program, and sees to its end.

`init.py PROGRAM [ARGUMENT ...]`: in an image the entrypoint; under netns the spawner imports this file and calls
main() in the process that is pid 1 of the node. nodes/README.md, "Life of a node", is the contract. Standard library
only, and little of it: this is on the way of every node's start.
"""

import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Mapping

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Sent on to the program's process group."""

TO_PROGRAM = 34
"""A real-time signal of this number plus n asks for signal n to the program itself: not to its children, which only we
can tell from it. 34 is the first that glibc leaves to others; n is below 31."""
_TOLD = {TO_PROGRAM + number: number for number in range(1, 31)}

_LONGEST = 1 << 19
"""Bytes of a line that are kept."""

# A program expects every signal at its default; Python ignores SIGPIPE, and who started us may have ignored others.
_RESTORED = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def start(argv: list[str]) -> int:
    """Start the program in a session and process group of its own; returns its pid. Raises OSError."""
    return os.posix_spawnp(argv[0], argv, os.environ, setsid=True, setsigmask=(), setsigdef=_RESTORED)


def main(argv: list[str], start: Callable[[list[str]], int] = start) -> int:
    """Live the node's life; returns the exit status. `argv` is the program with its arguments.

    `start`: who imports this file may have another way to start the program.
    With SIMCTL_LINGER=1 the end of the program is reported on standard output, and the namespaces are held until the
    standard input hangs up: minisockets (TIME_WAIT, orphaned FIN_WAIT2) die with their namespace. Meanwhile another
    line `go` starts the program again, with the variables changed that follow it as a JSON object.
    """
    if not argv:
        return _complain("usage: init.py PROGRAM [ARGUMENT ...]", 2)
    for number in FORWARDED:
        signal.signal(number, _leave)
    if not is_nowhere(0) and not wait_for_go(0):
        return 0
    wakeup = listen_for_signals()
    linger = os.environ.pop("SIMCTL_LINGER", "") == "1"
    init = Init(wakeup, linger, lambda: start(argv), argv[0])
    return init.run() if init.start() or linger else init.status


class Init:
    """Supervises a program until it ends, or, with `linger`, until standard input hangs up. `start` starts it and
    returns its pid, which is that of its process group too; `name` is what it is called."""

    def __init__(self, wakeup: int, linger: bool, start: Callable[[], int], name: str) -> None:
        self.status = 0
        self._start = start
        self._name = name
        self._wakeup = wakeup
        self._linger = linger
        self._program = 0
        self._running = False
        self._line = bytearray()

    def start(self) -> bool:
        """Start the program; False when that cannot be, which counts as its end."""
        try:
            self._program = self._start()
        except OSError as error:
            self._program = 0
            self.status = _complain(f"cannot start {self._name}: {error.strerror}", 127 if _is_missing(error) else 126)
            if self._linger:
                report({"status": self.status})
        self._running = self._program != 0
        return self._running

    def run(self) -> int:
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        while True:
            # While the program runs no POLLIN: the input is its own. A pipe says POLLHUP, a socket that was half closed
            # POLLRDHUP.
            poll.register(0, select.POLLRDHUP if self._running else select.POLLRDHUP | select.POLLIN)
            for fd, event in poll.poll():
                if fd == 0:
                    if self._running or event & ~select.POLLIN or not self._listen():
                        self._kill_everything()
                        return self.status
                    continue
                for number in os.read(self._wakeup, 4096):
                    if not self._handle(number):
                        return self.status

    def _handle(self, number: int) -> bool:
        """Act on one signal; False when it is time to go. With `linger` that only the input's end says: whoever signals
        a program that has just ended must not end its namespaces."""
        if number == signal.SIGCHLD:
            was_running = self._running
            self._reap()
            return self._running or not was_running or self._linger
        if self._running:
            told = _TOLD.get(number)
            _kill(self._program if told else -self._program, told or number)
        return self._running or self._linger

    def _listen(self) -> bool:
        """Take one byte of what nobody else reads now; False at the end. What is no `go` was meant for the program that
        ended. Byte by byte: what follows the line belongs to the next one."""
        byte = os.read(0, 1)
        if byte != b"\n":
            if len(self._line) < _LONGEST:
                self._line += byte
            return bool(byte)
        line, self._line = bytes(self._line), bytearray()
        word, _, rest = line.partition(b" ")
        if word == b"go":
            os.environ.update(_variables(rest))
            self.start()
        return True

    def _reap(self) -> None:
        """Bury everything that ended: orphans become children of pid 1."""
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._program and self._running:
                self._running = False
                code = os.waitstatus_to_exitcode(wait_status)
                self.status = code if code >= 0 else 128 - code
                if self._linger:
                    report({"status": code} if code >= 0 else {"signal": -code})

    def _kill_everything(self) -> None:
        """As pid 1: all processes of the pid namespace but this one. Otherwise: the program's process group."""
        if os.getpid() == 1:
            _kill(-1, signal.SIGKILL)
        elif self._program:
            _kill(-self._program, signal.SIGKILL)


def wait_for_go(fd: int) -> bool:
    """Read `fd` up to and including the line `go`; False when it ends before.

    Byte by byte: what follows belongs to the program.
    """
    line = b""
    while byte := os.read(fd, 1):
        if byte != b"\n":
            line += byte
        elif line == b"go":
            return True
        else:
            line = b""
    return False


def _variables(text: bytes) -> Mapping[str, str]:
    """What follows `go` in its line: a JSON object of texts, or nothing."""
    import json  # not needed by most nodes

    try:
        found = json.loads(text or b"{}")
    except ValueError:
        return {}
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def is_nowhere(fd: int) -> bool:
    """Whether it is /dev/null: a plain `docker compose up` gives no other input. There is no lab to wait for then."""
    status = os.fstat(fd)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)


def listen_for_signals() -> int:
    """Turn signals into bytes (their numbers) on a pipe; returns its end to read. To be called before start()."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, *FORWARDED, *_TOLD):
        signal.signal(number, lambda *_: None)
    return read_end


def report(end: dict[str, int]) -> None:
    """Report how the program ended, as one event on standard output. Nobody reading is no error.

    The line break before it ends a line that the program was killed in the middle of.
    """
    ((how, number),) = end.items()
    line = f'\n{{"ev": "exited", "t": {time.monotonic():.6f}, "{how}": {number}}}\n'
    try:
        os.write(1, line.encode())
    except OSError as error:
        _complain(f"nobody reads how the program ended ({how} {number}): {error.strerror}", 0)


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # nobody left: as good as delivered


def _leave(number: int, _: object) -> None:
    """A signal before `go`: there is no program to end first."""
    os._exit(128 + number)


def _is_missing(error: OSError) -> bool:
    return isinstance(error, FileNotFoundError | NotADirectoryError)


def _complain(message: str, status: int) -> int:
    os.write(2, f"init: {message}\n".encode(errors="surrogateescape"))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
