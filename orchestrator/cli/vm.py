"""`simctl vm`: the image and the snapshots of the runtime vm."""

from __future__ import annotations

import typer

from orchestrator.cli.common import ProgressLines, QuietOption, add, add_group

vm_app = typer.Typer(no_args_is_help=True, help="The image and the snapshots of the runtime vm (virtual time).")


def register(app: typer.Typer) -> None:
    add(vm_app, "build", build)
    add(vm_app, "list", list_)
    add(vm_app, "prune", prune)
    add_group(app, "vm", vm_app)


def build(quiet: bool = QuietOption) -> None:
    """Make the guest's image and its snapshot, where they are missing. The first run would do it by itself."""
    from orchestrator.kinds.registry import load_kinds
    from orchestrator.vm.snapshot import ensure_snapshot

    machine = ensure_snapshot(load_kinds(), ProgressLines(quiet=quiet))
    print(f"image     {machine.image}")
    print(f"snapshot  {machine.home}")


def list_() -> None:
    """Say which images and snapshots there are, and how much of the disk they take."""
    from orchestrator.kinds.registry import load_kinds
    from orchestrator.vm import cache
    from orchestrator.vm.image import image_name

    current = image_name(load_kinds())
    for path in [*cache.entries("image"), *cache.entries("snapshot")]:
        what = "  this version's" if path.name == current else ""
        print(f"{path}  {cache.disk_usage(path) / 1e6:.0f} MB{what}")


def prune(
    all_: bool = typer.Option(False, "--all", help="Also what is up to date: the next run makes it again."),
) -> None:
    """Remove images that this version of simctl does not use, and all snapshots."""
    from orchestrator.kinds.registry import load_kinds
    from orchestrator.vm import cache
    from orchestrator.vm.image import image_name

    keep = None if all_ else image_name(load_kinds())
    for path in [*cache.entries("snapshot"), *cache.entries("image")]:
        if path.name != keep:
            print(f"removed {path}" if cache.remove(path) else f"kept {path}: it is in use")
