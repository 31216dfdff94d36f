"""Prints docs/bounds.md: `python -m tools.bounds_page > docs/bounds.md`. The table is orchestrator/bounds.py."""

from __future__ import annotations

from orchestrator.bounds import BOUNDS, MIB, Bound

HEAD = """# Bounds

Files and recordings may come from strangers, and nodes run programs that nobody knows. So each of these has a bound;
who meets it is told, with its name. They are in `orchestrator/bounds.py`, from which this page is made.

| what | at most | what happens then |
|---|---|---|
"""

FOOT = """
A request step ends too, whatever a server does: `within` says after how long, and without it 10 minutes after the time
that it would take if each request took its whole `timeout`.

Not bounded: the memory and the CPU time that a node's program uses, and on netns before Linux 6.14 its processes
(`pid_max` is the whole machine's there). On docker the engine's own limits hold.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(f"| {bound.what} | {_amount(bound)} | {bound.met} |\n" for bound in BOUNDS) + FOOT


def _amount(bound: Bound) -> str:
    if bound.unit == "bytes" and bound.limit % MIB == 0:
        return f"{bound.limit // MIB} MiB"
    return f"{bound.limit:,} {bound.unit}"


if __name__ == "__main__":
    print(page(), end="")
