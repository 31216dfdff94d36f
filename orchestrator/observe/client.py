"""Our end of the probe: starts it, asks it, and passes its events on as they come."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import EnvironmentFailure

_ANSWER_TIMEOUT = 60.0


class ProbeClient:
    """One probe process. `on_lines` gets the raw event lines from a thread of ours."""

    def __init__(self, command: Sequence[str], log: Path, on_lines: Callable[[bytes], None]) -> None:
        self._log = log
        self._on_lines = on_lines
        self._answers: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._next_id = 0
        self._ended = False
        with log.open("ab") as log_file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log_file, start_new_session=True
            )
        self._reader = threading.Thread(target=self._read, name="probe-reader", daemon=True)
        self._reader.start()

    def call(self, do: str, *, timeout: float = _ANSWER_TIMEOUT, **fields: Any) -> dict[str, Any]:
        """Ask, and wait for the answer. Raises EnvironmentFailure when the probe refuses, ends or hangs."""
        self._next_id += 1
        request_id = self._next_id
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"id": request_id, "do": do, **fields}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._lost(do) from None
        with self._changed:
            if not self._changed.wait_for(lambda: request_id in self._answers or self._ended, timeout):
                raise EnvironmentFailure(f"the probe did not answer `{do}` within {timeout:g} s")
            answer = self._answers.pop(request_id, None)
        if answer is None:
            raise self._lost(do)
        if "error" in answer:
            raise EnvironmentFailure(f"the probe could not {do}: {answer['error']}")
        return answer

    @property
    def alive(self) -> bool:
        return not self._ended

    def begin_close(self) -> None:
        """End the probe's input: it ends, and everything that it made in the kernel goes with it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def close(self) -> None:
        """Wait until the probe is gone."""
        self.begin_close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=5)

    def _lost(self, do: str) -> EnvironmentFailure:
        lines = self._log.read_text(errors="replace").splitlines()[-10:]
        return EnvironmentFailure(f"the probe ended while it was asked to {do}", detail=lines)

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                if line.startswith(b'{"re":'):
                    answer = json.loads(line)
                    with self._changed:
                        self._answers[answer["re"]] = answer
                        self._changed.notify_all()
                else:
                    self._on_lines(line)
        finally:  # whoever waits for an answer must not wait in vain
            with self._changed:
                self._ended = True
                self._changed.notify_all()
