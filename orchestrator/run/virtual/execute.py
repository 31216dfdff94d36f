"""One run in a virtual machine: the order goes in, time runs, the recording comes out."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.errors import EnvironmentFailure, InputError, raise_problems
from orchestrator.kinds.registry import Kind
from orchestrator.recording.folder import RunFolder
from orchestrator.run.options import Options
from orchestrator.run.virtual.order import problem_of, to_facts
from orchestrator.text.progress import Progress
from orchestrator.topology.model import Topology
from orchestrator.vm import bundle
from orchestrator.vm.emulator import SILENCE, Emulator
from orchestrator.vm.exchange import Exchange, Full
from orchestrator.vm.machine import STATE, Machine
from orchestrator.vm.seed import variation
from orchestrator.vm.snapshot import ensure_snapshot


class VirtualMachine:
    """A frozen guest; every run thaws a copy of its own."""

    def __init__(self, machine: Machine, progress: Progress, *, silence: float = SILENCE) -> None:
        self._machine = machine
        self._progress = progress
        self._silence = silence

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
            machine = _seeded(self._machine, options.seed)
            with Emulator(machine, exchange, fresh=False, progress=self._progress, silence=self._silence) as emulator:
                emulator.thaw(machine.home / STATE)
                emulator.run()
                wall = time.monotonic() - began
                result = _take(exchange, folder)
        finally:
            exchange.close()
        _tell(result, folder, wall=round(wall, 3), seed=options.seed, snapshot=machine.home.name)


def _seeded(machine: Machine, seed: int | None) -> Machine:
    return machine if seed is None else replace(machine, shift=variation(seed).shift)


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


def _tell(result: bundle.Facts, folder: RunFolder, **facts: object) -> None:
    """Turn what went wrong inside into an error, and note what decided the run and how long it really took."""
    if "wrong" in result:
        folder.remove()
        raise_problems([problem_of(facts) for facts in result["wrong"]], "the topology")
    if "broken" in result:
        raise EnvironmentFailure("simctl broke down in the guest", detail=[str(line) for line in result["broken"]])
    if result.get("too_large"):
        raise EnvironmentFailure("the recording is too large to be taken out of the guest")
    if folder.env.exists():
        known = json.loads(folder.env.read_text())
        folder.write_environment({**known, "virtual": {"seconds": result["seconds"], **facts}})
    if "failed" in result:
        if not folder.events.exists():
            folder.remove()
        failed = result["failed"]
        raise EnvironmentFailure(failed["message"], hint=failed["hint"], detail=failed["detail"])
