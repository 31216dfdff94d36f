"""What goes into a guest's image, and the key by which a finished one is known again.

The project's own code is not part of it: that travels with the snapshot, which is made in seconds.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata

from orchestrator.errors import EnvironmentFailure
from orchestrator.kinds.registry import Kind, folder_version
from orchestrator.kinds.wheels import PYTHON
from orchestrator.system import resources
from orchestrator.text.record import record

_FORMAT = 1
"""Raised when the way in which images are made changes."""

RELEASE = "bookworm"
KERNEL = "linux-image-cloud-amd64"

_BASE = (
    "busybox-static",  # the first program of the guest
    "iproute2",
    "kmod",
    "net-tools",
    "nftables",
    "procps",
    "python3",
    KERNEL,
)
"""What every guest needs, whatever its nodes are."""

BOOT_MODULES = (
    "drivers/nvdimm/libnvdimm",
    "drivers/nvdimm/nd_btt",
    "drivers/acpi/nfit/nfit",
    "drivers/nvdimm/nd_pmem",
    "fs/overlayfs/overlay",
)
"""Kernel modules without which there is no root file system, in the order of loading."""

LIBRARIES = f"/usr/local/lib/python{PYTHON}/dist-packages"
CACHE = "/var/cache"
"""XDG_CACHE_HOME of the guest, and of what prepares its node kinds."""

BEFORE = (
    # Packages of the JRE register manual pages there, and fail where the folder is missing.
    "mkdir -p {root}/usr/share/man/man1",
    # PostgreSQL would make a cluster of 40 MB that nobody uses: pg_createcluster(8).
    "mkdir -p {root}/etc/postgresql-common",
    "echo create_main_cluster = false > {root}/etc/postgresql-common/createcluster.conf",
)
"""Shell commands that come before the packages; `{root}` is the root file system, empty inside of it."""

PREPARED = "/opt/prepare"
"""Where the folders of node kinds lie while those are prepared."""

_DISTRIBUTION = "simctl-lab"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r";.*\bextra\b")


@record
class Recipe:
    """All that decides what is in an image."""

    packages: tuple[str, ...]
    """Debian packages by name, sorted."""
    requirements: tuple[str, ...]
    """`name==version` of the Python libraries that simctl needs, as they are installed here, and of the wheels that
    node kinds need."""
    constraints: tuple[str, ...]
    """The same for what simctl's libraries need in turn."""
    preparations: Mapping[str, tuple[str, ...]]
    """Node kind -> the command that it wants to be run once, in its folder."""
    sources: Mapping[str, str]
    """Folder of nodes/ that a preparation is made from -> its version."""

    @property
    def key(self) -> str:
        """12 hexadecimal digits."""
        facts = [_FORMAT, RELEASE, PYTHON, BOOT_MODULES, BEFORE, asdict(self)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def recipe(kinds: Mapping[str, Kind]) -> Recipe:
    """The recipe for a guest in which all these kinds can run. Raises EnvironmentFailure."""
    needs = [need for kind in kinds.values() for need in kind.needs]
    wheels = sorted({need.wheel for need in needs if need.wheel})
    direct = _requirements(_DISTRIBUTION)
    if direct is None:
        raise EnvironmentFailure(
            "simctl is not installed as a package, so it is not known which Python libraries it needs",
            hint="install it: pip install -e . in the checkout",
        )
    pins = _closure(direct)
    prepared = {name: kind for name, kind in sorted(kinds.items()) if kind.prepare}
    folders = {"base": resources.NODES / "base", **{name: kind.folder for name, kind in prepared.items()}}
    return Recipe(
        packages=tuple(sorted({*_BASE, *(need.package for need in needs if need.package)})),
        requirements=(*(pins[name] for name in sorted(direct) if name in pins), *wheels),
        constraints=tuple(pins[name] for name in sorted(pins)),
        preparations={name: kind.prepare for name, kind in prepared.items()},
        sources={name: folder_version(folder) for name, folder in folders.items()} if prepared else {},
    )


def preparation(kind: str, words: tuple[str, ...]) -> str:
    """For a shell in the root file system: what a node kind wants to be done once."""
    command = [word.replace("{python}", "/usr/bin/python3") for word in words]
    inside = shlex.quote(f"cd {PREPARED}/{kind} && {shlex.join(command)}")
    return f"env XDG_CACHE_HOME={CACHE} HOME=/tmp LANG=C.UTF-8 sh -c {inside}"


def _closure(names: set[str]) -> dict[str, str]:
    """Name -> `name==version` of these distributions and all that they need, as far as they are installed."""
    pins: dict[str, str] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        needs = _requirements(name)
        if name in pins or needs is None:
            continue
        pins[name] = f"{name}=={metadata.version(name)}"
        waiting += sorted(needs)
    return pins


def _requirements(distribution: str) -> set[str] | None:
    """What a distribution requires, without its extras; None when it is not installed."""
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    found = (_NAME.match(line) for line in lines if not _EXTRA.search(line))
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}
