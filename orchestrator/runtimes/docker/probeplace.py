"""Where the probe of the docker runtime can live: a process beside simctl, or a container beside the nodes."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING

from orchestrator.engine import client as dockerengine
from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.system.linux import is_root_of_the_machine
from orchestrator.text.record import record

if TYPE_CHECKING:
    from docker import APIClient

VARIABLE = "SIMCTL_PROBE"
"""Environment variable: `process` or `container`, for those who know better, and for tests."""


@record
class ProbePlace:
    """`why` in a few words for the user."""

    container: bool
    why: str


def probe_place(client: APIClient) -> ProbePlace:
    """A process where simctl is root on the engine's machine: it costs no image and no container, and sees the most.

    That the engine is on this machine is believed here and verified with each node that starts
    (DockerRuntime.start). Raises InputError for a value of SIMCTL_PROBE that is none.
    """
    asked = os.environ.get(VARIABLE)
    if asked not in (None, "", "process", "container"):
        raise InputError(f"{VARIABLE} is {asked!r}", hint="process, container, or unset: simctl finds out")
    if asked:
        return ProbePlace(asked == "container", f"{VARIABLE}={asked}")
    reason = _not_root_there(client)
    return ProbePlace(reason is not None, reason or "simctl is root on the engine's machine")


def _not_root_there(client: APIClient) -> str | None:
    if not is_root_of_the_machine():
        return "simctl is not root here"
    path = dockerengine.local_socket()
    if path is None:
        return f"the engine is reached over {dockerengine.address().partition('://')[0]}"
    if _peer(str(path)) == 0:
        return "the engine's processes are not visible here"
    with dockerengine.engine_errors("cannot ask the engine for its version"):
        kernel = client.version().get("KernelVersion")
    if kernel != os.uname().release:  # Docker Desktop: the socket is served by a process here, for a machine elsewhere
        return f"the engine runs on another kernel ({kernel})"
    return None


def _peer(path: str) -> int:
    """The pid of who listens there, as seen here: 0 for a process outside of our pid namespace. Source: unix(7)."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(path)
            return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
    except OSError as error:
        raise EnvironmentFailure(f"the Docker engine at {path} cannot be reached: {error.strerror}") from None
