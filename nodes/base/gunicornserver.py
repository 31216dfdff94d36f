"""gunicorn in this process, by its documented way for custom applications: no file or variable configures it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import native
from knobs import Knobs

_SETTINGS = "settings.json"
"""What a reload leaves in the folder, for the arbiter to read at SIGHUP."""


def common_settings(knobs: Knobs, folder: Path, *, threads: int) -> dict[str, Any]:
    """gunicorn's settings that every kind on it has, with gunicorn's defaults but for `threads`. Raises KnobError."""
    return {
        "bind": f"0.0.0.0:{knobs.port('HTTP_PORT', 8080)}",
        "worker_class": "gthread",
        "workers": knobs.number("WORKERS", 1, at_least=1),
        "threads": knobs.number("THREADS", threads, at_least=1),
        "keepalive": knobs.whole_seconds("KEEPALIVE_TIMEOUT", 2, at_least=0),
        "backlog": knobs.number("BACKLOG", 2048, at_least=1),
        "max_requests": knobs.number("MAX_REQUESTS", 0),
        "graceful_timeout": knobs.whole_seconds("GRACEFUL_TIMEOUT", 30),
        "worker_tmp_dir": str(folder),
    }


def run(settings: Mapping[str, Any], load: Callable[[], Callable[..., object]]) -> NoReturn:
    """Serve until a signal ends it; or, to reload, leave the settings for who serves. `load` makes the WSGI
    application, in each worker process: a pool's threads and connections do not survive a fork."""
    changed = Path(settings["worker_tmp_dir"], _SETTINGS)
    if native.reloading():
        changed.write_text(json.dumps(dict(settings)))
        sys.exit(0)
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    class Node(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            current = json.loads(changed.read_text()) if changed.exists() else settings
            for name, value in current.items():
                self.cfg.set(name, value)

        def load(self) -> Callable[..., object]:
            return load()

    Node().run()
    sys.exit()
