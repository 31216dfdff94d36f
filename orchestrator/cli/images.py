"""`simctl images`: the images of the runtime that needs some."""

from __future__ import annotations

import typer

from orchestrator.cli.common import ProgressLines, add, add_group

images_app = typer.Typer(no_args_is_help=True, help="The images of the runtime docker.")


def register(app: typer.Typer) -> None:
    add(images_app, "build", build)
    add(images_app, "list", list_)
    add_group(app, "images", images_app)


def build(
    kinds: list[str] = typer.Argument(None, metavar="[KIND ...]", help="Which (`probe` is one); all without."),
    force: bool = typer.Option(False, "--force", help="Build again what is up to date."),
) -> None:
    """Build the base image, the images of node kinds and the probe's; what is up to date is left alone."""
    from orchestrator.runtimes.registry import images

    store = images()
    chosen = kinds or store.names()
    there = set() if force else set(chosen) - store.missing(chosen)
    for name, reference in store.build(chosen, ProgressLines(), force=force).items():
        print(f"{reference}: {'up to date' if name in there else 'built'}")


def list_() -> None:
    """Say of each node kind, and of the probe, whether its image is there and up to date."""
    from orchestrator.runtimes.registry import images

    store = images()
    missing = store.missing(store.names())
    for name in store.names():
        print(f"simctl/{name}: {'to be built' if name in missing else 'up to date'}")
