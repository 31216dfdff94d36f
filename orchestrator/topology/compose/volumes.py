"""`volumes` of a service: bind mounts in the short and the long form."""

from __future__ import annotations

import re

from orchestrator.topology.compose import keys
from orchestrator.topology.compose.cursor import Cursor
from orchestrator.topology.compose.limits import Rules, check_path, target_problem
from orchestrator.topology.model import Volume

_MODES = {"ro", "rw", "z", "Z", "cached", "delegated", "consistent", "nocopy", "private", "rprivate"}
"""Compose's; only `ro` has an effect in a lab. Those that share mounts with the host are left out."""
_PATH = re.compile(r"[./~]")


def read_volumes(cursor: Cursor | None, rules: Rules) -> tuple[Volume, ...]:
    """The bind mounts of a service; notes a problem for each one that a lab cannot have."""
    if cursor is None:
        return ()
    found: dict[str, Volume] = {}
    for item in cursor.sequence("a list of volumes"):
        volume = (_long if isinstance(item.value, dict) else _short)(item, rules)
        if volume is not None and volume.target in found:
            item.problem(f"{volume.target} is mounted twice")
        elif volume is not None:
            found[volume.target] = volume
    return tuple(found.values())


def _short(item: Cursor, rules: Rules) -> Volume | None:
    text = item.word("a volume: SOURCE:TARGET or a mapping")
    if text is None:
        return None
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not rest:
        item.note(f"the anonymous volume {text[:60]} is passed over: a node's file system ends with the node")
        return None
    unknown = set(mode.split(",")) - _MODES if mode else set()
    if unknown:
        item.problem(f"unknown mode {', '.join(sorted(unknown))[:60]} of the volume {text[:60]}", hint="use ro or rw")
        return None
    if not _PATH.match(source):
        _named(item, source)
        return None
    return _bind(item, source, item, target, "ro" in mode.split(","), rules)


def _long(item: Cursor, rules: Rules) -> Volume | None:
    before = len(item.reading.problems)
    fields = item.fields(keys.VOLUME)
    type_ = fields["type"].text() if "type" in fields else "volume"
    if type_ != "bind":
        if type_ is not None and len(item.reading.problems) == before:
            item.problem(f"a volume of type {type_[:60]} is not supported", hint="use `type: bind`")
        return None
    for key in ("source", "target"):
        if key not in fields:
            item.problem(f"a bind mount needs a `{key}`")
    source = fields["source"].word("a path") if "source" in fields else None
    target = fields["target"].word("a path") if "target" in fields else None
    read_only = "read_only" in fields and fields["read_only"].flag() is True
    if source is None or target is None:
        return None
    return _bind(fields["source"], source, fields["target"], target, read_only, rules)


def _bind(
    at_source: Cursor, source: str, at_target: Cursor, target: str, read_only: bool, rules: Rules
) -> Volume | None:
    if (problem := target_problem(target)) is not None:
        at_target.problem(problem)
        return None
    path = check_path(source, at_source, rules)
    return Volume(path, target.rstrip("/"), read_only) if path is not None else None


def _named(item: Cursor, source: str) -> None:
    item.problem(
        f"the named volume {source[:60]!r} is not supported: it would carry state from run to run",
        hint=f"for a bind mount write ./{source[:60]}",
    )
