"""What `simctl doctor` finds out about the runtime netns, beside the kernel: which node kinds this machine can run."""

from __future__ import annotations

from orchestrator.errors import SimctlError
from orchestrator.kinds.needs import Need, how_to_get
from orchestrator.kinds.registry import load_kinds, missing
from orchestrator.runtimes.check import Check, install


def checks() -> list[Check]:
    """One check for the kinds that run as they are, and one for each package or wheel that lacks."""
    try:
        kinds = load_kinds()
    except SimctlError as error:
        return [Check("node kinds", False, str(error), "no scenario can run", "restore the folder nodes/")]
    lacking: dict[str, list[str]] = {}
    needs: dict[str, Need] = {}
    for name, kind in kinds.items():
        for need in missing(kind):
            lacking.setdefault(need.source, []).append(name)
            needs[need.source] = need
    able = sorted(set(kinds) - {name for names in lacking.values() for name in names})
    found = f"{len(able)} of {len(kinds)} run under netns: {', '.join(able)}"
    return [
        Check("node kinds", bool(able), found, "no scenario runs under netns", "see below"),
        *(
            Check(source, False, "not here", f"no {', '.join(names)} under netns", _how(needs[source]))
            for source, names in sorted(lacking.items())
        ),
    ]


def _how(need: Need) -> str:
    return install(need.package) if need.package else how_to_get([need])
