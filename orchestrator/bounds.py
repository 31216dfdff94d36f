"""Every bound that simctl sets to what a file, a node or a recording may be, in one table. docs/bounds.md is made from
it: `python -m tools.bounds_page` writes that page.

Who meets a bound is told: the message names it, and what to do.
"""

from __future__ import annotations

from typing import NamedTuple

KIB, MIB = 1 << 10, 1 << 20


class Bound(NamedTuple):
    """`limit` is of `unit`; `met` says what happens then."""

    what: str
    limit: int
    unit: str
    met: str


FILE = Bound("a scenario, a topology, a file of variables", 1_000_000, "bytes", "refused")
PROBLEMS = Bound("problems of a file that are told", 100, "problems", "the first ones are told, and how many more")
VALUE = Bound("a value after its variables were put in", 64 * KIB, "characters", "refused")
VALUES = Bound("all values of variables that a file uses, each time that it does", 4 * MIB, "characters", "refused")
STEPS = Bound("steps of a scenario", 1_000, "steps", "refused")
EXPECTATIONS = Bound("expectations of a scenario", 1_000, "expectations", "refused")
MATRIX = Bound("runs of a matrix", 1_000, "runs", "refused before anything is built")
NODES = Bound("nodes of a topology, replicas counted", 2_000, "nodes", "refused")
NETWORKS = Bound("networks of a topology", 500, "networks", "refused")
COUNT = Bound("`count` of a request step", 1_000_000, "requests", "refused")
CONCURRENCY = Bound("`concurrency` of a request step", 5_000, "workers", "refused")
RATE = Bound("`rate` of a request step", 10_000, "requests a second", "refused")
FILLING = Bound("`fill` of an action, `size` of a body", 1 << 40, "bytes", "refused")
NODE_START = Bound(
    "environment, command, host names and volumes that a node is started with, on netns and vm",
    200 * KIB,
    "bytes",
    "refused",
)
NODE_LINE = Bound("a line that a node's program prints", 16 * MIB, "bytes", "one that reports something ends the run; "
                  "of any other the rest is cut off")  # fmt: skip
NODE_LOG = Bound("the log of a node", 64 * MIB, "bytes", "ends the run, and names the node; the rest is cut off")
NODE_FILE = Bound("a file that a node writes, on netns and vm", 256 * MIB, "bytes", "the program gets EFBIG or SIGXFSZ")
NODE_TMP = Bound("/tmp of a node, on netns and vm; its /dev/shm alike", 1024 * MIB, "bytes", "the program gets ENOSPC")
NODE_PROCESSES = Bound("processes and threads of a node", 8_192, "processes", "the program gets EAGAIN. On netns and "
                       "vm from Linux 6.14 on")  # fmt: skip
OOM_SCORE = 500
"""Thousandths of all memory that the kernel counts a node's programs to have on top of their own (oom_score_adj,
proc(5)): where memory ends they are killed before simctl, its probe and what else is on the machine."""
TAKEN_PACKETS = Bound("packets that `drop`, `reject` and `partition` take, of a run", 100_000, "packets", "the rest "
                      "are taken too, but not recorded, and the recording says so")  # fmt: skip
LOG_LINES = Bound("lines of a node's log that explain something and are recorded", 1_000, "lines", "the rest stay in "
                  "the log alone, and the recording says so")  # fmt: skip
UNKNOWN_LINES = Bound("kinds of lines of a recording that simctl does not know", 20, "kinds", "the rest are counted "
                      "together")  # fmt: skip

BOUNDS = (
    FILE,
    PROBLEMS,
    VALUE,
    VALUES,
    STEPS,
    EXPECTATIONS,
    MATRIX,
    NODES,
    NETWORKS,
    COUNT,
    CONCURRENCY,
    RATE,
    FILLING,
    NODE_START,
    NODE_LINE,
    NODE_LOG,
    NODE_FILE,
    NODE_TMP,
    NODE_PROCESSES,
    TAKEN_PACKETS,
    LOG_LINES,
    UNKNOWN_LINES,
)
