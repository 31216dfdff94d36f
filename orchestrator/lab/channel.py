"""The control channel to one node: its standard streams, never TCP, so that simctl is in no table that it measures."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from orchestrator.errors import NodeFailure, Place
from orchestrator.recording.events import Event
from orchestrator.runtimes.base import Exited, StartedNode

_LOG_TAIL = 15
"""Lines of a node's log that an error shows."""


class Channel:
    """Writes commands, reads events in a thread of its own. `on_event` gets every event but `ready` and `done`."""

    def __init__(self, node: StartedNode, log: Path, on_event: Callable[[str, Event], None]) -> None:
        self.name = node.name
        self._node = node
        self._log = log
        self._on_event = on_event
        self._changed = threading.Condition()
        self._done: dict[int, Event] = {}
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

    def command(self, do: str, **fields: Any) -> int:
        """Send a command to a client; returns its id for `wait_done`."""
        self._next_id += 1
        self._write(json.dumps({"id": self._next_id, "do": do, **fields}).encode() + b"\n")
        return self._next_id

    def wait_done(self, command_id: int, check: Callable[[], None] = lambda: None, *, every: float = 0.25) -> None:
        """Until the client is through with the command. Raises NodeFailure when it ends or refuses it.

        `check` is called every so many seconds, and may raise: a lab that is not whole need not be waited for.
        """
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: command_id in self._done or not self.alive, every):
                    done = self._done.pop(command_id, None)
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
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        shown = [line for line in lines if line.strip()][-_LOG_TAIL:]
        return NodeFailure(f"node {self.name} {what}", place=place, hint=hint, detail=shown or ["(its log is empty)"])

    def close(self) -> None:
        """End the node's input, which ends the node."""
        with contextlib.suppress(OSError):
            self._node.stdin.close()

    def join(self) -> None:
        """After the node is gone: take what it still reported."""
        self._reader.join(timeout=5)
        if not self._reader.is_alive():
            self._node.stdout.close()

    def _write(self, data: bytes) -> None:
        try:
            self._node.stdin.write(data)
            self._node.stdin.flush()
        except OSError:
            raise self.failure(f"does not take commands ({self.exited or 'it is gone'})") from None

    def _read(self, output_log: BinaryIO) -> None:
        with output_log:
            try:
                for line in self._node.stdout:
                    event = _event(line)
                    if event is not None:
                        self._take(event)
                    elif line.strip():
                        with contextlib.suppress(OSError):  # a full disk must not make us deaf to the node
                            output_log.write(line)
            except (OSError, ValueError):  # the stream was closed under us by a teardown
                pass
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, event: Event) -> None:
        kind = event["ev"]
        if kind not in ("ready", "done", "exited"):
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


def _event(line: bytes) -> Event | None:
    if not line.startswith(b"{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("ev"), str) else None
