"""Programs that stand between others, and what they stand before: Envoy, PgBouncer, tinyproxy, PHP-FPM, MariaDB.

Each story of theirs is bundled; one lab with all of them shows the same in a few seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.kinds.registry import kind
from orchestrator.system.resources import COMPOSE
from tests.conftest import Simctl
from tests.support.kindserver import assert_refuses
from tests.support.kindsources import knobs_read
from tests.support.reports import in_short

KINDS = ("envoy", "mariadb", "pgbouncer", "php-fpm", "pymysql", "tinyproxy")
STORIES = ("mariadb-idle", "php-kept-workers", "pooler-idle", "tunnel-idle")

needed = pytest.mark.kinds(*KINDS, "apache", "curl", "nginx", "origin", "postgres", "psycopg", "requests")

NODES = {
    "asker": ("requests", {}),
    "envoy": (
        "envoy",
        {
            "UPSTREAM": "origin:8080",
            "KEEPALIVE_TIMEOUT": "500ms",
            "GRACEFUL_TIMEOUT": "500ms",
            "UPSTREAM_KEEPALIVE_TIMEOUT": "1s",
        },
    ),
    "web": (
        "nginx",
        {
            "UPSTREAM": "php:9000",
            "UPSTREAM_PROTOCOL": "fastcgi",
            "UPSTREAM_KEEPALIVE": "4",
            "UPSTREAM_KEEPALIVE_TIMEOUT": "1s",
        },
    ),
    "php": ("php-fpm", {}),
    "pg": ("psycopg", {"POOL_MIN_SIZE": "1", "POOL_MAXSIZE": "1"}),
    "pooler": ("pgbouncer", {"UPSTREAM": "db:5432", "POOL_MODE": "transaction", "UPSTREAM_KEEPALIVE_TIMEOUT": "1s"}),
    "db": ("postgres", {}),
    "sql": ("pymysql", {}),
    "maria": ("mariadb", {"KEEPALIVE_TIMEOUT": "1s"}),
    "tunneller": ("curl", {"PROXY": "tunnel:8080", "PROXY_TUNNEL": "true"}),
    "tunnel": ("tinyproxy", {"KEEPALIVE_TIMEOUT": "1s"}),
    "origin": ("origin", {"KEEPALIVE_TIMEOUT": "1h"}),
}
"""Node -> kind, and the knobs that are not at their defaults."""

STORY = """
name: all
topology: compose.yaml
steps:
  - {name: envoy, request: {from: asker, url: "http://envoy:8080/", session: envoy, count: 2}}
  - {name: php, request: {from: asker, url: "http://web:8080/bytes/10", session: web, count: 2}}
  - {name: posted, request: {from: asker, url: "http://web:8080/echo", session: web, method: POST, body: what was sent}}
  - {name: pg, request: {from: pg, url: "postgresql://pooler:6432/", session: pool, count: 2}}
  - {name: sql, request: {from: sql, url: "mysql://maria:3306/", session: pool, count: 2}}
  - {name: tunnel, request: {from: tunneller, url: "http://origin:8080/", count: 2, interval: 3s}}
expect:
  - {that: nothing fails, asker: {statuses: {200: 5}}, pg: {errors: 0, requests: 2}, sql: {errors: 0, requests: 2},
     tunneller: {statuses: {200: 2}, connections: 2}}
  - {that: Envoy closes to its client after two timers, at: end, where: {peer: envoy}, asker: {CLOSE_WAIT: 1}}
  - {that: and its own timer is first behind it, at: end, where: {peer: origin},
     envoy: {TIME_WAIT: 1, ESTABLISHED: 0, first_fin: 1}}
  - {that: so is nginx's, at: end, where: {peer: php}, web: {TIME_WAIT: 1, ESTABLISHED: 0, first_fin: 1}}
  - {that: PgBouncer lets its connection go (it says Terminate; the first FIN is its own or PostgreSQL's), at: end,
     where: {peer: db}, pooler: {ESTABLISHED: 0, CLOSE_WAIT: 0}, db: {ESTABLISHED: 0, CLOSE_WAIT: 0}}
  - {that: its client keeps its own, at: end, pg: {ESTABLISHED: 1, others: 0}}
  - {that: MariaDB resets what was idle, at: end, maria: {first_fin: 1, ESTABLISHED: 0, FIN_WAIT2: 0}}
  - {that: a tunnel that was idle is closed to the server too, at: end, where: {peer: tunnel},
     origin: {first_fin: 0}}
"""


@needed
@pytest.mark.netns
@pytest.mark.parametrize("user", ["as it is", pytest.param("rootless", marks=pytest.mark.slow)])
def test_who_closes_an_idle_connection(tmp_path: Path, user: str) -> None:
    """With the defaults that node.yaml tells, but for what the story needs. Without root there is only one user id."""
    services = {
        name: {
            "image": f"simctl/{of}",
            "environment": {knob: each.default for knob, each in kind(of).knobs.items()} | knobs,
        }
        for name, (of, knobs) in NODES.items()
    }
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump({"services": services}))
    (tmp_path / "all.yaml").write_text(STORY)
    unshare = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if user == "rootless" else []
    command = [*unshare, sys.executable, "-m", "orchestrator", "run", "all.yaml", "-r", "netns", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["outcome"] == "pass", in_short(report)


def assert_stories(simctl: Simctl, runtime: str) -> None:
    done = simctl("run", *STORIES, "-r", runtime, "-j", "2", "-q", timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


@needed
@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stories(simctl: Simctl) -> None:
    assert_stories(simctl, "netns")


@needed
@pytest.mark.vm
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stories_in_a_virtual_machine(simctl: Simctl) -> None:
    assert_stories(simctl, "vm")


@pytest.mark.docker
@pytest.mark.images(*KINDS, "apache", "curl", "nginx", "origin", "postgres", "psycopg", "requests")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_stories_in_containers(simctl: Simctl) -> None:
    assert_stories(simctl, "docker")


FEWER_WORKERS = """
name: fewer
topology: {compose}
set: {{WORKERS: 3}}
steps:
  - {{name: before, exec: {{node: php, command: [pgrep, -fc, "php-fpm: pool"]}}}}
  - {{name: first, request: {{from: client, url: "http://web:8080/bytes/10"}}}}
  - {{name: fewer, reload: {{node: php, set: {{WORKERS: 1}}}}}}
  - {{name: taken, wait: 2s}}
  - {{name: after, exec: {{node: php, command: [pgrep, -fc, "php-fpm: pool"]}}}}
  - {{name: second, request: {{from: client, url: "http://web:8080/bytes/10"}}}}
expect:
  - {{that: it serves before and after, client: {{statuses: {{200: 2}}, errors: 0}}}}
"""


@needed
@pytest.mark.netns
@pytest.mark.slow
def test_a_reload_of_php_fpm_changes_the_number_of_its_workers(simctl: Simctl, tmp_path: Path) -> None:
    (tmp_path / "fewer.yaml").write_text(FEWER_WORKERS.format(compose=COMPOSE / "client-web-php.yaml"))
    done = simctl("run", tmp_path / "fewer.yaml", "-r", "netns", "--allow-exec", "-q", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    before, after = (int((run / "logs" / f"exec-{step}-php.txt").read_text()) for step in ("before", "after"))
    assert (before, after) == (3, 1)


POOL_MODES = """
name: modes
topology: {compose}
set: {{POOL_MIN_SIZE: 4, POOL_MODE: {mode}}}
steps:
  - {{name: load, request: {{from: client, url: "postgresql://pgbouncer:6432/", session: pool, count: 8, concurrency: 1,
      interval: 50ms}}}}
expect:
  - {{that: the pool opens four and uses them in turn, client: {{connections: 4, errors: 0, requests: 8}}}}
  - {{that: so many connections to the database, db: {{connections: {connections}}}}}
"""


@needed
@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.parametrize(("mode", "connections"), [("session", 4), ("transaction", 1)])
def test_pool_modes(simctl: Simctl, tmp_path: Path, mode: str, connections: int) -> None:
    compose = COMPOSE / "client-pgbouncer-postgres.yaml"
    (tmp_path / "modes.yaml").write_text(POOL_MODES.format(compose=compose, mode=mode, connections=connections))
    done = simctl("run", tmp_path / "modes.yaml", "-r", "netns", "-q")
    assert done.returncode == 0, done.stdout + done.stderr


WORKERS = """
name: workers
topology: {compose}
set: {{WEB: {web}, UPSTREAM_KEEPALIVE: 25, MAX_REQUESTS: 3, WORKERS: 1}}
steps:
  - {{name: load, request: {{from: client, url: "http://web:8080/", session: pool, count: 3}}}}
  - {{name: rest, wait: 500ms}}
  - {{name: more, request: {{from: client, url: "http://web:8080/", session: pool, count: 2}}}}
expect:
  - {{that: a worker that has had its requests ends with its connection, at: rest.end,
     php: {{first_fin: 1, ESTABLISHED: 0}}}}
  - {{that: the next one takes another connection, php: {{connections: 2}}, client: {{statuses: {{200: 5}}}}}}
"""


@needed
@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.parametrize("web", ["nginx", "apache"])
def test_a_worker_of_php_ends_after_its_requests(simctl: Simctl, tmp_path: Path, web: str) -> None:
    (tmp_path / "workers.yaml").write_text(WORKERS.format(compose=COMPOSE / "client-web-php.yaml", web=web))
    done = simctl("run", tmp_path / "workers.yaml", "-r", "netns", "-q")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [name for name in KINDS if name != "envoy"])
def test_the_knobs_are_those_that_are_read(name: str) -> None:
    assert knobs_read(name) == set(kind(name).knobs)


@needed
@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "knob", "value", "words"),
    [
        ("pgbouncer", "UPSTREAM", "a:1,b:2", "expected one server"),
        ("pgbouncer", "POOL_MODE", "query", "expected session or transaction"),
        ("pgbouncer", "UPSTREAM_KEEPALIVE_TIMEOUT", "500ms", "whole seconds"),
        ("mariadb", "KEEPALIVE_TIMEOUT", "0s", "whole seconds"),
        ("mariadb", "MAX_CONNECTIONS", "5", "from 10"),
        ("tinyproxy", "KEEPALIVE_TIMEOUT", "0s", "whole seconds"),
        ("php-fpm", "REQUEST_TIMEOUT", "500ms", "whole seconds"),
        ("nginx", "UPSTREAM_PROTOCOL", "uwsgi", "expected http or fastcgi"),
        ("apache", "UPSTREAM_PROTOCOL", "ajp", "expected http or fastcgi"),
        ("pymysql", "MAX_LIFETIME", "0s", "whole seconds"),
        ("requests", "PROXY", "a:1,b:2", "expected one proxy"),
        ("curl", "PROXY", "a:1,b:2", "expected one proxy"),
    ],
)
def test_a_wrong_knob_is_one_line(tmp_path: Path, name: str, knob: str, value: str, words: str) -> None:
    more = {"UPSTREAM": "server:8080"} if knob == "UPSTREAM_PROTOCOL" else {}
    more |= {"UPSTREAM": "db:5432"} if name == "pgbouncer" else {}
    assert_refuses(name, knob, value, words, tmp_path, **more)
