"""Starts the client on OkHttp, as java.py starts programs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import java

HERE = Path(__file__).resolve().parent
PROGRAM = java.Program(folder=HERE, jars=("okhttp", "okio"), packages=("libokhttp-java",), rehearsal="client")

if __name__ == "__main__":
    sys.exit(java.no_arguments(PROGRAM, sys.argv[1:]))
