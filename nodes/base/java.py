"""Starts a node's program in Java: compiles it once, keeps the result in a cache by the hash of what it was made from.

A kind has its sources in `src` and a run.py that says what it needs, as a `Program`. Sources that kinds share are in
`javasrc` beside this file. The folder `compiled` of the kind, which its image has, is looked in before the cache.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn

from cache import cache_folder
from knobs import KnobError, refuse_arguments

SHARED = Path(__file__).resolve().parent / "javasrc"
JARS = Path("/usr/share/java")
"""Where Debian has them."""
SHARED_JARS = ("gson",)
SHARED_PACKAGES = ("openjdk-17-jdk-headless", "libgoogle-gson-java")
"""What `javasrc` takes."""
OPTIONS = [
    # A quick start and a small process; a node is not there to win benchmarks.
    *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xmx128m", "-Xss512k"),
    "-Xlog:disable",  # warnings of the JVM itself would go to standard output
    "-Djava.net.preferIPv4Stack=true",
]
PROGRAM = "simctl.jar"
ARCHIVE = "classes.jsa"
"""Class data sharing: the program's classes as the JVM has them in memory. Measured with Jetty: ready after 0.25 s
instead of 0.8 s."""

_LONG_AGO = 946684800
"""When a program's jar was written, as its file has it. The JVM refuses an archive of classes whose jars have another
time by now, and mmdebstrap, as others who pack a file system, sets back to its beginning what was made since."""

_ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME")
"""What a rehearsal gets of ours: no knobs, they may be wrong."""


class Failure(Exception):
    """One line for the user."""


class Program(NamedTuple):
    """A program in Java. Its main class is simctl.Main."""

    folder: Path
    """The kind's; its name is the kind's."""
    jars: tuple[str, ...]
    """Of Debian, by their names without `.jar`, beyond those that all programs have."""
    packages: tuple[str, ...]
    """The Debian packages of its jars."""
    rehearsal: Literal["server", "client"]
    """How a fresh process is brought to use what it uses in a node, so that its classes are known: javarehearsal.py."""
    options: tuple[str, ...] = ()
    """For the JVM."""
    exports: tuple[str, ...] = ()
    """`module/package` of the JDK's own that it refers to."""

    @property
    def kind(self) -> str:
        return self.folder.name

    def export_options(self) -> list[str]:
        """For the JVM and the compiler."""
        return [word for export in self.exports for word in ("--add-exports", f"{export}=ALL-UNNAMED")]

    def jar_paths(self) -> list[Path]:
        return [JARS / f"{name}.jar" for name in (*self.jars, *SHARED_JARS)]


def main(program: Program, arguments: list[str]) -> int:
    """Become the program; returns the exit status when that fails.

    Arguments come from Compose files: all go to the program, none may choose what is written where.
    """
    try:
        run(program, prepared(program, [program.folder / "compiled", cache_folder(program.kind)]), arguments)
    except Failure as error:
        return complain(program, str(error))
    except OSError as error:
        return complain(
            program,
            f"{error.filename}: {error.strerror}; it needs {' '.join((*SHARED_PACKAGES, *program.packages))}, "
            "and a cache that can be written (XDG_CACHE_HOME)",
        )


def no_arguments(program: Program, arguments: list[str]) -> int:
    """main() for programs that take knobs only."""
    try:
        refuse_arguments(program.kind, arguments)
    except KnobError as error:
        return complain(program, str(error), 2)
    return main(program, [])


def prepare(program: Program, folder: Path | None = None) -> None:
    """Make what the first start would make, in `folder` or the cache."""
    prepared(program, [folder or cache_folder(program.kind)])


def prepared(program: Program, folders: list[Path]) -> Path:
    """The folder with the program made from these sources: in one of `folders`, or made in the last of them."""
    made_from = sha256(" ".join(program.options).encode())
    for folder in (SHARED, program.folder / "src"):
        for path in sorted(folder.rglob("*.java")):
            made_from.update(path.read_bytes())
    for jar in program.jar_paths():
        made_from.update(str(jar.resolve(strict=True)).encode())  # their names have the version
    names = [folder / made_from.hexdigest()[:16] for folder in folders]
    for name in names:
        if name.is_dir():
            return name
    if compile_to(program, names[-1]):
        archive(program, names[-1])
    return names[-1]


def compile_to(program: Program, target: Path) -> bool:
    """Compile into `target`, all or nothing. False: another node was faster, and its result stands."""
    import subprocess
    import tempfile
    import zipfile

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="compile-", dir=target.parent) as work:
        classes, result = Path(work) / "classes", Path(work) / "result"
        result.mkdir()
        # Of the shared sources only those that the program refers to.
        command = ["javac", "-J-XX:TieredStopAtLevel=1", "-encoding", "UTF-8", "-sourcepath", str(SHARED)]
        command += program.export_options()
        command += ["-cp", ":".join(map(str, program.jar_paths())) or "/", "-d", str(classes)]
        command += map(str, sorted((program.folder / "src").rglob("*.java")))
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            raise Failure(f"javac failed:\n{done.stdout}")
        with zipfile.ZipFile(result / PROGRAM, "w") as jar:
            for path in sorted(classes.rglob("*.class")):
                jar.write(path, path.relative_to(classes))
        os.utime(result / PROGRAM, (_LONG_AGO, _LONG_AGO))
        try:
            result.rename(target)
        except OSError:
            if not target.is_dir():
                raise
            return False
    return True


def archive(program: Program, folder: Path) -> None:
    """Rehearse, and keep the classes that were loaded. Without the archive the start is only slower.

    In the finished folder, because the archive holds for this very class path. In a process of its own, which may
    leave this network.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        _archive(program, folder)
    except (OSError, ValueError, KeyError) as error:
        complain(program, f"no class archive was made: {error}")
    finally:
        os._exit(0)


def _archive(program: Program, folder: Path) -> None:
    import subprocess

    import javarehearsal

    javarehearsal.leave_network()
    half_done = folder / f"{ARCHIVE}.{os.getpid()}"
    process = subprocess.Popen(
        java(program, folder, [f"-XX:ArchiveClassesAtExit={half_done}"]),
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | {"HTTP_PORT": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        javarehearsal.REHEARSALS[program.rehearsal](process)
        assert process.stdout is not None
        process.stdout.read()  # to its end
        process.wait()
        half_done.rename(folder / ARCHIVE)
    except BaseException:
        process.kill()
        half_done.unlink(missing_ok=True)
        raise


def run(program: Program, folder: Path, arguments: list[str]) -> NoReturn:
    os.execvp("java", java(program, folder, [f"-XX:SharedArchiveFile={folder / ARCHIVE}"], arguments))


def java(program: Program, folder: Path, options: list[str], arguments: list[str] | None = None) -> list[str]:
    class_path = ":".join(map(str, [folder / PROGRAM, *program.jar_paths()]))
    options = [*OPTIONS, *program.export_options(), *program.options, *options]
    return ["java", *options, "-cp", class_path, "simctl.Main", *(arguments or [])]


def complain(program: Program, message: str, status: int = 1) -> int:
    print(f"{program.kind}: {message}", file=sys.stderr)
    return status
