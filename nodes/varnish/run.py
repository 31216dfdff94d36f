"""Starts Varnish as a reverse proxy that passes every request on."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import KnobError, Knobs

_COMPILER = "exec gcc -O0 -w -fpic -shared -o %o %s"
"""Its configuration is compiled at every start; optimising that takes longer than anything it would save."""
_MOST_THREADS = 1000
"""It never has more upstream connections than threads, and no other limit for those that are idle."""
_UPSTREAM_TIMEOUTS = ("connect_timeout", "first_byte_timeout", "between_bytes_timeout")


def command(knobs: Knobs, folder: Path) -> list[str]:
    program = folder / "default.vcl"
    program.write_text(_program(knobs))
    port = knobs.port("HTTP_PORT", 8080)
    words = ["varnishd", "-F", "-j", "none", "-n", str(folder / "run"), "-f", str(program), "-a", f"0.0.0.0:{port}"]
    words += ["-T", "none", "-s", "default,1m"]
    for name, value in _parameters(knobs).items():
        words += ["-p", f"{name}={value}"]
    return words


def _parameters(knobs: Knobs) -> dict[str, str]:
    parameters = {
        "timeout_idle": _seconds(knobs, "KEEPALIVE_TIMEOUT", 5000),
        "backend_idle_timeout": _seconds(knobs, "UPSTREAM_KEEPALIVE_TIMEOUT", 60_000, at_least=1000),
        "listen_depth": str(knobs.number("BACKLOG", 1024, at_least=1)),
        # Two pools of 100 to 5000 threads and 80 MB of log in memory are for big machines.
        "thread_pools": "1",
        "thread_pool_min": "10",
        "thread_pool_max": str(_MOST_THREADS),
        "vsl_space": "1m",
        "cc_command": _COMPILER,
    }
    if knobs.given("UPSTREAM_TIMEOUT"):
        parameters |= dict.fromkeys(_UPSTREAM_TIMEOUTS, _seconds(knobs, "UPSTREAM_TIMEOUT", 0))
    # Of clients' connections; SO_KEEPALIVE is always on.
    if knobs.given("TCP_KEEPALIVE_TIME"):
        parameters["tcp_keepalive_time"] = str(knobs.whole_seconds("TCP_KEEPALIVE_TIME", 1, at_most=7200))
    if knobs.given("TCP_KEEPALIVE_INTERVAL"):
        parameters["tcp_keepalive_intvl"] = str(knobs.whole_seconds("TCP_KEEPALIVE_INTERVAL", 1, at_most=100))
    if knobs.given("TCP_KEEPALIVE_PROBES"):
        parameters["tcp_keepalive_probes"] = str(knobs.number("TCP_KEEPALIVE_PROBES", 1, at_least=1, at_most=100))
    return parameters


def _seconds(knobs: Knobs, name: str, default: int, *, at_least: int = 1) -> str:
    return f"{knobs.milliseconds(name, default, at_least=at_least) / 1000:.3f}"


def _program(knobs: Knobs) -> str:
    servers = knobs.endpoints("UPSTREAM")
    if not servers:
        raise KnobError("UPSTREAM: expected the servers behind it, such as server:8080; it is not set")
    kept = knobs.number("UPSTREAM_KEEPALIVE", _MOST_THREADS)
    if 0 < kept < _MOST_THREADS:
        raise KnobError(
            "UPSTREAM_KEEPALIVE: this software keeps none (0), or as many as it has threads: "
            f"expected {_MOST_THREADS} or more, not {kept}"
        )
    lines = ["vcl 4.1;", "import directors;"]
    for number, (host, port) in enumerate(servers):
        lines.append(f'backend server{number} {{ .host = "{host}"; .port = "{port}"; }}')
    added = " ".join(f"servers.add_backend(server{number});" for number in range(len(servers)))
    lines += [
        f"sub vcl_init {{ new servers = directors.round_robin(); {added} }}",
        "sub vcl_recv { set req.backend_hint = servers.backend(); return (pass); }",
    ]
    if kept == 0:
        lines.append('sub vcl_backend_fetch { set bereq.http.Connection = "close"; }')
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    native.main("varnish", command, package="varnish")
