"""The Docker engine itself: reaching it in bounded time, its errors as ours."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import EnvironmentFailure

if TYPE_CHECKING:  # the import costs 0.3 to 0.6 s: only those who talk to an engine pay it
    from docker import APIClient

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
