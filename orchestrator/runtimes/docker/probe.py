"""The probe as a container, where simctl is not root on the engine's machine: an ordinary user of the group docker,
a remote engine, Docker Desktop.

It is the same program, spoken to over its standard streams. Like every node it ends when its standard input does,
which the engine closes however simctl ended, and `auto_remove` then removes it.

What it is given beyond an ordinary container, and why:

| setting | for |
|---|---|
| `pid: host` | nodes are found by their pids: `/proc/PID/ns/net`, and the owners of sockets in `/proc/PID/fd` |
| CAP_SYS_ADMIN | setns into nodes, mounts that only it sees (tracefs; a small /proc for ss) |
| CAP_SYS_PTRACE | `/proc/PID/ns` and `/proc/PID/fd` of other processes |
| CAP_NET_ADMIN | bridges, veth pairs, addresses, kernel settings of the nodes' namespaces |
| CAP_NET_RAW | packet sockets at the nodes' interfaces: who sent the first FIN or RST, and captures |
| `/proc/sys` writable | the kernel settings of nodes: the engine mounts it read-only otherwise |
| `apparmor=unconfined` | the engine's AppArmor profile refuses mounts, and writing to /sys and to /proc/sys/net |
| `userns_mode: host` | `pid: host` needs it where the engine maps user ids |

All other capabilities are dropped, and it can gain none. The engine's default seccomp profile stays in force: it allows
setns, unshare and mount to whoever has CAP_SYS_ADMIN, and does not look at netlink or packet sockets (tried on engine
20.10). tracefs is not mounted by the engine, which fails on machines without it, but by the probe, which says so.

Four capabilities leave one gap: files of processes of other users than root in `/proc/PID/fd` may not be listed, so
the sockets of such a process (an image with a USER of its own) have no owner.
"""

from __future__ import annotations

import contextlib
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.engine import client as dockerengine
from orchestrator.engine.making import Making
from orchestrator.engine.streams import NodeStreams, attach
from orchestrator.errors import EnvironmentFailure
from orchestrator.runtimes.base import ExecResult
from orchestrator.runtimes.docker import containers as dockercontainers

if TYPE_CHECKING:
    from docker import APIClient

CAPABILITIES = ("SYS_ADMIN", "SYS_PTRACE", "NET_ADMIN", "NET_RAW")
_CAPTURES = Path("/captures")
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger")
"""What the engine makes read-only in every container (moby, oci/defaults.go), less /proc/sys."""

_START_TIMEOUT = 30.0


def settings(client: APIClient, image: str, run: str) -> dict[str, Any]:
    """The arguments of `APIClient.create_container`."""
    from docker.types import LogConfig

    host = client.create_host_config(
        network_mode="none",
        pid_mode="host",
        userns_mode="host",
        auto_remove=True,
        cap_drop=["ALL"],
        cap_add=list(CAPABILITIES),
        security_opt=["no-new-privileges", "apparmor=unconfined"],
        log_config=LogConfig(type="none"),
    )
    return {
        "image": image,
        "name": f"simctl-probe-{run}",
        "labels": dockercontainers.labels(run, None),
        "stdin_open": True,  # with detach=False, the default, this sets StdinOnce too
        "network_disabled": True,
        "host_config": host | {"ReadonlyPaths": list(_READ_ONLY)},  # the library has no argument for it
    }


def start_probe(client: APIClient, image: str, run: str, log: Path) -> ProbeContainer:
    """Start the probe of a run. Raises EnvironmentFailure. Interrupted, it removes what it began."""
    making = Making()
    made: list[ProbeContainer] = []

    def make() -> None:  # in a thread, so that an interrupt finds a whole container
        with making.one("the probe"):
            made.append(_start(client, image, run, log))

    executor = ThreadPoolExecutor(1, thread_name_prefix="docker-probe")
    try:
        executor.submit(make).result()
        return made[0]
    except BaseException:
        making.close()
        making.wait(_START_TIMEOUT)
        for probe in made:
            probe.end(0)
        raise
    finally:
        executor.shutdown(wait=False)


def _start(client: APIClient, image: str, run: str, log: Path) -> ProbeContainer:
    with dockerengine.engine_errors("cannot start the probe's container"):
        container = str(client.create_container(**settings(client, image, run))["Id"])
        try:
            streams = NodeStreams(attach(client, container), log, output_to_log=False)
            client.start(container)
        except BaseException:
            dockerengine.remove(client, container)
            raise
    return ProbeContainer(client, container, streams)


class ProbeContainer:
    """As ProbeProcess. Pids, clock and files are those of the engine's machine."""

    here = False

    def __init__(self, client: APIClient, container: str, streams: NodeStreams) -> None:
        self._client = client
        self._streams = streams
        self.id = container
        self.stdin = streams.stdin
        self.stdout = streams.stdout

    def run(self, command: Sequence[str]) -> ExecResult:
        """Run another program in the container: it has the probe's rights."""
        with dockerengine.engine_errors(f"cannot run {command[0]} beside the probe"):
            execution = self._client.exec_create(self.id, list(command))["Id"]
            output: bytes = self._client.exec_start(execution)
            status = int(self._client.exec_inspect(execution)["ExitCode"])
        return ExecResult(status, output.decode(errors="replace"))

    def captures(self, folder: Path) -> Path:
        """In the container's own file system: it would be somebody else's folder on somebody else's machine."""
        return _CAPTURES / folder.name

    def bring_captures(self, folder: Path) -> None:
        """Copy them into `folder`. Raises EnvironmentFailure, and OSError when they cannot be written."""
        with dockerengine.engine_errors("cannot copy the captures out of the probe's container"):
            chunks, _ = self._client.get_archive(self.id, str(self.captures(folder)))
            with tarfile.open(fileobj=BufferedReader(_Chunks(chunks)), mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member)
                    if content is not None:
                        with content, (folder / Path(member.name).name).open("wb") as file:
                            shutil.copyfileobj(content, file)

    def end(self, timeout: float) -> None:
        self._streams.wait_ended(timeout)
        with contextlib.suppress(EnvironmentFailure):  # the engine is gone, and the container with it; or `clean` helps
            dockerengine.remove(self._client, self.id)
        self._streams.close()


class _Chunks(RawIOBase):
    """An iterable of bytes as a file to read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        taken, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)
