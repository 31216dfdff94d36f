"""For tests of the step `link`: a small topology whose ARP is impatient, scenarios on it, and what became of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.reports import in_short

GET = '{from: client, url: "http://server:8080/", session: pool}'

IMPATIENT_ARP = "".join(
    f"      net.ipv4.neigh.eth0.{name}: {value}\n"
    for name, value in {
        "base_reachable_time_ms": 200,
        "delay_first_probe_time": 0,
        "retrans_time_ms": 100,
        "ucast_solicit": 1,
        "mcast_solicit": 1,
    }.items()
)
"""Neighbour entries that would fail within a second, long before TCP gives up: when ARP is asked at all."""

PAIR = """\
services:
  client:
    image: simctl/requests
    environment: {{TCP_KEEPALIVE: "{client}"}}
    sysctls: &sysctls
{sysctls}    networks: [lab]
  server:
    image: simctl/origin
    environment: {{KEEPALIVE_TIMEOUT: 1h, TCP_KEEPALIVE: "{server}"}}
    sysctls: *sysctls
    networks: [lab]
networks: {{lab: {{internal: true}}}}
"""


def pair(*sysctls: str, client: str = "off", server: str = "off") -> str:
    """A topology of a client and a server with these kernel settings."""
    lines = IMPATIENT_ARP + "".join(f"      {line}\n" for line in sysctls)
    return PAIR.format(sysctls=lines, client=client, server=server)


def write(folder: Path, topology: str, steps: Sequence[str], expect: Sequence[str] = ()) -> Path:
    (folder / "compose.yaml").write_text(topology)
    lines = ["name: test", "topology: compose.yaml", "steps:", *(f"  - {step}" for step in steps)]
    lines += ["expect:", *(f"  - {one}" for one in expect)] if expect else []
    path = folder / "scenario.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def passed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, report["outcome"]) == (0, "pass"), in_short(report)
    return report


def events_of(folder: Path) -> list[dict[str, Any]]:
    (run,) = folder.iterdir()
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
