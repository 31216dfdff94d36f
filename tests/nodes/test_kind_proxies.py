"""nginx, Apache httpd, HAProxy and Varnish between a client and a server: who closes which connection, and when.

Every story is a run of its own; they are run side by side, once, because they mostly wait.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.system.resources import COMPOSE
from tests.support.reports import in_short

PROXIES = ("nginx", "apache", "haproxy", "varnish")

pytestmark = [pytest.mark.netns, pytest.mark.kinds(*PROXIES)]
LOOKS_ONLY_AT_REUSE = "{CLOSE_WAIT: 1, recv_q: {CLOSE_WAIT: 1}, others: 0}"
NOTICES_AT_ONCE = "{ESTABLISHED: 0, others: 0}"

KEPT = """
topology: client-proxy-server.yaml
set: {{PROXY: {kind}, UPSTREAM_KEEPALIVE: 1000, KEEPALIVE_TIMEOUT: 1s}}
steps:
  - {{name: load, request: {{from: client, url: "http://proxy:8080/", session: pool, count: 5}}}}
  - {{name: idle, wait: 2s}}
  - {{name: reuse, request: {{from: client, url: "http://proxy:8080/", session: pool}}}}
expect:
  - that: five requests of a client share one upstream connection
    over: load.start .. load.end
    client: {{connections: 1, requests: 5, errors: 0}}
    server: {{connections: 1, served: 5}}
  - that: the server closes the idle one first
    at: idle.end
    server: {{first_fin: 1, ESTABLISHED: 0}}
  - that: the proxy closes too, at once or not before it needs one
    at: idle.end
    where: {{peer: server}}
    proxy: {noticed}
  - that: the next request goes over a new one
    over: reuse.start .. reuse.end
    client: {{connections: 0, requests: 1, errors: 0}}
    server: {{connections: 1, served: 1}}
"""

NOT_KEPT = """
topology: two-servers.yaml
set: {{PROXY: {kind}}}
steps:
  - {{name: load, request: {{from: client, url: "http://proxy:8080/", session: pool, count: 6}}}}
  - {{name: rest, wait: 300ms}}
expect:
  - that: the client's connection is kept
    client: {{connections: 1, ESTABLISHED: 1, errors: 0}}
  - that: servers take turns; each request has a connection, which the server closes because the proxy told it so
    one: {{connections: 3, served: 3, first_fin: 3, TIME_WAIT: 3, others: 0}}
    two: {{connections: 3, served: 3, first_fin: 3, TIME_WAIT: 3, others: 0}}
"""

TWO_SERVERS = """
services:
  client: {image: simctl/requests, networks: [lab]}
  proxy:
    image: "simctl/${PROXY}"
    environment: {UPSTREAM: "one:8080,two:8080", UPSTREAM_KEEPALIVE: 0}
    networks: [lab]
  one: {image: simctl/origin, networks: [lab]}
  two: {image: simctl/origin, networks: [lab]}
networks: {lab: {internal: true}}
"""

EXPIRES = """
topology: client-proxy-server.yaml
set: {{PROXY: {kind}, UPSTREAM_KEEPALIVE: 1000, UPSTREAM_KEEPALIVE_TIMEOUT: 1s, KEEPALIVE_TIMEOUT: 1h}}
steps:
  - {{name: load, request: {{from: client, url: "http://proxy:8080/", session: pool}}}}
  - {{name: idle, wait: 2s}}
  - {{name: reuse, request: {{from: client, url: "http://proxy:8080/", session: pool}}}}
  - {{name: rest, wait: 300ms}}
expect:
  - that: the proxy's timer closes the idle upstream connection, or marks it
    at: idle.end
    where: {{peer: server}}
    proxy: {idle}
  - that: either way the next request does not use it
    where: {{peer: server}}
    proxy: {{connections: 2, first_fin: 1, TIME_WAIT: 1, ESTABLISHED: 1}}
"""

# A kept connection that belongs to nobody: haproxy looks at intervals of UPSTREAM_KEEPALIVE_TIMEOUT, and resets.
PURGED = """
topology: client-proxy-server.yaml
set: {PROXY: haproxy, UPSTREAM_KEEPALIVE_TIMEOUT: 500ms, KEEPALIVE_TIMEOUT: 1h}
steps:
  - {name: load, request: {from: client, url: "http://proxy:8080/"}}
  - {name: idle, wait: 4s}
expect:
  - that: it is kept when its client is gone
    at: load.end
    where: {peer: server}
    proxy: {ESTABLISHED: 1}
  - that: and closed by RST later
    at: idle.end
    where: {peer: server}
    proxy: {connections: 1, ESTABLISHED: 0, others: 0, first_fin: 1, resets: 1}
"""

TCP = """
topology: client-proxy-server.yaml
set: {PROXY: haproxy, MODE: tcp, KEEPALIVE_TIMEOUT: 1s, PROXY_KEEPALIVE_TIMEOUT: 1h, UPSTREAM_TIMEOUT: 1h}
steps:
  - {name: load, request: {from: client, url: "http://proxy:8080/", session: pool, count: 3}}
  - {name: idle, wait: 2s}
  - {name: reuse, request: {from: client, url: "http://proxy:8080/", session: pool}}
  - {name: rest, wait: 300ms}
expect:
  - that: a connection for a connection
    over: load.start .. load.end
    client: {connections: 1}
    server: {connections: 1, served: 3}
  - that: the server's FIN is passed on, and both halves wait for the client
    at: idle.end
    server: {FIN_WAIT2: 1}
    proxy: {CLOSE_WAIT: 1, FIN_WAIT2: 1, others: 0, recv_q: {CLOSE_WAIT: 0}}
    client: {CLOSE_WAIT: 1}
  - that: when the client looks and closes, so does the proxy
    server: {TIME_WAIT: 1, ESTABLISHED: 1}
    proxy: {TIME_WAIT: 1, ESTABLISHED: 2, others: 0}
    client: {errors: 0, requests: 4}
"""

FILES = """
topology: client-server.yaml
set: {{SERVER: {kind}, KEEPALIVE_TIMEOUT: 1s, KEEPALIVE_REQUESTS: 2}}
steps:
  - {{name: load, request: {{from: client, url: "http://server:8080/bytes/100000", session: pool, count: 5}}}}
  - {{name: post, request: {{from: client, url: "http://server:8080/", method: POST, body: x}}}}
  - {{name: idle, wait: 2s}}
expect:
  - that: the request limit, as the software counts it
    over: load.start .. load.end
    client: {{requests: 5, errors: 0, connections: {connections}}}
  - that: a POST to / is answered
    over: post.start .. post.end
    client: {{requests: 1, errors: 0}}
  - that: the idle timer
    at: idle.end
    server: {{ESTABLISHED: 0, FIN_WAIT2: 1}}
    client: {{CLOSE_WAIT: 1}}
"""

STORIES = {
    **{f"kept-{kind}": KEPT.format(kind=kind, noticed=NOTICES_AT_ONCE) for kind in PROXIES if kind != "apache"},
    "kept-apache": KEPT.format(kind="apache", noticed=LOOKS_ONLY_AT_REUSE),
    **{f"not-kept-{kind}": NOT_KEPT.format(kind=kind) for kind in PROXIES},
    **{f"expires-{kind}": EXPIRES.format(kind=kind, idle="{TIME_WAIT: 1, others: 0}") for kind in ("nginx", "varnish")},
    "expires-apache": EXPIRES.format(kind="apache", idle="{ESTABLISHED: 1, others: 0}"),
    "purged-haproxy": PURGED,
    "tcp-haproxy": TCP,
    "files-nginx": FILES.format(kind="nginx", connections=3),
    "files-apache": FILES.format(kind="apache", connections=2),
}


def play(folder: Path, names: list[str], runtime: str, *command: str) -> dict[str, dict[str, Any]]:
    """Run stories side by side; name -> report."""
    (folder / "two-servers.yaml").write_text(TWO_SERVERS)
    for compose in ("client-proxy-server.yaml", "client-server.yaml"):
        (folder / compose).write_bytes((COMPOSE / compose).read_bytes())
    for name in names:
        (folder / f"{name}.yaml").write_text(f"name: {name}\n{STORIES[name]}")
    argv = [*command, sys.executable, "-m", "orchestrator", "run", *(f"{name}.yaml" for name in names)]
    argv += ["-r", runtime, "--jobs", "5", "--format", "json"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    reports = {report["scenario"]: report for report in (found if isinstance(found, list) else [found])}
    assert set(reports) == set(names), done.stderr
    return reports


def assert_passed(report: dict[str, Any]) -> None:
    assert report["outcome"] == "pass", in_short(report)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stories")


@pytest.fixture(scope="module")
def reports(folder: Path) -> dict[str, dict[str, Any]]:
    return play(folder, list(STORIES), "netns")


@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", STORIES)
def test_story(reports: dict[str, dict[str, Any]], name: str) -> None:
    assert_passed(reports[name])


@pytest.mark.parametrize(("kind", "owner"), [("nginx", None), ("apache", "apache2")])
def test_half_closed_or_closed(reports: dict[str, dict[str, Any]], folder: Path, kind: str, owner: str | None) -> None:
    """nginx closes what is idle. httpd shuts its half down and reads on for two seconds, then closes too."""
    (table,) = folder.glob(f"runs/*-files-{kind}/ss/idle.end/server.ss.txt")
    (line,) = [line for line in table.read_text().splitlines() if line.startswith("FIN-WAIT-2")]
    assert (f'"{owner}"' in line) if owner else ("users:" not in line and "timewait" in line), line


@pytest.mark.slow
def test_rootless(tmp_path: Path) -> None:
    """No user but root is known there: httpd, which refuses to be root, is run in a user namespace without any."""
    unshare = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    names = [f"not-kept-{kind}" for kind in PROXIES] + ["files-nginx", "files-apache"]
    for report in play(tmp_path, names, "netns", *unshare).values():
        assert_passed(report)


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(600)
@pytest.mark.images("requests", "origin")
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.images(kind)) for kind in PROXIES])
def test_in_containers(tmp_path: Path, kind: str) -> None:
    names = [name for name in STORIES if name.endswith(f"-{kind}")]
    for report in play(tmp_path, names, "docker").values():
        assert_passed(report)
