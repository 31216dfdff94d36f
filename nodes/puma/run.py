"""Starts Puma with a configuration of its own and the application in app.rb."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import Knobs

CONFIGURATION = """\
require {app!r}
app App
bind "tcp://0.0.0.0:{port}?backlog={backlog}"
persistent_timeout {idle}
max_fast_inline {inline}
queue_requests {queue}
threads 0, {threads}
workers {workers}
"""


def command(knobs: Knobs, folder: Path) -> list[str]:
    last = knobs.one_request_each("KEEPALIVE_REQUESTS")
    text = CONFIGURATION.format(
        app=str(Path(__file__).resolve().with_name("app.rb")),
        port=knobs.port("HTTP_PORT", 8080),
        backlog=knobs.number("BACKLOG", 1024, at_least=1),
        idle=knobs.whole_seconds("KEEPALIVE_TIMEOUT", 20),
        inline=knobs.number("MAX_FAST_INLINE", 10, at_least=1),
        queue="true" if knobs.truth("QUEUE_REQUESTS", True) and not last else "false",
        threads=knobs.number("THREADS", 5, at_least=1),
        workers=knobs.number("WORKERS", 0),
    )
    configuration = folder / "puma.rb"
    configuration.write_text(text)
    return ["puma", "--config", str(configuration)]


if __name__ == "__main__":
    native.main("puma", command, package="puma")
