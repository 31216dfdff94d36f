"""What `simctl doctor` finds out about the runtime netns, beside the kernel: which node kinds this machine can run."""

from __future__ import annotations

from orchestrator.errors import SimctlError
from orchestrator.kinds.registry import load_kinds, missing
from orchestrator.runtimes.check import Check, install


def checks() -> list[Check]:
    """One check for the kinds that run as they are, and one for each package that lacks."""
    try:
        kinds = load_kinds()
    except SimctlError as error:
        return [Check("node kinds", False, str(error), "no scenario can run", "restore the folder nodes/")]
    lacking: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        for need in missing(kind):
            lacking.setdefault(need.package, []).append(name)
    able = sorted(set(kinds) - {name for names in lacking.values() for name in names})
    found = f"{len(able)} of {len(kinds)} run under netns: {', '.join(able)}"
    return [
        Check("node kinds", bool(able), found, "no scenario runs under netns", "see below"),
        *(
            Check(f"{package}", False, "not here", f"no {', '.join(names)} under netns", install(package))
            for package, names in sorted(lacking.items())
        ),
    ]
