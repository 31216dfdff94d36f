"""From the plan of a node to the settings of its container. Everything that a container is made with stands here."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.bounds import NODE_PROCESSES, OOM_SCORE
from orchestrator.runtimes.base import NodePlan
from orchestrator.runtimes.docker import containers as dockercontainers
from orchestrator.topology.model import Healthcheck, Volume

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types import Healthcheck as EngineHealthcheck

_INIT = ("python3", "/simctl/base/init.py")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_.-]")


def container_settings(
    client: APIClient, plan: NodePlan, *, run: str, image: str, mount_hosts: bool = True
) -> dict[str, Any]:
    """The arguments of `APIClient.create_container`.

    `mount_hosts`: the node's /etc/hosts is written beside its log and mounted; otherwise `hosts_archive` brings it.
    Kernel settings (`sysctls`) are not here: the fabric applies them, once the interfaces that they may name exist.
    """
    from docker.types import LogConfig

    node = plan.node
    hosts = [f"{_write_hosts(plan)}:/etc/hosts:ro,z"] if mount_hosts else []
    settings: dict[str, Any] = {
        "image": image,
        "name": _NOT_IN_NAMES.sub("-", f"simctl-{run}-{node.name}"),
        "command": None if node.command is None else list(node.command),
        "hostname": node.hostname or node.name,
        "environment": dict(node.environment),
        "labels": dockercontainers.labels(run, node.name),
        "stdin_open": True,  # with detach=False, the default, this sets StdinOnce too
        "network_disabled": True,
        "host_config": client.create_host_config(
            network_mode="none",
            auto_remove=True,
            binds=[*hosts, *(_bind(volume) for volume in node.volumes)],
            cap_add=list(dict.fromkeys((*node.cap_add, *plan.capabilities))),
            security_opt=["no-new-privileges"],
            pids_limit=NODE_PROCESSES.limit,
            oom_score_adj=OOM_SCORE,
            log_config=LogConfig(type="none"),
        ),
    }
    if node.kind is not None:
        settings["environment"]["SIMCTL_LINGER"] = "1"
        if node.entrypoint is not None:  # the program is another one, the first process stays ours
            settings["entrypoint"] = [*_INIT, *node.entrypoint]
        return settings
    if node.entrypoint is not None:
        settings["entrypoint"] = list(node.entrypoint)
    if node.healthcheck is not None and node.kind is None:  # that of a kind is the lab's (lab/health.py)
        settings["healthcheck"] = _healthcheck(node.healthcheck)
    return settings


def _write_hosts(plan: NodePlan) -> Path:
    path = hosts_path(plan)
    path.write_text(plan.hosts_file)
    path.chmod(0o644)  # readable for whatever user the image runs as
    return path


def hosts_path(plan: NodePlan) -> Path:
    return plan.log.resolve().with_suffix(".hosts")


def hosts_archive(text: str) -> bytes:
    """A node's /etc/hosts as an archive to be unpacked at `/`, for an engine that may not see our files."""
    content = text.encode()
    entry = tarfile.TarInfo("etc/hosts")
    entry.size = len(content)
    entry.mode = 0o644
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _bind(volume: Volume) -> str:
    return f"{volume.source}:{volume.target}:{'ro' if volume.read_only else 'rw'}"


def _healthcheck(check: Healthcheck) -> EngineHealthcheck:
    from docker.types import Healthcheck as EngineHealthcheck

    return EngineHealthcheck(
        test=list(check.test),
        interval=_nanoseconds(check.interval),
        timeout=_nanoseconds(check.timeout),
        retries=check.retries,
        start_period=_nanoseconds(check.start_period),
    )


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
