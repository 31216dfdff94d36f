"""Requests about the machine that the probe is on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.observe.requests import Handlers, Message

if TYPE_CHECKING:
    from orchestrator.observe.engineside import EngineSide


class Machine:
    """`engine`: for a probe in a container, the way to the engine's machine."""

    def __init__(self, engine: EngineSide | None = None) -> None:
        self._engine = engine
        self.handlers: Handlers = {
            "clock": lambda message: {"now": time.monotonic()},
            "claim": self._claim,
            "leftovers": self._leftovers,
            "abilities": self._abilities,
            "faults": self._faults,
        }

    @property
    def records(self) -> Path:
        """Where the records of trace instances are."""
        from orchestrator.observe.trace.tracefs import RECORDS

        return RECORDS if self._engine is None else self._engine.path(RECORDS)

    def _claim(self, message: Message) -> Message:
        assert self._engine is not None
        return self._engine.claim(message["sizes"], message["fixed"])

    def _leftovers(self, message: Message) -> Message:
        from orchestrator.observe.trace.tracefs import remove_leftovers

        return {"removed": remove_leftovers(self.records)}

    def _faults(self, message: Message) -> Message:
        from orchestrator.observe.abilities import try_faults

        return {"outcome": try_faults(message["names"], user_namespace=os.geteuid() != 0).outcome()}

    def _abilities(self, message: Message) -> Message:
        from orchestrator.observe.abilities import try_lab

        return {"outcome": try_lab(user_namespace=False).outcome()}
