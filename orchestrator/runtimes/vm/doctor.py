"""What `simctl doctor` says about the runtime vm."""

from __future__ import annotations

import os
import shutil

from orchestrator.errors import EnvironmentFailure, SimctlError
from orchestrator.runtimes.check import Check, install

_COSTS = "no virtual time (--runtime vm): waiting for a timer takes as long as the timer"


def checks() -> list[Check]:
    """Never raises. Makes nothing."""
    return [_qemu(), _image(), _memory()]


def _qemu() -> Check:
    from orchestrator.vm.machine import QEMU

    where = shutil.which(QEMU)
    return Check("qemu", where is not None, where or "not found", _COSTS, install("qemu-system-x86"))


def _image() -> Check:
    """Ready, or what it takes to make one is here."""
    from orchestrator.kinds.registry import load_kinds
    from orchestrator.vm import cache
    from orchestrator.vm.image import check_tools, image_name

    get = "simctl vm build"
    try:
        name = image_name(load_kinds())
        built = cache.location() / name
        if os.path.isdir(built):  # noqa: PTH112 - where we may not look there is none for us
            return Check("vm image", True, f"built, {cache.disk_usage(built) / 1e9:.1f} GB in {built}", _COSTS, get)
        check_tools()
    except EnvironmentFailure as error:
        return Check("vm image", False, f"not built: {error.message}", _COSTS, error.hint or get)
    except SimctlError as error:
        return Check("vm image", None, f"not known: {error.message}", _COSTS, get)
    return Check("vm image", True, "not built yet: the first run makes it, in some two minutes", _COSTS, get)


def _memory() -> Check:
    from orchestrator.vm.emulator import MEMORY_NEEDED, available_memory

    available = available_memory()
    found = f"{available >> 20} MB available, a run takes up to {MEMORY_NEEDED >> 20} MB"
    return Check("vm memory", available >= MEMORY_NEEDED, found, _COSTS, "free some memory")
