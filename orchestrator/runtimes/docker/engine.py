"""The Docker engine itself: reaching it in bounded time, its errors as ours, and whose containers are whose."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import __version__
from orchestrator.errors import EnvironmentFailure
from orchestrator.system.linux import process_start_time
from orchestrator.topology.model import Node

if TYPE_CHECKING:  # the import costs 0.3 to 0.6 s: only those who talk to an engine pay it
    from docker import APIClient

RUN_LABEL = "simctl.run"
NODE_LABEL = "simctl.node"
_STARTER_LABEL = "simctl.pid"
_MACHINE_LABEL = "simctl.machine"

_DEFAULT_SOCKET = Path("/var/run/docker.sock")
_QUICK = 2.0
"""Seconds that an engine on this machine gets to answer a ping."""

_OPERATION_TIMEOUT = 120
"""Seconds for one call of the API later on: starting containers on a loaded machine is slow, hanging is not."""

_REMOVAL_TIMEOUT = 20
"""Seconds that the engine gets to finish a removal that it is at already."""

_INSTALL = "install and start one (Debian: apt-get install docker.io), or use --runtime netns"
_START = "start the engine (systemctl start docker), or use --runtime netns"


def address() -> str:
    """Where the engine is: DOCKER_HOST, as every docker client has it, or the usual socket."""
    return os.environ.get("DOCKER_HOST") or f"unix://{_DEFAULT_SOCKET}"


def local_socket() -> Path | None:
    """The Unix socket of an engine on this machine; None when it is reached in another way."""
    scheme, _, path = address().partition("://")
    return Path(path) if scheme == "unix" else None


def engine_answers() -> tuple[bool, str]:
    """Whether an engine answers, and what it said or why not, in one line. Milliseconds for a local engine."""
    try:
        return True, _ping() if local_socket() else f"{connect(_QUICK).version()['Version']} at {address()}"
    except EnvironmentFailure as failure:
        return False, failure.message


def connect(timeout: float = 5.0) -> APIClient:
    """A client of the engine. Raises EnvironmentFailure, which says what to do, within about `timeout` seconds."""
    if local_socket():
        _ping(timeout)
    import docker
    from docker.utils import kwargs_from_env

    with engine_errors(f"the Docker engine at {address()} does not answer", hint=_START):
        client = docker.APIClient(**kwargs_from_env(), version="auto", timeout=math.ceil(timeout))
    client.timeout = _OPERATION_TIMEOUT
    return client


def _ping(timeout: float = _QUICK) -> str:
    """Ask the engine behind the local socket for a sign of life, without importing its client."""
    path = local_socket()
    assert path is not None
    where = f"the Docker engine at {path}"
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = connection.recv(4096).decode(errors="replace")
    except FileNotFoundError:
        raise EnvironmentFailure(f"no Docker engine: there is no {path}", hint=_INSTALL) from None
    except PermissionError:
        raise EnvironmentFailure(
            f"no permission to use {where}",
            hint="run as root, or join the group docker and log in again, or use --runtime netns",
        ) from None
    except ConnectionRefusedError:
        raise EnvironmentFailure(f"{where} is not running", hint=_START) from None
    except TimeoutError:
        raise EnvironmentFailure(f"{where} did not answer within {timeout:g} s", hint=_START) from None
    except OSError as error:
        raise EnvironmentFailure(f"{where} cannot be reached: {error.strerror or error}", hint=_START) from None
    lines = answer.splitlines()
    if not lines or " 200 " not in lines[0]:
        raise EnvironmentFailure(f"{where} gave no proper answer: {(lines or ['nothing'])[0][:80]}", hint=_START)
    api = next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("api-version:")), "?")
    return f"API {api} at {path}"


@contextmanager
def engine_errors(what: str, *, hint: str | None = None) -> Iterator[None]:
    """Turn whatever the client library raises inside into an EnvironmentFailure that begins with `what`."""
    import requests
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        raise EnvironmentFailure(f"{what}: {error.explanation or error}", hint=hint) from error
    except requests.Timeout as error:
        raise EnvironmentFailure(f"{what}: the engine did not answer in time", hint=hint) from error
    except (DockerException, requests.RequestException) as error:
        raise EnvironmentFailure(f"{what}: {error}", hint=hint) from error


# -- before anything starts ------------------------------------------------------------------------------------------


def check(client: APIClient, nodes: Iterable[Node]) -> None:
    """Refuse what cannot be done with this engine, before anything starts. Raises EnvironmentFailure."""
    from docker.errors import ImageNotFound

    for node in nodes:
        if node.kind is None:
            with engine_errors(f"cannot look for the image {node.image}"):
                try:
                    inspect: Any = client.inspect_image  # the stubs have no types for it
                    inspect(node.image)
                except ImageNotFound:
                    raise no_image(node, node.image) from None


def not_this_machine() -> EnvironmentFailure:
    return EnvironmentFailure(
        f"the containers of the engine at {address()} are no processes of this machine: the probe cannot enter them",
        hint="SIMCTL_PROBE=container makes the probe one of the engine's containers",
    )


def no_image(node: Node, image: str) -> EnvironmentFailure:
    hint = "simctl images build" if node.kind else f"docker pull {image}"
    message = f"service {node.service}: the engine has no image {image}"
    return EnvironmentFailure(message, place=node.place, hint=hint)


# -- whose container is it -------------------------------------------------------------------------------------------


def labels(run: str, node: str | None) -> dict[str, str]:
    """The labels of a container that this process starts: its run, its node (the probe is none), who answers for it."""
    pid = os.getpid()
    return {
        RUN_LABEL: run,
        **({} if node is None else {NODE_LABEL: node}),
        _STARTER_LABEL: f"{pid} {process_start_time(pid)}",
        _MACHINE_LABEL: _machine(),
        "simctl.version": __version__,
    }


def starter_is_dead(container_labels: Mapping[str, str]) -> bool:
    """Whether the process that started a container is surely gone.

    A pid says something only within one boot of one machine and one pid namespace: a container that another machine
    or a container with our socket started is never called dead.
    """
    if container_labels.get(_MACHINE_LABEL) != _machine():
        return False
    pid, _, start = container_labels.get(_STARTER_LABEL, "").partition(" ")
    return pid.isdigit() and start.isdigit() and _is_dead(int(pid), int(start))


def _is_dead(pid: int, start: int) -> bool:
    """A machine can hide the processes of other users in /proc (proc(5), hidepid), but not that there is one."""
    seen = process_start_time(pid)
    if seen is not None:
        return seen != start
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return process_start_time(pid) != start  # it was born in between


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A container of a run whose simctl is dead."""

    id: str
    run: str
    node: str | None
    """None: it was the probe."""

    def __str__(self) -> str:
        what = "the probe" if self.node is None else f"node {self.node}"
        return f"container {self.id[:12]} ({what} of run {self.run})"


def leftovers(client: APIClient) -> list[Leftover]:
    """All containers, running or not, that dead runs left behind. Never one of a living run."""
    with engine_errors("cannot list containers"):
        found: list[dict[str, Any]] = client.containers(all=True, filters={"label": RUN_LABEL})
    return [
        Leftover(item["Id"], item["Labels"][RUN_LABEL], item["Labels"].get(NODE_LABEL))
        for item in found
        if starter_is_dead(item["Labels"])
    ]


def clean(client: APIClient) -> list[Leftover]:
    """Remove what `leftovers` finds; returns what was removed."""
    found = leftovers(client)
    for item in found:
        remove(client, item.id)
    return found


def remove(client: APIClient, container: str) -> None:
    """Kill and remove a container and its anonymous volumes, whatever state it is in; gone already is fine."""
    from docker.errors import APIError, NotFound

    with engine_errors(f"cannot remove container {container[:12]}"):
        try:
            client.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != 409:  # 409: the engine is removing it already (auto_remove)
                raise
            wait_removed(client, container)


def wait_removed(client: APIClient, container: str) -> None:
    """Until the engine has removed a container that it is removing."""
    from docker.errors import NotFound

    try:
        client.wait(container, timeout=_REMOVAL_TIMEOUT, condition="removed")
    except NotFound:
        return
