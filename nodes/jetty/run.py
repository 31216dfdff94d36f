"""Starts Jetty, as java.py starts programs. All arguments go to the program."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import java

HERE = Path(__file__).resolve().parent
PROGRAM = java.Program(
    folder=HERE,
    jars=("jetty9-server", "jetty9-http", "jetty9-io", "jetty9-util", "servlet-api"),
    packages=("libjetty9-java",),
    options=(
        "-Dorg.eclipse.jetty.util.log.class=org.eclipse.jetty.util.log.StdErrLog",
        "-Dorg.eclipse.jetty.util.log.announce=false",
        "-Dorg.eclipse.jetty.LEVEL=WARN",
    ),
    rehearsal="server",
)

if __name__ == "__main__":
    sys.exit(java.main(PROGRAM, sys.argv[1:]))
