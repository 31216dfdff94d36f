"""What is needed after a recording, imported while it is made: in the waits of a run that is no time, and the judge,
the report and their libraries are half of all that a run imports."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable


class Ahead:
    """Imports modules in a thread. Nobody else imports them before `wait` returned."""

    def __init__(self, modules: Iterable[str]) -> None:
        """`package.module`; with `:function`, that is called too: it keeps what it made."""
        self._modules = tuple(modules)
        self._thread = threading.Thread(target=self._import, name="imports")

    def begin(self) -> None:
        """To be called once, when there is nothing left that such work would hold up."""
        self._thread.start()

    def _import(self) -> None:
        for each in self._modules:
            module, _, function = each.partition(":")
            try:
                found = importlib.import_module(module)
                if function:
                    getattr(found, function)()
            except Exception:  # whoever imports it where it is needed meets the same, and tells it
                return

    def wait(self) -> None:
        """Until they are there, or were found not to be."""
        if self._thread.ident is not None:
            self._thread.join()
