"""What it takes to judge a large recording again, beside reading its lines and doing nothing with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.measure import Comparison, compare

_TOPOLOGY = """
services:
  client:
    image: simctl/requests
    depends_on: [server]
    deploy: {replicas: 4}
    networks: [lab]
  server:
    image: simctl/origin
    networks: [lab]
networks:
  lab: {internal: true}
"""

_SCENARIO = """
name: many
topology: topology.yaml
steps:
  - name: load
    request: {{from: client, url: "http://server:8080/", count: {each}}}
expect:
  - that: every request has a connection of its own
    client: {{connections: {all}, requests: {all}, errors: 0}}
  - that: the clients close first
    at: load.end
    client: {{ESTABLISHED: 0, first_fin: {all}}}
  - that: nothing stays on the server
    at: load.end
    server: {{LISTEN: 1, CLOSE_WAIT: 0}}
"""

_LINES = """
import json, sys
with open(sys.argv[1], "rb") as file:
    for line in file:
        json.loads(line)
"""


def against_json(folder: Path, each: int, verb: list[str], goal: float, rounds: int) -> Comparison:
    """A verb of simctl on a recording of four clients that make `each` requests, a connection for every one, beside an
    interpreter that decodes all its lines."""
    run = _recorded(folder, each)
    name = f"simctl {' '.join(verb)}, {4 * each} connections"
    return compare(
        name,
        lambda: _quietly("-m", "orchestrator", *verb, str(run)),
        "json.loads of each line",
        lambda: _quietly("-c", _LINES, str(run / "events.jsonl")),
        goal=goal,
        rounds=rounds,
    )


def _recorded(folder: Path, each: int) -> Path:
    """The run, which is recorded once for all that is measured on it."""
    runs = folder / f"judging-{each}"
    if not runs.exists():
        (folder / "topology.yaml").write_text(_TOPOLOGY)
        (folder / "many.yaml").write_text(_SCENARIO.format(each=each, all=4 * each))
        argv = ("-m", "orchestrator", "run", str(folder / "many.yaml"), "--runtime", "netns", "-q", "-o", str(runs))
        _quietly(*argv)
    return next(runs.iterdir())


def _quietly(*argv: str) -> None:
    subprocess.run([sys.executable, *argv], stdout=subprocess.DEVNULL, check=True)
