"""What the tests of server kinds share: requests with their answers, and a short story for every runtime."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import Simctl


def _ask(path: str, method: str = "GET", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: test\r\n{length}\r\n".encode() + body


ALL_PATHS = (
    (_ask("/"), 200, b"hello\n"),
    (_ask("/bytes/0"), 200, b""),
    (_ask("/bytes/100000"), 200, b"x" * 100_000),
    (_ask("/bytes/10", "HEAD"), 200, b""),
    (_ask("/status/503"), 503, b"503\n"),
    (_ask("/status/204"), 204, b""),
    (_ask("/delay/10"), 200, b"after 10 ms\n"),
    (_ask("/echo", "POST", b"what was sent"), 200, b"what was sent"),
    (_ask("/status/99"), 400, b"/status/ takes a number from 200 to 599\n"),
    (_ask("/elsewhere"), 404, b"nothing is here; there are /, /echo, /bytes/N, /delay/MS and /status/CODE\n"),
)
"""Request, status and body of what a programmable server answers, on one connection."""


def assert_runs_everywhere(simctl: Simctl, folder: Path, name: str, runtime: str) -> None:
    """A short story, in a container or without root, in a user namespace where there is only one uid."""
    compose = folder / "compose.yaml"
    compose.write_text(
        "services:\n  client: {image: simctl/requests, networks: [lab]}\n"
        f"  server: {{image: simctl/{name}, networks: [lab]}}\nnetworks: {{lab: {{internal: true}}}}\n"
    )
    story = folder / "short.yaml"
    story.write_text(
        "name: short\ntopology: compose.yaml\n"
        'steps: [{request: {from: client, url: "http://server:8080/bytes/1000", session: pool, count: 3}}]\n'
        "expect:\n"
        "  - that: one connection carries all\n"
        "    over: start .. end\n"
        "    client: {requests: 3, errors: 0, connections: 1}\n"
    )
    if runtime == "docker":
        done = simctl("run", story, "-r", "docker", "-q", timeout=230)
    else:
        user = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-m", "orchestrator"]
        done = subprocess.run(
            [*user, "run", str(story), "-r", "netns", "-q", "-o", str(folder / "runs")],
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stderr + done.stdout
