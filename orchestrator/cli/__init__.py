"""The command line: one file per verb, thin: parse, call, print."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="simctl",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A laboratory for the life of HTTP and TCP connections: brings up client, proxy and server nodes, drives real "
    "traffic through them, records every socket's TCP state on every node, and tells who closed first.",
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
) -> None:
    if version:
        from orchestrator import __version__

        typer.echo(f"simctl {__version__}")
        raise typer.Exit
