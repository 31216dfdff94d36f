"""Several runs at the same time, each in a process of its own.

A run knows one way to be interrupted: a signal to its process. So each gets a process, and what it would have told or
raised comes back over a pipe. The report is read from the run's folder, where all of it is.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.recording.folder import RunFolder
from orchestrator.run.execute import run
from orchestrator.run.judge import stored_report  # here, and not in each of the processes, which are forked
from orchestrator.run.task import Done, Task
from orchestrator.runtimes.registry import begin
from orchestrator.system.interrupts import SIGNALS
from orchestrator.system.linux import die_with_parent
from orchestrator.text.progress import Progress

_FORK = multiprocessing.get_context("fork")


class Crew:
    """The processes, and what they say."""

    def __init__(self, tasks: Sequence[Task], progress: Progress, done: Done) -> None:
        self._tasks = tasks
        self._waiting = deque(range(len(tasks)))
        self._progress = progress
        self._done = done
        self._working: dict[Connection, tuple[int, ForkProcess]] = {}

    def work(self, jobs: int) -> None:
        try:
            while self._waiting or self._working:
                while self._waiting and len(self._working) < jobs:
                    self._start(self._waiting.popleft())
                self._listen()
        except BaseException:
            self._end()
            raise

    def _start(self, place: int) -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # or the child would write it again
        ours, theirs = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_work, args=(self._tasks[place], theirs, os.getpid()))
        # No signal may come before both sides know of the process.
        with theirs, _held():
            process.start()
            self._working[ours] = (place, process)

    def _listen(self) -> None:
        """Wait for news, and pass them on."""
        for connection in wait(list(self._working)):
            assert isinstance(connection, Connection)
            place, _ = self._working[connection]
            try:
                what, content = connection.recv()
            except EOFError:
                self._gone(connection)
                continue
            if what == "progress":
                self._progress(f"{self._tasks[place].label}: {content}")
            elif what == "broken":
                raise RuntimeError(f"{self._tasks[place].label}: {content}")
            elif what == "report":
                self._done(place, stored_report(RunFolder.open(content)))
            else:
                self._done(place, content)

    def _gone(self, connection: Connection) -> None:
        place, process = self._working.pop(connection)
        connection.close()
        process.join()
        if process.exitcode:
            how = f"was ended by signal {-process.exitcode}" if process.exitcode < 0 else "was interrupted"
            self._done(place, EnvironmentFailure(f"{self._tasks[place].label}: the process of this run {how}"))

    def _end(self) -> None:
        """End every run in an orderly way: each is told once, and takes down what it made."""
        self._waiting.clear()
        for _, process in self._working.values():
            process.terminate()
        self._done = lambda place, result: None
        while self._working:
            self._listen()


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Signals that interrupt wait until the end of this."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(task: Task, pipe: Connection, parent: int) -> None:
    """The child. Interrupted at any time it ends with status 1 and says nothing more than its progress."""

    def tell(text: str) -> None:
        with contextlib.suppress(OSError):  # nobody is left to be told
            pipe.send(("progress", text))

    try:
        die_with_parent(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if os.getppid() == parent:
            begin(task.options.runtime, str(task.path))
            answer = _carry_out(task, tell)
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            pipe.send(answer)
    except (KeyboardInterrupt, OSError):
        os._exit(1)


def _carry_out(task: Task, tell: Progress) -> tuple[str, object]:
    try:
        folder = run(task.path, task.options, tell).folder
    except (InputError, EnvironmentFailure) as error:
        return "failed", error
    except Exception:
        return "broken", traceback.format_exc()
    return "report", folder
