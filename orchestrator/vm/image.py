"""The image of the guest: its root file system, its kernel, and what it boots with. Made once for each recipe.

rootfs.img        ext4, never written to: the guest maps it, and puts a file system in memory over it
vmlinuz           Debian's kernel for clouds
modules/, busybox what the initramfs is made of
recipe.json       for people
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from orchestrator.errors import EnvironmentFailure
from orchestrator.kinds import wheels
from orchestrator.kinds.registry import Kind
from orchestrator.text.progress import Progress
from orchestrator.vm import cache, userland
from orchestrator.vm.recipe import BOOT_MODULES, Recipe, recipe

ROOTFS = "rootfs.img"
KERNEL = "vmlinuz"

_SPACE = 5 << 30
"""Bytes that making an image takes for a while; 0.9 GB of them stay."""
_KEPT = 2
"""Images of a checkout: this one, and that of another branch."""
_KEPT_BYTES = 6 << 30
"""Of all checkouts together."""
_ALIGNMENT = 2 << 20
"""A persistent memory device is a multiple of this."""


def image_name(kinds: Mapping[str, Kind]) -> str:
    """The folder's name in the cache. Raises EnvironmentFailure."""
    return f"image-{recipe(kinds).key}"


def ensure_image(kinds: Mapping[str, Kind], progress: Progress) -> cache.Held:
    """The folder of the image for these kinds; makes it when it is not there. Raises EnvironmentFailure."""
    wanted = recipe(kinds)

    def make(folder: Path) -> None:
        check_tools()
        _make(wanted, folder, progress)

    held = cache.obtain(f"image-{wanted.key}", make, space=_SPACE, progress=progress)
    cache.keep_newest("image", each=_KEPT, total=_KEPT_BYTES)
    return held


def check_tools() -> None:
    """Raise EnvironmentFailure when something that making an image needs is not here."""
    userland.check_tools()
    if _mke2fs() is None:
        raise EnvironmentFailure("making the guest's image needs mke2fs", hint="apt-get install e2fsprogs")


def _make(wanted: Recipe, folder: Path, progress: Progress) -> None:
    began = time.monotonic()
    progress("vm: no image of the guest yet: making one, once (two minutes)")
    work = folder / "work"
    libraries, root = work / "dist-packages", work / "root"
    work.mkdir()
    progress(f"vm: {len(wanted.constraints)} Python libraries")
    what = "simctl's Python libraries and what node kinds need"
    wheels.install(wanted.requirements, libraries, what=what, constraints=wanted.constraints)
    userland.unpack_debian(wanted, libraries, root, work / "log", progress)
    _take_kernel(root, folder)
    progress("vm: file system")
    _make_file_system(root, folder / ROOTFS)
    shutil.rmtree(work)
    (folder / "recipe.json").write_text(json.dumps(asdict(wanted), indent=1) + "\n")
    progress(f"vm: image made in {time.monotonic() - began:.0f} s")


def _take_kernel(root: Path, folder: Path) -> None:
    """Move what is needed before the root file system is there out of it."""
    kernels = sorted((root / "boot").glob("vmlinuz-*"))
    if not kernels:
        raise EnvironmentFailure("the guest's Debian came without a kernel")
    kernels[-1].rename(folder / KERNEL)
    version = kernels[-1].name.removeprefix("vmlinuz-")
    shutil.copyfile(root / "bin" / "busybox", folder / "busybox")
    modules = folder / "modules"
    modules.mkdir()
    for module in BOOT_MODULES:
        shutil.copy(root / "lib/modules" / version / "kernel" / f"{module}.ko", modules)
    (modules / "order").write_text("\n".join(Path(module).name for module in BOOT_MODULES) + "\n")
    for path in (root / "boot").iterdir():
        path.unlink()


def _make_file_system(root: Path, target: Path) -> None:
    """An ext4 image of the folder. No journal: nobody ever writes."""
    sizes = [path.lstat().st_size for path in root.rglob("*")]
    content = sum(-(-size // 4096) * 4096 for size in sizes)
    size = int((content * 1.06 + len(sizes) * 300 + (32 << 20)) // _ALIGNMENT + 1) * _ALIGNMENT
    mke2fs = _mke2fs()
    assert mke2fs is not None  # check_tools() saw to it
    command = [
        mke2fs, "-q", "-t", "ext4", "-O", "^has_journal,^resize_inode", "-m", "0", "-N", str(len(sizes) + 1000),
        "-E", "root_owner=0:0", "-d", str(root), str(target), f"{size // 1024}k",
    ]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EnvironmentFailure("mke2fs could not make the guest's file system", detail=done.stderr.splitlines()[-5:])
    with target.open("r+b") as file:
        os.fsync(file.fileno())


def _mke2fs() -> str | None:
    return shutil.which("mke2fs", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
