"""`simctl nodes`: the node kinds."""

from __future__ import annotations

import textwrap

import typer

from orchestrator.cli.common import add


def register(app: typer.Typer) -> None:
    add(app, "nodes", nodes)


def nodes(
    kind: str | None = typer.Argument(None, metavar="[KIND]", help="Say what each knob of this kind means."),
) -> None:
    """List the node kinds by role, with the version that is installed here and their knobs with their defaults."""
    from orchestrator.kinds import registry
    from orchestrator.kinds.errornames import COMMON
    from orchestrator.kinds.versions import versions

    if kind is not None:
        one = registry.kind(kind)
        print(f"{kind} {versions([one])[kind]} ({one.role}): {one.title}")
        width = max((len(name) + len(knob.default) for name, knob in one.knobs.items()), default=0) + 1
        for name, knob in one.knobs.items():
            print(f"    {f'{name}={knob.default}':{width}}  {knob.meaning}")
        if one.role == "client":
            names = ", ".join([*COMMON, "errnos such as ETIMEDOUT", *one.errors])
            print(textwrap.fill(f"errors: {names}", 112, initial_indent="  ", subsequent_indent=" " * 4))
            print(f"  {'keeps' if one.paces else 'keeps no'} `rate`, `duration` and range of pauses of a request step")
            if one.options:
                print(f"  and of its other keys: {', '.join(f'`{option}`' for option in one.options)}")
        if one.needs:
            print(f"  under netns it needs {' '.join(dict.fromkeys(need.source for need in one.needs))}")
        return
    found = list(registry.load_kinds().values())
    version = versions(found)
    for role in dict.fromkeys(("client", "server", "proxy", *(each.role for each in found))):
        print(f"{role}:")
        for each in found:
            if each.role == role:
                print(f"  {each.kind} {version[each.kind]}  {each.title}")
                knobs = (f"{name}={knob.default}" for name, knob in each.knobs.items())
                print(textwrap.fill(" ".join(knobs), 112, initial_indent=" " * 6, subsequent_indent=" " * 6))
    print("`simctl nodes KIND` says what its knobs mean.")
