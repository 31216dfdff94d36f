"""Starts Jetty: compiles src/ once, keeps the classes in a cache by the hash of what they were made from, runs java.

`run.py --compile-to FOLDER` only compiles, as the image does when it is built; the classes beside this file are
looked for before the cache. Other arguments go to the program.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
JAVA = Path("/usr/share/java")
JARS = [JAVA / f"{name}.jar" for name in ("jetty9-server", "jetty9-http", "jetty9-io", "jetty9-util", "servlet-api")]
OPTIONS = [
    # A quick start and a small process; a node is not there to win benchmarks.
    *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto", "-Xmx128m", "-Xss512k"),
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.eclipse.jetty.util.log.class=org.eclipse.jetty.util.log.StdErrLog",
    "-Dorg.eclipse.jetty.LEVEL=WARN",
]


def main(arguments: list[str]) -> int:
    if missing := [str(jar) for jar in JARS if not jar.exists()]:
        return complain(f"{missing[0]} is missing: apt-get install libjetty9-java")
    sources = sorted((HERE / "src").rglob("*.java"))
    try:
        if arguments[:1] == ["--compile-to"] and len(arguments) == 2:
            classes(sources, [Path(arguments[1])])
            return 0
        run(classes(sources, [HERE / "classes", cache()]), arguments)
    except FileNotFoundError as error:
        return complain(f"{error.filename} is missing: apt-get install openjdk-17-jdk-headless")
    except OSError as error:
        return complain(f"{error.filename}: {error.strerror}; XDG_CACHE_HOME says where the cache is")
    except subprocess.CalledProcessError as error:
        return complain(f"javac ended with {error.returncode}")


def classes(sources: list[Path], folders: list[Path]) -> Path:
    """The folder with the classes of these sources: found in one of `folders`, or compiled into the last of them."""
    made_from = hashlib.sha256()
    for path in sources:
        made_from.update(path.read_bytes())
    for jar in JARS:
        made_from.update(str(jar.resolve()).encode())  # their names have the version
    names = [folder / made_from.hexdigest()[:16] for folder in folders]
    for name in names:
        if name.is_dir():
            return name
    target = names[-1]
    target.parent.mkdir(parents=True, exist_ok=True)
    work = tempfile.mkdtemp(prefix="compile-", dir=target.parent)
    try:
        subprocess.run(
            ["javac", "-J-XX:TieredStopAtLevel=1", "-cp", class_path(), "-d", work, *map(str, sources)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=2,
        )
        Path(work).chmod(0o755)
        # All or nothing. When another node was faster, its folder stands and ours is thrown away.
        Path(work).rename(target)
    except OSError:
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def run(folder: Path, arguments: list[str]) -> NoReturn:
    os.execvp("java", ["java", *OPTIONS, "-cp", class_path(folder), "simctl.Main", *arguments])


def class_path(*folders: Path) -> str:
    return ":".join(map(str, [*folders, *JARS]))


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "simctl" / "jetty"


def complain(message: str) -> int:
    print(f"jetty: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
