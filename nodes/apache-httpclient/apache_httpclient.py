"""Starts the client on Apache HttpClient, as java.py starts programs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import java

HERE = Path(__file__).resolve().parent
PROGRAM = java.Program(
    folder=HERE,
    jars=("httpclient", "httpcore", "commons-logging", "commons-codec"),
    packages=("libhttpclient-java",),
    options=(
        # Silent, as without any logging library; its words are in the exceptions.
        "-Dorg.apache.commons.logging.Log=org.apache.commons.logging.impl.NoOpLog",
    ),
    rehearsal="client",
)

if __name__ == "__main__":
    sys.exit(java.no_arguments(PROGRAM, sys.argv[1:]))
