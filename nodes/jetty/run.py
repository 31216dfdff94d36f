"""Starts Jetty: compiles src/ once, keeps the result in a cache by the hash of what it was made from, and runs java.

The folder `compiled` beside this file, which the image has, is looked in before the cache. All arguments go to the
program: they come from Compose files, so none may choose what is written where.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
JAVA = Path("/usr/share/java")
JARS = [JAVA / f"{name}.jar" for name in ("jetty9-server", "jetty9-http", "jetty9-io", "jetty9-util", "servlet-api")]
OPTIONS = [
    # A quick start and a small process; a node is not there to win benchmarks.
    *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xmx128m", "-Xss512k"),
    "-Xlog:disable",  # warnings of the JVM itself would go to standard output
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.eclipse.jetty.util.log.class=org.eclipse.jetty.util.log.StdErrLog",
    "-Dorg.eclipse.jetty.util.log.announce=false",
    "-Dorg.eclipse.jetty.LEVEL=WARN",
]
PROGRAM = "simctl.jar"
ARCHIVE = "classes.jsa"
"""Class data sharing: Jetty's classes as the JVM has them in memory. Measured: ready after 0.25 s instead of 0.8 s."""


class Failure(Exception):
    """One line for the user."""


def main(arguments: list[str]) -> int:
    try:
        run(prepared([HERE / "compiled", cache()]), arguments)
    except Failure as error:
        return complain(str(error))
    except OSError as error:
        return complain(
            f"{error.filename}: {error.strerror}; it needs openjdk-17-jdk-headless and libjetty9-java, "
            "and a cache that can be written (XDG_CACHE_HOME)"
        )


def prepared(folders: list[Path]) -> Path:
    """The folder with the program made from these sources: in one of `folders`, or made in the last of them."""
    sources = sorted((HERE / "src").rglob("*.java"))
    made_from = sha256()
    for path in sources:
        made_from.update(path.read_bytes())
    for jar in JARS:
        made_from.update(str(jar.resolve(strict=True)).encode())  # their names have the version
    names = [folder / made_from.hexdigest()[:16] for folder in folders]
    for name in names:
        if name.is_dir():
            return name
    if compile_to(names[-1], sources):
        archive(names[-1])
    return names[-1]


def compile_to(target: Path, sources: list[Path]) -> bool:
    """Compile into `target`, all or nothing. False: another node was faster, and its result stands."""
    import subprocess
    import tempfile
    import zipfile

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="compile-", dir=target.parent) as work:
        classes, result = Path(work) / "classes", Path(work) / "result"
        result.mkdir()
        command = ["javac", "-J-XX:TieredStopAtLevel=1", "-cp", ":".join(map(str, JARS)), "-d", str(classes)]
        if subprocess.run([*command, *map(str, sources)], stdin=subprocess.DEVNULL, stdout=2, check=False).returncode:
            raise Failure("javac failed, see above")
        with zipfile.ZipFile(result / PROGRAM, "w") as jar:
            for path in sorted(classes.rglob("*.class")):
                jar.write(path, path.relative_to(classes))
        try:
            result.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            return False
    return True


def archive(folder: Path) -> None:
    """Let the program answer one request, and keep the classes that it loaded. Without it the start is only slower.

    In the finished folder, because the archive holds for this very class path. The request is on loopback, before
    the node is ready, and ends by RST: it leaves no TIME_WAIT in the node.
    """
    import json
    import socket
    import struct
    import subprocess

    half_done = folder / f"{ARCHIVE}.{os.getpid()}"
    with subprocess.Popen(
        java(folder, [f"-XX:ArchiveClassesAtExit={half_done}"]),
        env={**os.environ, "HTTP_PORT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        try:
            port = json.loads(program.stdout.readline())["port"]
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                client.recv(4096)
        except (OSError, ValueError) as error:
            print(f"jetty: no class archive was made: {error}", file=sys.stderr)
        program.terminate()
        program.stdout.read()
    if half_done.exists():
        half_done.rename(folder / ARCHIVE)


def run(folder: Path, arguments: list[str]) -> NoReturn:
    os.execvp("java", java(folder, [f"-XX:SharedArchiveFile={folder / ARCHIVE}"], arguments))


def java(folder: Path, options: list[str], arguments: list[str] | None = None) -> list[str]:
    class_path = ":".join(map(str, [folder / PROGRAM, *JARS]))
    return ["java", *OPTIONS, *options, "-cp", class_path, "simctl.Main", *(arguments or [])]


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "simctl" / "jetty"


def complain(message: str) -> int:
    print(f"jetty: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
