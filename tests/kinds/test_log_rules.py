"""How lines of logs are read: those of the bundled kinds as they are printed, and whatever else a program may print."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.errors import InputError
from orchestrator.kinds.logrules import KEPT, LogRule, read_line
from orchestrator.kinds.registry import kind, kind_names

NGINX = (
    "2026/11/27 04:25:46 [error] 3#3: *1 upstream prematurely closed connection while reading response header from "
    'upstream, client: 198.18.0.2, server: , request: "GET /a HTTP/1.1", upstream: "http://198.18.0.4:8080/a", '
    'host: "nginx:8080"'
)
HAPROXY = (
    "198.18.1.2:41218 [27/Nov/2026:04:27:46.555] clients servers/server:8080 0/0/-1/-1/3009 503 217 - - SC-- "
    '1/1/0/0/3 0/0 "GET / HTTP/1.1"'
)
HAPROXY_TCP = "198.18.1.2:41218 [27/Nov/2026:04:27:46.555] clients servers/server:8080 1/0/2003 0 sD 1/1/0/0/0 0/0"
APACHE = (
    "[Fri Nov 27 04:27:58.123456 2026] [proxy_http:error] [pid 12:tid 139] (104)Connection reset by peer: "
    "[client 198.18.0.2:40000] AH01102: error reading status line from remote server app:8080"
)
APACHE_REFUSED = (
    "[Fri Nov 27 04:27:58.123456 2026] [proxy_http:error] [pid 12:tid 139] [client 198.18.0.2:40000] AH01114: HTTP: "
    "failed to make connection to backend: app"
)
ENVOY = (
    '[2026-11-27T05:11:30.123Z] "GET / HTTP/1.1" 503 UC upstream_reset_before_response_started{connection_termination} '
    "attempts=1 duration=0 client=198.18.0.2:41218 from=198.18.1.2:51000 to=198.18.1.3:8080"
)
CADDY = (
    '{"level":"error","ts":1795781352.1,"logger":"http.log.error","msg":"dial tcp 198.18.1.4:8080: connect: connection '
    'refused","request":{"remote_ip":"198.18.1.2","remote_port":"48350","proto":"HTTP/1.1","method":"GET","host":"proxy:'
    '8080","uri":"/","headers":{"Accept":["*/*"]}},"duration":0.0005,"status":502,"err_id":"pzda9qej7"}'
)
URLLIB3 = (
    "2026-11-27 04:33:30,219 WARNING Connection pool is full, discarding connection: server. Connection pool size: 1"
)


@pytest.mark.parametrize(
    ("name", "line", "told"),
    [
        ("nginx", NGINX, {
            "says": "upstream prematurely closed connection while reading response header from upstream",
            "client": "198.18.0.2", "request": "GET /a HTTP/1.1", "upstream": "198.18.0.4:8080",
        }),
        ("haproxy", HAPROXY, {
            "says": "the server, or a machine before it, refused the connection", "code": "SC", "status": "503",
            "client": "198.18.1.2:41218", "request": "GET / HTTP/1.1",
        }),
        ("haproxy", HAPROXY_TCP, {
            "says": "the server stopped in the middle of its response (timeout server)", "code": "sD",
            "client": "198.18.1.2:41218",
        }),
        ("haproxy", HAPROXY.replace("SC--", "----"), None),
        ("apache", APACHE, {
            "says": "AH01102: error reading status line from remote server app:8080", "client": "198.18.0.2:40000",
        }),
        ("apache", APACHE_REFUSED, {
            "says": "AH01114: HTTP: failed to make connection to backend: app", "client": "198.18.0.2:40000",
        }),
        ("envoy", ENVOY, {
            "says": "the server closed or reset the connection", "code": "UC", "status": "503",
            "client": "198.18.0.2:41218", "request": "GET / HTTP/1.1", "upstream": "198.18.1.3:8080",
        }),
        ("envoy", ENVOY.replace(" 503 UC ", " 200 - "), None),
        ("caddy", CADDY, {"says": "dial tcp 198.18.1.4:8080: connect: connection refused", "client": "198.18.1.2"}),
        ("caddy", CADDY.replace("http.log.error", "tls"), None),
        ("requests", URLLIB3, {
            "says": "Connection pool is full, discarding connection: server. Connection pool size: 1",
            "means": "pool_full",
        }),
        ("urllib3", "hello", None),
    ],
)  # fmt: skip
def test_lines_of_bundled_kinds(name: str, line: str, told: dict[str, str] | None) -> None:
    assert read_line(kind(name).log, line) == told


@given(st.sampled_from([name for name in kind_names() if kind(name).log]), st.text(max_size=3_000))
def test_any_line_is_read_or_passed_over(name: str, line: str) -> None:
    for text in (line, NGINX[:60] + line, HAPROXY[:50] + line, APACHE[:70] + line):
        told = read_line(kind(name).log, text)
        assert told is None or all(0 < len(value) <= max(KEPT, 120) for value in told.values())


@pytest.mark.parametrize("unit", ['"', ", client: ", "[error] ", "(1)", "[", " [error] 1 ", "a:1 [", "/0 "])
def test_a_line_made_to_take_long_is_read_at_once(unit: str) -> None:
    """A rule that tries every way to cut such a line would not end in the time of a test."""
    for name in ("nginx", "haproxy", "apache"):
        for start in ("", "[error] 3#3: *1 ", "198.18.0.2:1 [", "[proxy:error] [pid 1] (104)"):
            read_line(kind(name).log, start + unit * 2_000)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("(", "expected a regular expression"),
        (
            "(?P<says>.*)(?P<port>.)",
            "unknown group port; a line can tell says, code, client, request, status, upstream",
        ),
        ("(?P<client>.*)", "expected a group `says` or `code`: what went wrong"),
    ],
)
def test_a_rule_that_is_none(line: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("(", r"\(").replace(")", r"\)")):
        LogRule(line=line)


def test_a_wrong_rule_is_told_with_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "strange"
    folder.mkdir()
    (folder / "node.yaml").write_text(
        "kind: strange\nrole: proxy\ntitle: x\nentrypoint: [run]\nlog:\n  - line: '(?P<what>x)'\n"
    )
    with pytest.raises(InputError, match="unknown group what") as refused:
        kind("strange", tmp_path)
    assert refused.value.place is not None
    assert (refused.value.place.line, refused.value.place.column) == (6, 11)
    (folder / "node.yaml").write_text(
        "kind: strange\nrole: proxy\ntitle: x\nentrypoint: [run]\nlog:\n  - {line: '(?P<says>x)', code: {}}\n"
    )
    with pytest.raises(InputError, match="unknown key code") as refused:
        kind("strange", tmp_path)
    assert refused.value.hint == "did you mean codes?"
