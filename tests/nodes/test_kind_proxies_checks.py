"""Health checks, retries and the age of upstream connections, as proxies do it in a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.vanishing import passed, write

pytestmark = [pytest.mark.netns, pytest.mark.timeout(150)]

CHECKED = """\
services:
  client: {image: simctl/requests, networks: [lab]}
  lb:
    image: simctl/haproxy
    environment:
      UPSTREAM: one:8080,two:8080
      CHECK: "true"
      CHECK_INTERVAL: 200ms
      CHECK_FALL: 2
      TCP_KEEPALIVE: "true"
      UPSTREAM_TCP_KEEPALIVE: "true"
      TCP_KEEPALIVE_TIME: 60s
      TCP_KEEPALIVE_PROBES: 3
      TCP_USER_TIMEOUT: 10s
      SOURCE_ADDRESS: lb
    networks: [lab]
  one: &server {image: simctl/origin, environment: {KEEPALIVE_TIMEOUT: 1h}, networks: [lab]}
  two: *server
networks: {lab: {internal: true}}
"""
RETRYING = """\
services:
  client: {{image: simctl/requests, networks: [lab]}}
  lb:
    image: simctl/haproxy
    environment: {{UPSTREAM: "one:8080", RETRIES: 2, RETRY_ON: "{events}"}}
    networks: [lab]
  one:
    image: simctl/origin
    environment: {{FAULT: close-unanswered}}
    networks: [lab]
networks: {{lab: {{internal: true}}}}
"""
AGED = """\
services:
  client: {image: simctl/requests, networks: [lab]}
  lb:
    image: simctl/nginx
    environment:
      UPSTREAM: one:8080
      UPSTREAM_KEEPALIVE: 4
      UPSTREAM_KEEPALIVE_REQUESTS: 2
      UPSTREAM_TCP_KEEPALIVE: "true"
      TCP_KEEPALIVE: "true"
      TCP_KEEPALIVE_INTERVAL: 5s
      MAX_LIFETIME: 300ms
      SOURCE_ADDRESS: lb
    networks: [lab]
  one: {image: simctl/origin, networks: [lab]}
networks: {lab: {internal: true}}
"""
GET = '{from: client, url: "http://lb:8080/", session: pool, '


@pytest.mark.kinds("haproxy")
@pytest.mark.slow
def test_a_check_of_haproxy_connects_and_resets_and_takes_a_dead_server_out(simctl: Simctl, tmp_path: Path) -> None:
    steps = [
        "{name: checks, wait: 1s}",
        "{name: dies, stop: one}",
        "{name: noticed, wait: 1500ms}",
        f"{{name: load, request: {GET}count: 6}}}}",
    ]
    expect = [
        "{that: checks end with a RST by lb, at: checks.end, lb: {resets: 4..}, one: {first_fin: 0, served: 0}}",
        "{that: nobody is sent to it, over: load.start .. load.end, client: {statuses: {200: 6}}, two: {served: 6}}",
    ]
    passed(simctl("run", write(tmp_path, CHECKED, steps, expect), "-r", "netns", "--format", "json", timeout=120))


@pytest.mark.kinds("haproxy")
@pytest.mark.slow
@pytest.mark.parametrize(("events", "served", "status"), [("", 1, 502), ("empty-response", 3, 502)])
def test_what_haproxy_sends_again(simctl: Simctl, tmp_path: Path, events: str, served: int, status: int) -> None:
    steps = [f"{{name: load, request: {GET[:-2]}}}}}"]
    expect = [f"{{that: again, client: {{statuses: {{{status}: 1}}}}, one: {{served: {served}}}}}"]
    scenario = write(tmp_path, RETRYING.format(events=events), steps, expect)
    passed(simctl("run", scenario, "-r", "netns", "--format", "json", timeout=120))


@pytest.mark.kinds("nginx")
@pytest.mark.slow
def test_connections_of_nginx_end_after_so_many_requests_or_so_long(simctl: Simctl, tmp_path: Path) -> None:
    steps = [
        f"{{name: load, request: {GET}count: 4}}}}",
        "{name: age, wait: 600ms}",
        f"{{name: old, request: {GET[:-2]}}}}}",
        "{name: settle, wait: 300ms}",
    ]
    expect = [
        "{that: two requests each, over: load.start .. load.end, one: {connections: 2}, client: {connections: 1}}",
        "{that: no error, client: {requests: 5, errors: 0}}",
        "{that: too old after this one, at: settle.end, where: {peer: client}, lb: {first_close: 1, TIME_WAIT: 1}}",
    ]
    passed(simctl("run", write(tmp_path, AGED, steps, expect), "-r", "netns", "--format", "json", timeout=120))
