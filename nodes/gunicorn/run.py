"""Runs gunicorn in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import gunicornserver
import native
from knobs import Knobs


def serve(knobs: Knobs, folder: Path) -> NoReturn:
    settings = gunicornserver.common_settings(knobs, folder, threads=1)
    settings["worker_class"] = knobs.word("WORKER_CLASS", "gthread", "gthread", "sync")
    if knobs.one_request_each("KEEPALIVE_REQUESTS"):
        settings["keepalive"] = 0
    gunicornserver.run(settings, _application)


def _application() -> Callable[..., object]:
    from wsgi_app import application

    return application


if __name__ == "__main__":
    native.main("gunicorn", serve, package="python3-gunicorn")
