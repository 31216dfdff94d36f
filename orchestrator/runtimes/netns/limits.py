"""What the netns runtime refuses before anything starts: what takes a container, and what takes the user's trust.

Under netns a node's program is a process of this machine that sees its files, as root where simctl is root. It is one
of the kinds' programs, so a topology from anywhere may be run; but `PYTHONPATH`, `LD_PRELOAD` or `JAVA_TOOL_OPTIONS`,
or a file mounted over one of the program's own, would make any program of it. Containers have no such problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.kinds.needs import how_to_get
from orchestrator.kinds.registry import Kind, have_knob, missing
from orchestrator.runtimes.ability import known_kind
from orchestrator.topology.model import Node

_HARMLESS = frozenset({"LANG", "LC_ALL", "TZ"})
"""Environment variables besides the kinds' knobs."""

_TRUST = "use --runtime docker, or allow it with --allow-exec if you trust the file"


def check_nodes(nodes: Iterable[Node], kinds: Mapping[str, Kind], *, allow_exec: bool) -> None:
    """Raises InputError, or EnvironmentFailure for what this machine lacks, at the first node that cannot be."""
    for node in nodes:
        kind = known_kind(node, kinds)
        if not allow_exec:
            _check_trust(node, kind, kinds)
        _check_needs(node, kind)


def _check_trust(node: Node, kind: Kind, kinds: Mapping[str, Kind]) -> None:
    """Every way in which a file could choose what runs on this machine."""
    if node.entrypoint is not None:
        problem = "under netns an `entrypoint` is a command on this machine"
    elif node.volumes:
        problem = f"under netns a volume ({node.volumes[0].target}) covers files of this machine that programs run"
    elif node.healthcheck is not None:
        problem = "under netns a `healthcheck` is a command on this machine"
    elif strange := [name for name in node.environment if not _settable(name, kind, kinds)]:
        settable = _HARMLESS.union(*(each.knobs for each in kinds.values()))
        problem = (
            f"under netns the environment variable {strange[0][:60]} reaches a program of this machine; "
            f"there are: {', '.join(sorted(settable))}"
        )
    else:
        return
    raise InputError(f"service {node.service}: {problem}", place=node.place, hint=_TRUST)


def _settable(name: str, kind: Kind, kinds: Mapping[str, Kind]) -> bool:
    """One topology serves every server, so a knob of another kind does no harm."""
    return name in kind.knobs or name in _HARMLESS or have_knob(kinds, name)


def _check_needs(node: Node, kind: Kind) -> None:
    if needs := missing(kind):
        what = ", ".join(str(need) for need in needs)
        raise EnvironmentFailure(
            f"node kind {kind.kind} needs {what} on this machine for the netns runtime",
            place=node.place,
            hint=f"{how_to_get(needs)}, or use --runtime docker",
        )
