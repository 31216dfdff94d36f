"""What tests require of the machine, and what becomes of those whose requirement is not met."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from orchestrator.engine import client as dockerengine
from orchestrator.kinds.registry import kind, missing
from orchestrator.observe import abilities
from orchestrator.vm.machine import QEMU

COMPONENTS = ("netns", "docker", "java", "vm")
"""Those that are markers."""

_LAB = ("child", "namespaces", "wiring", "socket tables")


@functools.cache
def lack(component: str) -> str | None:
    """Why the component cannot be used here, None when it can."""
    if component == "netns":
        outcome = abilities.try_lab(user_namespace=os.geteuid() != 0).outcome()
        return next((f"{name}: {why}" for name, why in outcome.items() if why and name in _LAB), None)
    if component == "docker":
        answers, said = dockerengine.engine_answers()
        return (None if os.geteuid() == 0 else "the tests look into containers, which needs root") if answers else said
    if component == "java":
        missing = [what for what in ("java", "javac") if not shutil.which(what)]
        missing += [jar for jar in ("/usr/share/java/jetty9-server.jar",) if not Path(jar).exists()]
        return f"missing: {', '.join(missing)}" if missing else None
    if component == "vm":
        return None if shutil.which(QEMU) else f"missing: {QEMU}"
    if component == "root":
        return None if os.geteuid() == 0 else "needs root"
    raise ValueError(f"unknown component {component!r}")


def require(component: str) -> None:
    """Skip the running test where the component is missing; with CI=true fail it: there nothing may be missing."""
    refuse(component, lack(component))


def require_kinds(*names: str) -> None:
    """The same for what node kinds need of this machine."""
    packages = sorted({need.source for name in names for need in missing(kind(name))})
    refuse("node kinds", f"missing: {', '.join(packages)}" if packages else None)


def require_images(names: Iterable[str]) -> None:
    """The same for images of node kinds (`probe` is one): none is built inside of a test."""
    from orchestrator.runtimes.docker.images import missing_images

    wanted = sorted(names)
    lacking = missing_images(wanted) if wanted else []
    how = f"simctl images build {' '.join(wanted)}"
    refuse("images", f"missing: {', '.join(lacking)}; make them before the tests: {how}" if lacking else None)


def refuse(component: str, why: str | None) -> None:
    """End the running test when there is a reason: skipped, with CI=true failed."""
    if why is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{component}: {why}; with CI=true this is not skipped", pytrace=False)
    pytest.skip(f"{component}: {why} (simctl doctor says more)")
