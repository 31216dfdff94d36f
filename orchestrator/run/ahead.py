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

    def begin(self) -> None:
        """To be called once, when there is nothing left that such work would hold up."""
        self._thread.start()

    def _import(self) -> None:
        for module in self._modules:
            try:
                importlib.import_module(module)
            except Exception:  # whoever imports it where it is needed meets the same, and tells it
                return

    def wait(self) -> None:
        """Until they are there, or were found not to be."""
        if self._thread.ident is not None:
            self._thread.join()
