"""One run in a virtual machine: the order goes in, time runs, the recording comes out."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.recording.folder import RunFolder
from orchestrator.run import Options, Progress
from orchestrator.topology.kinds import Kind
from orchestrator.topology.model import Topology
from orchestrator.vm import bundle
from orchestrator.vm.emulator import Emulator
from orchestrator.vm.exchange import Exchange, Full
from orchestrator.vm.machine import STATE, Machine
from orchestrator.vm.order import to_facts
from orchestrator.vm.snapshot import ensure_snapshot


class VirtualMachine:
    """A frozen guest; every run thaws a copy of its own."""

    def __init__(self, machine: Machine, progress: Progress) -> None:
        self._machine = machine
        self._progress = progress

    @classmethod
    def ready(cls, kinds: Mapping[str, Kind], progress: Progress) -> VirtualMachine:
        """With image and snapshot made where they are missing. Raises EnvironmentFailure."""
        return cls(ensure_snapshot(kinds, progress), progress)

    def run(self, scenario: Mapping[str, Any], topology: Topology, options: Options, folder: RunFolder) -> None:
        """Execute the steps and fill the run's folder. `scenario` is the file's data. Raises EnvironmentFailure."""
        exchange = Exchange.create()
        try:
            _give(exchange, scenario, topology, options)
            began = time.monotonic()
            with Emulator(self._machine, exchange, fresh=False, progress=self._progress) as emulator:
                emulator.thaw(self._machine.home / STATE)
                emulator.run()
                wall = time.monotonic() - began
                result = _take(exchange, folder)
        finally:
            exchange.close()
        _tell(result, wall, folder)


def _give(exchange: Exchange, scenario: Mapping[str, Any], topology: Topology, options: Options) -> None:
    facts, files = to_facts(scenario, topology, options)
    try:
        exchange.put(bundle.pack(facts, files))
    except OSError as error:
        raise InputError(f"the volume {error.filename} cannot be read: {error.strerror}") from None
    except Full:
        raise InputError("the volumes are too large for a virtual machine", hint="use --runtime netns") from None


def _take(exchange: Exchange, folder: RunFolder) -> bundle.Facts:
    for empty in (folder.ss, folder.logs):
        empty.rmdir()  # made again when anything is in them
    try:
        result = bundle.unpack(exchange.reader(), folder.path)
    except bundle.BundleError as error:
        raise EnvironmentFailure(f"what the guest gave back is no recording: {error}") from None
    for needed in (folder.ss, folder.logs):
        needed.mkdir(exist_ok=True)
    return result


def _tell(result: bundle.Facts, wall: float, folder: RunFolder) -> None:
    """Turn what went wrong inside into an error, and note how long the run really took."""
    if "broken" in result:
        raise EnvironmentFailure("simctl broke down in the guest", detail=[str(line) for line in result["broken"]])
    if result.get("too_large"):
        raise EnvironmentFailure("the recording is too large to be taken out of the guest")
    if folder.env.exists():
        facts = json.loads(folder.env.read_text())
        facts["virtual"] = {"seconds": result["seconds"], "wall": round(wall, 3)}
        folder.write_environment(facts)
    if "failed" in result:
        if not folder.events.exists():
            folder.remove()
        failed = result["failed"]
        raise EnvironmentFailure(failed["message"], hint=failed["hint"], detail=failed["detail"])
