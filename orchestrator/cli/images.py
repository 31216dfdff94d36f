"""`simctl images build`: the images of the docker runtime."""

from __future__ import annotations

import typer

from orchestrator.cli.common import Progress, verb

images_app = typer.Typer(no_args_is_help=True, help="The images of the docker runtime.")


def register(app: typer.Typer) -> None:
    images_app.command("build")(build)
    images_app.command("list")(list_)
    app.add_typer(images_app, name="images")


@verb
def build(
    kinds: list[str] = typer.Argument(None, metavar="[KIND ...]", help="Which (`probe` is one); all without."),
    force: bool = typer.Option(False, "--force", help="Build again what is up to date."),
) -> None:
    """Build the base image, the images of node kinds and the probe's; what is up to date is left alone."""
    from orchestrator.engine.client import connect
    from orchestrator.kinds.registry import kind, kind_names
    from orchestrator.runtimes.docker.images import PROBE, ensure_images, missing_images

    chosen = [name if name == PROBE else kind(name).kind for name in kinds or [*kind_names(), PROBE]]
    client = connect()
    there = set() if force else set(chosen) - {_kind_of(image) for image in missing_images(chosen, client=client)}
    for name, reference in ensure_images(chosen, progress=Progress(), client=client, force=force).items():
        print(f"{reference}: {'up to date' if name in there else 'built'}")


@verb
def list_() -> None:
    """Say of each node kind, and of the probe, whether its image is there and up to date."""
    from orchestrator.kinds.registry import kind_names
    from orchestrator.runtimes.docker.images import PROBE, missing_images

    names = [*kind_names(), PROBE]
    missing = {_kind_of(image) for image in missing_images(names)}
    for name in names:
        print(f"simctl/{name}: {'to be built' if name in missing else 'up to date'}")


def _kind_of(reference: str) -> str:
    """`simctl/origin:0123456789ab` is the image of the kind origin."""
    return reference.removeprefix("simctl/").partition(":")[0]
