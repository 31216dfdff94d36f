"""Starts Tomcat, as java.py starts programs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import java

HERE = Path(__file__).resolve().parent
PROGRAM = java.Program(
    folder=HERE,
    jars=("tomcat10-embed-core",),
    packages=("libtomcat10-embed-java",),
    rehearsal="server",
)

if __name__ == "__main__":
    sys.exit(java.no_arguments(PROGRAM, sys.argv[1:]))
