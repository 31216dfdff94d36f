"""Starts the client on java.net.http, as java.py starts programs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import java

HERE = Path(__file__).resolve().parent
PROGRAM = java.Program(
    folder=HERE,
    jars=(),
    packages=(),
    options=(
        "-Djava.nio.channels.spi.SelectorProvider=simctl.RecordingProvider",
        # The library refuses these headers otherwise; a command may ask for them.
        "-Djdk.httpclient.allowRestrictedHeaders=connection,host",
    ),
    exports=("java.base/sun.nio.ch",),
    rehearsal="client",
)

if __name__ == "__main__":
    sys.exit(java.no_arguments(PROGRAM, sys.argv[1:]))
