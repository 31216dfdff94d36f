"""The control channel to one node: its standard streams, never TCP, so that simctl is in no table that it measures."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.bounds import NODE_LINE, NODE_LOG
from orchestrator.errors import NodeFailure, Place
from orchestrator.lab.nodelines import OF_COMMANDS, Cut, NodeLines, Refused
from orchestrator.recording.events import Event
from orchestrator.runtimes.base import Exited, StartedNode
from orchestrator.system.tail import tail

_LOG_TAIL = 15
"""Lines of a node's log that an error shows."""

_LAST_WORDS = 1.0
"""Seconds after a line that may have been cut off by its program's end within which that end is reported."""

_REFUSED_HINT = "nodes/README.md says what a node's program may write on its standard output"


class Channel:
    """Writes commands, reads events in a thread of its own. `on_event` gets every event but `ready` and `done`; what
    came of a command, with its step.

    `role`: the kind's, where its program reports (see NodeLines).
    """

    def __init__(
        self, node: StartedNode, log: Path, on_event: Callable[[str, Event], None], role: str | None = None
    ) -> None:
        self.name = node.name
        self._lines = NodeLines(node.name, role)
        self._cut: Cut | None = None
        self._cut_at = 0.0
        self._refused = ""
        """What the node wrote that no node may write; empty: nothing."""
        self._node = node
        self._log = log
        self._on_event = on_event
        self._changed = threading.Condition()
        self._done: dict[int, Event] = {}
        self._steps: dict[int, str] = {}
        """Command -> the step that gave it."""
        self._writing = threading.Lock()
        self._next_id = 0
        self._closed = False
        self.reported_ready = False
        self.exited: Exited | None = None
        output_log = log.open("ab", buffering=0)  # here, so that a full disk is an error of ours and not of the thread
        self._reader = threading.Thread(target=self._read, args=(output_log,), name=f"read-{node.name}", daemon=True)
        self._reader.start()

    def go(self) -> None:
        """Let the node's program start."""
        self._write(b"go\n")

    def go_again(self, variables: Mapping[str, str]) -> None:
        """Let the node's program, which has ended, start anew, with these variables changed in its environment."""
        with self._changed:
            self.exited, self.reported_ready = None, False
        with self._writing:
            self._write(b"go " + json.dumps(dict(variables), ensure_ascii=False).encode() + b"\n")

    def command(self, do: str, step: str = "", /, **fields: Any) -> int:
        """Send a command to a client; returns its id for `wait_done`. Any thread may, also while others go on."""
        with self._writing:
            self._next_id += 1
            self._steps[self._next_id] = step
            self._write(json.dumps({"id": self._next_id, "do": do, **fields}).encode() + b"\n")
            return self._next_id

    def wait_done(self, command_id: int, check: Callable[[], None] = lambda: None, *, every: float = 0.25) -> None:
        """Until the client is through with the command. Raises NodeFailure when it ends or refuses it.

        `check` is called every so many seconds, and may raise: a lab that is not whole need not be waited for.
        """
        while True:
            with self._changed:
                over = self._changed.wait_for(
                    lambda: command_id in self._done or self._refused or not self.alive, every
                )
                done = self._done.pop(command_id, None)
            self.check()
            if over:
                break
            check()
        if done is None:
            raise self.failure(f"ended in the middle of a command ({self.exited or 'its output closed'})")
        if done.get("error"):
            raise self.failure(f"refused the command: {done['error']}")

    def wait_exited(self, timeout: float) -> bool:
        """Whether the program ended within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.alive, timeout)

    @property
    def alive(self) -> bool:
        return self.exited is None and not self._closed

    def failure(self, what: str, *, place: Place | None = None, hint: str | None = None) -> NodeFailure:
        """An error about this node that shows the end of its log."""
        shown = tail(self._log, _LOG_TAIL) or ["(its log is empty)"]
        return NodeFailure(f"node {self.name} {what}", place=place, hint=hint, detail=shown)

    def check(self) -> None:
        """Raise NodeFailure when the node said what no node may say, or printed more than its log may hold."""
        if self._cut is not None and time.monotonic() > self._cut_at + _LAST_WORDS:
            self._refused = self._refused or str(self._cut)
        if self._refused:
            raise NodeFailure(f"node {self.name} {self._refused}", hint=_REFUSED_HINT)
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > NODE_LOG.limit:
                raise self.failure(
                    f"filled its log: {self._log} has more than {NODE_LOG.limit >> 20} MiB",
                    hint="let its program print less",
                )

    def close(self) -> None:
        """End the node's input, which ends the node."""
        with contextlib.suppress(OSError):
            self._node.stdin.close()

    def join(self) -> None:
        """After the node is gone: take what it still reported."""
        self._reader.join(timeout=5)
        self.bound_log()
        if not self._reader.is_alive():
            self._node.stdout.close()

    def bound_log(self) -> None:
        """When the node prints no more: cut off what a log may not hold."""
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > NODE_LOG.limit:
                os.truncate(self._log, NODE_LOG.limit)

    def _write(self, data: bytes) -> None:
        try:
            self._node.stdin.write(data)
            self._node.stdin.flush()
        except OSError:
            raise self.failure(f"does not take commands ({self.exited or 'it is gone'})") from None

    def _read(self, output_log: BinaryIO) -> None:
        written = 0
        try:
            with output_log:
                for line in _bounded(self._node.stdout):
                    event = self._read_line(line)
                    if event is not None:
                        self._take(event)
                    elif line.strip() and not self._refused and written <= NODE_LOG.limit:
                        written += len(line)
                        with contextlib.suppress(OSError):  # a full disk must not make us deaf to the node
                            output_log.write(line)
        except (OSError, ValueError):  # the stream was closed under us by a teardown
            pass
        finally:  # whoever waits for the node must not wait in vain
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    def _read_line(self, line: bytes) -> Event | None:
        """After one line that is refused nothing of the node is believed; it is read so that its pipe does not fill."""
        if self._refused:
            return None
        try:
            event = self._lines.read(line)
            if self._cut is not None and line.strip():
                if event is None or event["ev"] != "exited":
                    raise self._cut
                self._cut = None
            if event is not None and event["ev"] == "done" and not 0 < event["id"] <= self._next_id:
                raise Refused(f"says that command {event['id']} is done, which it was not given")
        except Cut as cut:
            if self._cut is None:
                self._cut, self._cut_at = cut, time.monotonic()
                return None
            refused: Refused = self._cut
        except Refused as wrong:
            refused = wrong
        else:
            return event
        with self._changed:
            self._refused = str(refused)
            self._changed.notify_all()
        return None

    def _take(self, event: Event) -> None:
        kind = event["ev"]
        if kind not in ("ready", "done", "exited"):
            if kind in OF_COMMANDS:
                event["step"] = self._steps.get(event.get("id") or 0, "")
            self._on_event(self.name, event)
            return
        with self._changed:
            if kind == "ready":
                self.reported_ready = True
            elif kind == "done":
                self._done[event["id"]] = event
            else:
                self.exited = Exited(event.get("status"), event.get("signal"))
            self._changed.notify_all()
        if kind == "exited":
            self._on_event(self.name, event)


def _bounded(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream. Of one that is too long only what may be kept, and it ends as such a line may."""
    while line := stream.readline(NODE_LINE.limit):
        if len(line) == NODE_LINE.limit and not line.endswith(b"\n"):
            while (rest := stream.readline(NODE_LINE.limit)) and not rest.endswith(b"\n"):
                pass
            line += b" ... cut off by simctl\n"
        yield line
