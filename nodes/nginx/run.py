"""Starts nginx: a server of files, or with UPSTREAM a reverse proxy."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import fastcgi
import native
from documents import static_files
from knobs import Knobs
from socketoptions import read_keepalive

_NO_LIMIT = 2**31 - 1
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
"""nginx makes a folder for each at start, used or not."""


def command(knobs: Knobs, folder: Path) -> list[str]:
    configuration = folder / "nginx.conf"
    configuration.write_text(_configuration(knobs, folder))
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(configuration)]


def _configuration(knobs: Knobs, folder: Path) -> str:
    """Workers stay root: where a node is rootless, there is no other user to become."""
    port = knobs.port("HTTP_PORT", 8080)
    backlog = knobs.number("BACKLOG", 511, at_least=1)
    upstream, location = _proxy(knobs) if knobs.endpoints("UPSTREAM") else ("", _files(folder))
    return f"""\
daemon off;
user root;
worker_processes {knobs.number("WORKERS", 1, at_least=1, at_most=64)};
{_drain(knobs)}pid nginx.pid;
error_log stderr info;
events {{
    # Short of these it closes idle connections before their time; the default is 512.
    worker_connections 4096;
}}
http {{
    access_log /dev/stderr;
    {" ".join(f"{name}_temp_path {name};" for name in _TEMPORARY)}
    default_type text/plain;
    {_keepalive(knobs)}
{upstream}\
    server {{
        listen 0.0.0.0:{port} backlog={backlog}{_probes(knobs)};
{location}\
    }}
}}
"""


def _drain(knobs: Knobs) -> str:
    if not knobs.given("GRACEFUL_TIMEOUT"):
        return ""
    return f"worker_shutdown_timeout {knobs.milliseconds('GRACEFUL_TIMEOUT', 0)}ms;\n"


def _probes(knobs: Knobs) -> str:
    """so_keepalive: what is left empty between its colons is the node's."""
    keepalive = read_keepalive(knobs)
    if not keepalive.on:
        return ""
    seconds = [f"{value}s" if value is not None else "" for value in (keepalive.time, keepalive.interval)]
    numbers = ":".join([*seconds, "" if keepalive.probes is None else str(keepalive.probes)])
    return f" so_keepalive={'on' if numbers == '::' else numbers}"


def _keepalive(knobs: Knobs) -> str:
    timeout = f"{knobs.milliseconds('KEEPALIVE_TIMEOUT', 75_000, at_least=0)}ms"
    if knobs.truth("ADVERTISE", False):
        timeout += f" {knobs.whole_seconds('KEEPALIVE_TIMEOUT', 75)}s"
    requests = knobs.number("KEEPALIVE_REQUESTS", 1000) or _NO_LIMIT
    oldest = knobs.milliseconds("MAX_LIFETIME", 3_600_000)
    return f"keepalive_timeout {timeout}; keepalive_requests {requests}; keepalive_time {oldest}ms;"


def _files(folder: Path) -> str:
    """Its files take GET alone; `/` takes a POST too."""
    return f"""\
        root {static_files(folder)};
        location = / {{ return 200 "hello\\n"; }}
"""


def _proxy(knobs: Knobs) -> tuple[str, str]:
    """The block `upstream`, and how requests are passed to it.

    Without a pool nginx is left as it is: HTTP/1.0 with `Connection: close`. A pool needs HTTP/1.1 without that header.
    """
    servers = " ".join(f"server {host}:{port};" for host, port in knobs.endpoints("UPSTREAM"))
    kept = knobs.number("UPSTREAM_KEEPALIVE", 0, at_most=100_000)
    idle = knobs.milliseconds("UPSTREAM_KEEPALIVE_TIMEOUT", 60_000)
    timeout = knobs.milliseconds("UPSTREAM_TIMEOUT", 60_000)
    most = knobs.number("UPSTREAM_KEEPALIVE_REQUESTS", 1000) or _NO_LIMIT
    oldest = knobs.milliseconds("UPSTREAM_MAX_LIFETIME", 3_600_000)
    pool = f"keepalive {kept}; keepalive_timeout {idle}ms; keepalive_requests {most};" if kept else ""
    pool += f" keepalive_time {oldest}ms;" if kept else ""
    persistent = 'proxy_http_version 1.1; proxy_set_header Connection "";' if kept else ""
    protocol = knobs.word("UPSTREAM_PROTOCOL", "http", "http", "fastcgi")
    kind = "fastcgi" if protocol == "fastcgi" else "proxy"
    timeouts = " ".join(f"{kind}_{what}_timeout {timeout}ms;" for what in ("connect", "send", "read"))
    if protocol == "fastcgi":
        keep = "fastcgi_keep_conn on;" if kept else ""
        passed = f"fastcgi_pass servers; {keep} {_parameters()}"
    else:
        passed = f"proxy_pass http://servers; {persistent}"
    if knobs.truth("UPSTREAM_TCP_KEEPALIVE", False):
        timeouts += f" {kind}_socket_keepalive on;"
    if address := knobs.host("SOURCE_ADDRESS"):
        timeouts += f" {kind}_bind {socket.gethostbyname(address)};"
    return (
        f"    upstream servers {{ {servers} {pool} }}\n",
        f"""\
        location / {{ {passed} {timeouts} }}
""",
    )


def _parameters() -> str:
    return " ".join(f"fastcgi_param {name} {value};" for name, value in fastcgi.PARAMETERS.items())


if __name__ == "__main__":
    native.main("nginx", command, package="nginx")
