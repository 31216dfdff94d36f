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
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import TYPE_CHECKING, Union

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.recording.folder import RunFolder
from orchestrator.run.execute import run
from orchestrator.run.options import Options
from orchestrator.runtimes.registry import begin
from orchestrator.system.interrupts import SIGNALS
from orchestrator.system.linux import die_with_parent
from orchestrator.text.progress import Progress
from orchestrator.text.record import record

if TYPE_CHECKING:
    from orchestrator.analysis.report import RunReport


@record
class Task:
    """One run. `label` stands before each line of its progress."""

    label: str
    path: Path
    options: Options


Result = Union["RunReport", InputError, EnvironmentFailure]
Done = Callable[[int, Result], None]
"""Is told of each task that ended: its place in the list, and its report or why there is none."""

_FORK = multiprocessing.get_context("fork")


def run_tasks(tasks: Sequence[Task], jobs: int, progress: Progress, done: Done) -> None:
    """Run all, at most `jobs` at a time, begun in their order. A task that fails keeps no other from running.

    A KeyboardInterrupt passes through when all that ran are taken down.
    """
    if jobs == 1 or len(tasks) == 1:
        for place, task in enumerate(tasks):
            begin(task.options.runtime, str(task.path))
            if len(tasks) > 1:
                progress(f"--- {task.label}")
            try:
                done(place, run(task.path, task.options, progress))
            except (InputError, EnvironmentFailure) as error:
                done(place, error)
    else:
        _Crew(tasks, progress, done).work(jobs)


class _Crew:
    """The processes, and what they say."""

    def __init__(self, tasks: Sequence[Task], progress: Progress, done: Done) -> None:
        self._tasks = tasks
        self._waiting = deque(range(len(tasks)))
        self._progress = progress
        self._done = done
        self._working: dict[Connection, tuple[int, ForkProcess]] = {}

    def work(self, jobs: int) -> None:
        import orchestrator.run.judge  # noqa: F401 - here, and not in each of the processes, which are forked

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
                from orchestrator.run.judge import stored_report

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
