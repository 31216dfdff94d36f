"""gunicorn in this process, by its documented way for custom applications: no file or variable configures it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from knobs import Knobs


def common_settings(knobs: Knobs, folder: Path, *, threads: int) -> dict[str, Any]:
    """gunicorn's settings that every kind on it has, with gunicorn's defaults but for `threads`. Raises KnobError."""
    return {
        "bind": f"0.0.0.0:{knobs.port('HTTP_PORT', 8080)}",
        "worker_class": "gthread",
        "workers": knobs.number("WORKERS", 1, at_least=1),
        "threads": knobs.number("THREADS", threads, at_least=1),
        "keepalive": knobs.whole_seconds("KEEPALIVE_TIMEOUT", 2, at_least=0),
        "backlog": knobs.number("BACKLOG", 2048, at_least=1),
        "worker_tmp_dir": str(folder),
    }


def run(settings: Mapping[str, Any], load: Callable[[], Callable[..., object]]) -> NoReturn:
    """Serve until a signal ends it. `load` makes the WSGI application, in each worker process: a pool's threads and
    connections do not survive a fork."""
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    class Node(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Callable[..., object]:
            return load()

    Node().run()
    sys.exit()
