"""Runs gunicorn in this process, by its documented way for custom applications: no file or variable configures it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import Knobs


def serve(knobs: Knobs, folder: Path) -> NoReturn:
    settings = {
        "bind": f"0.0.0.0:{knobs.number('HTTP_PORT', 8080, at_least=1, at_most=65535)}",
        "worker_class": knobs.word("WORKER_CLASS", "gthread", "gthread", "sync"),
        "workers": knobs.number("WORKERS", 1, at_least=1),
        "threads": knobs.number("THREADS", 1, at_least=1),
        "keepalive": knobs.whole_seconds("KEEPALIVE_TIMEOUT", 2, at_least=0),
        "backlog": knobs.number("BACKLOG", 2048, at_least=1),
        "worker_tmp_dir": str(folder),
    }
    if knobs.word("KEEPALIVE_REQUESTS", "0", "0", "1") == "1":
        settings["keepalive"] = 0
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    class Node(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Callable[..., object]:
            from wsgi_answers import application

            return application

    Node().run()
    sys.exit()


if __name__ == "__main__":
    native.main("gunicorn", serve, package="python3-gunicorn")
