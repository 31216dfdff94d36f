"""For tests of client kinds: the kind's own command, told what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.kinds.registry import argv, kind
from tests.support.components import require_kinds
from tests.support.node_process import NodeProcess, node


@contextmanager
def client(name: str, **knobs: str) -> Iterator[NodeProcess]:
    """A client of this kind, when it is ready. Skips the test, or with CI=true fails it, where its software is not."""
    require_kinds(name)
    with node(argv(kind(name), sys.executable), **knobs) as process:
        assert process.next("ready")["kind"] == name
        yield process


def answers(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The requests of a command that was right and went well."""
    assert "error" not in events[-1], events[-1]
    assert all(event["error"] is None for event in events[:-1]), events
    return events[:-1]
