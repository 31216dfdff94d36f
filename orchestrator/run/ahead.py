"""What is needed after a recording, imported while it is made: in the waits of a run that is no time, and the judge,
the report and their libraries are half of all that a run imports."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable


class Ahead:
    """Imports modules in a thread. Nobody else imports them before `wait` returned."""

    def __init__(self, modules: Iterable[str]) -> None:
        self._modules = tuple(modules)
        self._thread = threading.Thread(target=self._import, name="imports")
        self._thread.start()

    def _import(self) -> None:
        for module in self._modules:
            try:
                importlib.import_module(module)
            except Exception:  # whoever imports it where it is needed meets the same, and tells it
                return

    def wait(self) -> None:
        """Until they are there, or were found not to be."""
        self._thread.join()
