"""Starts PostgreSQL: makes an empty data directory once, copies it for this node, and sees to the server until it ends.

initdb takes a second, so what it made is kept: in the folder `made` beside this file, which the image has, or in a
cache. Neither it nor the server runs as root, so this program becomes somebody else.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

from cache import cache_folder
from events import emit
from knobs import KnobError, Knobs, refuse_arguments
from native import end
from users import exist_here

HERE = Path(__file__).resolve().parent
PROGRAMS = Path("/usr/lib/postgresql/15/bin")
INITDB = [
    *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"),
    *("--wal-segsize=1", "--no-sync", "--no-instructions"),
]
SMALLER = "UPDATE pg_database SET datistemplate = false;\nDROP DATABASE template0;\nDROP DATABASE template1;\n"
"""Two thirds of a new data directory are for making further databases from; a node's copy lies in memory."""
STOP = {signal.SIGTERM, signal.SIGINT}
AWAITED = {*STOP, signal.SIGCHLD}

FALLBACK_ID = 1000
"""Who is not allowed to be anybody but root becomes this user of a user namespace, which is still itself outside."""

_CLONE_NEWIPC, _CLONE_NEWUSER = 0x08000000, 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


class Failure(Exception):
    """One line for the user."""


def main() -> int:
    try:
        refuse_arguments("postgres", sys.argv[1:])
        settings = configuration(Knobs())
        folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        data = shutil.copytree(prepared([HERE / "made", cache_folder("postgres")]), folder / "data")
        with (data / "postgresql.conf").open("a") as file:
            file.write(settings)
        with (data / "pg_hba.conf").open("a") as file:
            file.write("host all all all trust\n")
        become_somebody(folder)
        return serve(data)
    except KnobError as error:
        end("postgres", str(error), 2)
    except Failure as error:
        end("postgres", str(error), 1)
    except OSError as error:
        end("postgres", f"{error.filename or PROGRAMS}: {error.strerror}; it needs the Debian package postgresql-15", 1)


def configuration(knobs: Knobs) -> str:
    """What is added to postgresql.conf, where the last word counts. Raises KnobError."""
    settings = {
        "listen_addresses": "'0.0.0.0'",
        "port": knobs.port("PORT", 5432),
        "idle_session_timeout": knobs.milliseconds("KEEPALIVE_TIMEOUT", 0, at_least=0),
        "max_connections": knobs.number("MAX_CONNECTIONS", 100, at_least=1),
        "tcp_keepalives_idle": knobs.whole_seconds("TCP_KEEPALIVE_TIME", 0, at_least=0),
        "tcp_keepalives_interval": knobs.whole_seconds("TCP_KEEPALIVE_INTERVAL", 0, at_least=0),
        "tcp_keepalives_count": knobs.number("TCP_KEEPALIVE_PROBES", 0, at_most=127),
        "tcp_user_timeout": knobs.milliseconds("TCP_USER_TIMEOUT", 0, at_least=0),
        # A node is small, has no disk and keeps nothing.
        "unix_socket_directories": "''",
        "shared_buffers": "4MB",
        "dynamic_shared_memory_type": "mmap",
        "fsync": "off",
    }
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


# -- the data directory ----------------------------------------------------------------------------------------------


def prepared(folders: list[Path]) -> Path:
    """An empty data directory of this version of PostgreSQL: in one of `folders`, or made in the last of them."""
    server = (PROGRAMS / "postgres").stat()  # a package's files have the time at which it was built
    made_from = sha256(repr((server.st_size, int(server.st_mtime), INITDB, SMALLER)).encode()).hexdigest()[:16]
    names = [folder / made_from for folder in folders]
    for name in names:
        if name.is_dir():
            return name
    make(names[-1])
    return names[-1]


def make(target: Path) -> None:
    """Make an empty data directory at `target`, all or nothing; another node that was faster is as good."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="initdb-") as work,
        tempfile.TemporaryDirectory(prefix="making-", dir=target.parent) as beside,
    ):
        data = Path(work) / "data"
        data.mkdir(mode=0o700)
        as_somebody([str(PROGRAMS / "initdb"), *INITDB, "-D", str(data)], Path(work))
        as_somebody([str(PROGRAMS / "postgres"), "--single", "-D", str(data), "postgres"], Path(work), SMALLER)
        result = shutil.copytree(data, Path(beside) / "data")
        try:
            result.rename(target)
        except OSError:
            if not target.is_dir():
                raise


def as_somebody(command: list[str], folder: Path, text: str = "") -> None:
    """Run a command that refuses to be root, in a folder that is then its own. Raises Failure with what it said."""
    done = subprocess.run(
        command,
        preexec_fn=lambda: become_somebody(folder),
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=folder,
    )
    if done.returncode != 0:
        raise Failure(f"{Path(command[0]).name} failed: {' '.join(done.stdout.split())}")


# -- somebody else than root -----------------------------------------------------------------------------------------


def become_somebody(folder: Path) -> None:
    """Be anybody but root, and give this user `folder` with all that is in it. Raises Failure, OSError."""
    if os.geteuid() == 0 and exist_here((user := servant()).pw_uid, user.pw_gid):
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, user.pw_uid, user.pw_gid)
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        # Or the files of this process in /proc would stay root's.
        call("prctl", _PR_SET_DUMPABLE, 1)
    try:
        enter_user_namespace()
    except OSError as error:
        if os.geteuid() == 0:
            raise Failure(f"it must not run as root, and becoming somebody else is refused: {error.strerror}") from None


def servant() -> pwd.struct_passwd:
    """The package makes a user for it; nobody is everywhere."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def enter_user_namespace() -> None:
    """A user namespace in which we are not root, with its own System V memory.

    The server keeps a segment of that as a lock, and a node's end, which is SIGKILL, would leave it on the machine. A
    container has its own anyway, and no leave to do this.
    """
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", _CLONE_NEWUSER | _CLONE_NEWIPC)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid or FALLBACK_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid or FALLBACK_ID} {gid} 1")


def call(name: str, *arguments: int) -> None:
    """A function of the C library that Python 3.11 has no name for. Raises OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


# -- the server ------------------------------------------------------------------------------------------------------


def serve(data: Path) -> int:
    """Run the server, say when it takes connections, and return its exit status.

    It listens before that, and refuses everybody. SIGTERM becomes the fast shutdown that service managers ask for: by
    itself PostgreSQL would wait for every client to leave.
    """
    # Waited for, not handled: a Python handler would not run for a signal that comes just before a blocking call.
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    server = subprocess.Popen(
        [PROGRAMS / "postgres", "-D", data],
        stdin=subprocess.DEVNULL,
        stdout=2,
        start_new_session=True,
        preexec_fn=of_the_server,
    )
    ready = False
    while server.poll() is None:
        if not ready and takes_connections(data):
            emit({"ev": "ready", "t": time.monotonic(), "kind": "postgres", "pid": server.pid})
            ready = True
        arrived = signal.sigwaitinfo(AWAITED) if ready else signal.sigtimedwait(AWAITED, 0.01)
        if arrived is not None and arrived.si_signo in STOP:
            server.send_signal(signal.SIGINT)
    status = server.wait()
    return status if status >= 0 else 128 - status


def of_the_server() -> None:
    """Between fork and exec: it ends with us, and no signal is blocked in it."""
    call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)


def takes_connections(data: Path) -> bool:
    """What pg_ctl looks at: the eighth line of the server's pid file."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


if __name__ == "__main__":
    sys.exit(main())
