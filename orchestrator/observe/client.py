"""Our end of the probe: sends it requests, and passes its events on as they come."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.observe.process import ProbeProcess
from orchestrator.system.tail import tail

_ANSWER_TIMEOUT = 60.0
_END_TIMEOUT = 5.0
_LOOKS = 5


_FAILED = {
    "watch": "the nodes could not be watched",
    "wire": "the networks of the lab could not be made",
    "fault": "the network could not be changed",
    "capture": "the capture could not be started",
    "sample": "the sockets could not be sampled",
}
"""Request -> what failed, for a user who knows nothing of requests."""


class ProbeClient:
    """One probe. `on_lines` gets the raw event lines from a thread of ours; `log` is where its standard error goes."""

    def __init__(self, process: ProbeProcess, log: Path, on_lines: Callable[[bytes], None]) -> None:
        self._process = process
        self._log = log
        self._on_lines = on_lines
        self._answers: dict[int, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._next_id = 0
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="probe-reader", daemon=True)
        self._reader.start()

    def call(self, do: str, *, timeout: float = _ANSWER_TIMEOUT, **fields: Any) -> dict[str, Any]:
        """Send a request, and wait for the answer; any thread may. Raises EnvironmentFailure when the probe refuses,
        ends or hangs."""
        with self._writing:
            self._next_id += 1
            request_id = self._next_id
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
            raise EnvironmentFailure(f"{_FAILED.get(do, f'the probe could not {do}')}: {answer['error']}")
        return answer

    @property
    def here(self) -> bool:
        """Whether it runs on this machine, beside us."""
        return self._process.here

    def clock_at(self, ours: float) -> float:
        """What the probe's monotonic clock showed, s, when ours showed `ours`: the quickest of some looks."""
        if self.here:
            return ours
        looks = []
        for _ in range(_LOOKS):
            before = time.monotonic()
            theirs = self.call("clock")["now"]
            after = time.monotonic()
            looks.append((after - before, theirs - (before + after) / 2))
        return float(ours + min(looks)[1])

    def claim(self, sizes: Mapping[str, int], fixed: Mapping[str, IPv4Network] | None = None) -> dict[str, IPv4Network]:
        """As SubnetClaim.claim, on the probe's machine and held by the probe. Before `start`."""
        given = {name: str(subnet) for name, subnet in (fixed or {}).items()}
        answer = self.call("claim", sizes=dict(sizes), fixed=given)
        if "refused" in answer:
            kind = InputError if answer["usage"] else EnvironmentFailure
            raise kind(answer["refused"], hint=answer["hint"])
        return {name: IPv4Network(subnet) for name, subnet in answer["subnets"].items()}

    def listening(self, node: str) -> list[int]:
        """Ports on which a node that is watched listens now."""
        return list(self.call("listening", node=node)["ports"])

    def start_capture(self, folder: Path) -> None:
        """After `wire`: a file for each network, in `folder` once `end_capture` has returned."""
        self.call("capture", folder=str(self._process.captures(folder)))

    def end_capture(self, folder: Path) -> list[str]:
        """Returns a line for each file, what is in it. Raises EnvironmentFailure; a line says what could not be had."""
        notes: list[str] = self.call("capture_end")["notes"]
        try:
            self._process.bring_captures(folder)
        except (EnvironmentFailure, OSError) as error:
            return [*notes, f"capture: the files could not be written into {folder.name}: {error}"]
        return notes

    @property
    def alive(self) -> bool:
        return not self._ended

    def begin_close(self) -> None:
        """End the probe's input: it ends, and everything that it made in the kernel goes with it."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def close(self) -> None:
        """Wait until the probe is gone."""
        self.begin_close()
        self._process.end(_END_TIMEOUT)
        self._reader.join(timeout=5)

    def _lost(self, do: str) -> EnvironmentFailure:
        lines = tail(self._log, 10)
        return EnvironmentFailure(
            f"the probe, which watches the nodes, ended during the request `{do}`",
            hint=f"something killed it, or it broke down: see {self._log}",
            detail=lines,
        )

    def _read(self) -> None:
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
