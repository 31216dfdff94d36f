"""Steps that run beside others: each in a thread of its own, until it has ended or the run is over."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.lab.lab import Lab
from orchestrator.scenario.step import Step
from orchestrator.text.durations import measured

_LATE = 0.02
"""Seconds after its time from which a step is said to have started late."""


class RunOver(Exception):
    """The run has failed or was interrupted, so a step in the background does nothing more. It never reaches a user."""


Perform = Callable[[Step, threading.Event], None]
"""Does what a step says, and sets the event when the steps after it may begin."""


@dataclass(slots=True)
class _Waiting:
    """A step that starts at a moment. `due`: seconds of the run; None: the moment has not come."""

    step: Step
    due: float | None = None


class Beside:
    """The steps of a run that are in the background. `perform` runs in a thread of the step's own.

    Every moment of the run is marked here: one may start a step.
    """

    def __init__(self, lab: Lab, steps: Sequence[Step], perform: Perform) -> None:
        self._lab, self._perform = lab, perform
        self._changed = threading.Condition()
        self._marking = threading.Lock()
        self._waiting = {step.name: _Waiting(step) for step in steps if step.at is not None}
        self._running = set(self._waiting)
        """Those that have not ended: that run, or will start at a moment."""
        self._failure: Exception | None = None
        self._over = False
        self._closing = False
        """The last step in the foreground is over."""
        self._ended = False
        """The moment `end` is marked."""
        self._slowest = 0.0
        """Seconds that a moment took at most to be marked."""

    # -- by the thread of the run ---------------------------------------------------------------------------------

    def start(self, step: Step) -> None:
        """Let a step run whose moment `start` is marked. Returns when it has given its command, or begun to wait."""
        with self._changed:
            self._running.add(step.name)
        begun = self._thread(step, None)
        while not begun.wait(self._lab.pace.check_every):
            self.check()

    def mark(self, *names: str) -> None:
        """A moment of the run. Steps that start at it, or some time after it, are going to."""
        with self._marking:
            if self._over:
                raise RunOver
            before = time.monotonic()
            t = self._lab.mark(*names)
            self._slowest = max(self._slowest, time.monotonic() - before)
            self._ended = self._ended or "end" in names
        for waiting in self._waiting.values():
            at = waiting.step.at
            if at is not None and at.name in names and waiting.due is None:
                waiting.due = t + at.offset
                self._thread(waiting.step, waiting.due)

    def check(self) -> None:
        """Raise when a step in the background failed, or the lab is no longer whole."""
        if self._over:
            raise RunOver
        if self._failure is not None:
            raise self._failure
        self._lab.check()

    def pause(self, seconds: float) -> None:
        """Let time pass, in any thread; broken off when a step in the background fails."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            with self._changed:
                self._changed.wait_for(lambda: self._over or self._failure, min(left, self._lab.pace.check_every))
            self.check()

    def wait_for(self, name: str) -> None:
        """Until that step has ended."""
        self._wait(lambda: name not in self._running)

    def finish(self, *names: str) -> None:
        """The last step in the foreground is over: mark that, wait for those in the background, and mark the end."""
        some = bool(self._running)
        self.check()
        if not some:
            self.mark(*names, "end")
            return
        if names:
            self.mark(*names)
        with self._changed:
            self._closing = True
            left = sorted(self._running)
        over = self._lab.session.now()
        self._wait(lambda: not self._running)
        if not self._ended:
            self.mark("end")
        if left:
            steps, they = ("step", "it") if len(left) == 1 else ("steps", "they")
            self._lab.session.note(
                f"nothing awaits the {steps} {', '.join(left)}, which had not ended when the steps in the foreground "
                f"were over, at {over:.2f}s: the run went on until {they} had"
            )

    def _wait(self, over: Callable[[], bool]) -> None:
        while True:
            with self._changed:
                ended = self._changed.wait_for(lambda: over() or self._failure, self._lab.pace.check_every)
            self.check()
            if ended:
                return

    @contextlib.contextmanager
    def until_the_end(self) -> Iterator[None]:
        """What runs in the background when this is left does nothing more: no moment comes after the end."""
        try:
            yield
        finally:
            with self._marking:
                self._over = True
            with self._changed:
                self._changed.notify_all()

    # -- by the threads of the steps ------------------------------------------------------------------------------

    def _thread(self, step: Step, due: float | None) -> threading.Event:
        """Returns what is set when it has begun."""
        begun = threading.Event()
        threading.Thread(target=self._run, args=(step, due, begun), name=f"step-{step.name}", daemon=True).start()
        return begun

    def _run(self, step: Step, due: float | None, begun: threading.Event) -> None:
        try:
            if due is not None:
                self._start_at(step, due)
            self._perform(step, begun)
            self._end(step)
        except RunOver:
            return
        except Exception as error:  # raised again in the thread of the run
            with self._changed:
                self._failure = self._failure or error
                self._running.discard(step.name)
                self._changed.notify_all()
        finally:
            begun.set()

    def _start_at(self, step: Step, due: float) -> None:
        """Its moment is marked so early that what it does is in time: a moment is a sample of all nodes."""
        session = self._lab.session
        self.pause(due - 1.5 * self._slowest - session.now())
        self.mark(f"{step.name}.start")
        self.pause(due - session.now())
        late = session.now() - due
        if late > _LATE and step.at is not None and step.at.offset:  # without a duration: as soon as it is marked
            session.note(
                f"the step {step.name} was to start at {step.at}, {due:.3f}s, and started {measured(late)} later"
            )

    def _end(self, step: Step) -> None:
        name = step.name
        with self._changed:
            last = self._closing and self._running == {name}
        self.mark(f"{name}.end", *(["end"] if last else []))
        with self._changed:
            self._running.discard(name)
            self._changed.notify_all()
