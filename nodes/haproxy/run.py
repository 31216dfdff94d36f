"""Starts HAProxy: a reverse proxy, or a load balancer of TCP connections."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import KnobError, Knobs
from socketoptions import keepalive_numbers

_OWN_DESCRIPTORS = 64

_ONLY_HTTP = ("UPSTREAM_KEEPALIVE", "UPSTREAM_KEEPALIVE_TIMEOUT", "HTTP_REUSE")
_RETRY_ON = (
    "none", "conn-failure", "empty-response", "junk-response", "response-timeout", "0rtt-rejected",
    "all-retryable-errors", "404", "408", "425", "500", "501", "502", "503", "504",
)  # fmt: skip
_REUSE = ("never", "safe", "aggressive", "always")


def command(knobs: Knobs, folder: Path) -> list[str]:
    configuration = folder / "haproxy.cfg"
    configuration.write_text(_configuration(knobs))
    master = ["-W"] if knobs.truth("MASTER", False) else []
    return ["haproxy", *master, "-db", "-f", str(configuration)]


def _descriptors() -> int:
    """What it may open for connections, of which each has two ends; it refuses to start when it cannot have as many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if most == resource.RLIM_INFINITY else most - _OWN_DESCRIPTORS


def _configuration(knobs: Knobs) -> str:
    servers = knobs.endpoints("UPSTREAM")
    if not servers:
        raise KnobError("UPSTREAM: expected the servers behind it, such as server:8080; it is not set")
    mode = knobs.word("MODE", "http", "http", "tcp")
    lines = [
        "global",
        # Its own default follows from the limit of descriptors, and takes memory for as many.
        f"maxconn {min(4096, _descriptors() // 2)}",
        f"nbthread {knobs.number('THREADS', 1, at_least=1, at_most=64)}",
        *_drain(knobs),
        "log stderr format raw local0",
        "defaults",
        "log global",
        f"mode {mode}",
        f"option {mode}log",
        *_timeouts(knobs, mode),
        *_retries(knobs, mode),
        *_probes(knobs),
        "frontend clients",
        f"bind 0.0.0.0:{knobs.port('HTTP_PORT', 8080)}{_user_timeout(knobs)}",
        f"backlog {knobs.number('BACKLOG', 4096, at_least=1)}",
        "default_backend servers",
        "backend servers",
        "balance roundrobin",
        *(_pool(knobs) if mode == "http" else _no_pool(knobs)),
        *([f"source {address}"] if (address := knobs.host("SOURCE_ADDRESS")) else []),
        *(f"server {host}:{port} {host}:{port}{_user_timeout(knobs)}{_check(knobs)}" for host, port in servers),
    ]
    return "\n".join(lines) + "\n"


def _drain(knobs: Knobs) -> list[str]:
    if not knobs.given("GRACEFUL_TIMEOUT"):
        return []
    return [f"hard-stop-after {knobs.milliseconds('GRACEFUL_TIMEOUT', 0)}ms"]


def _timeouts(knobs: Knobs, mode: str) -> list[str]:
    upstream = knobs.milliseconds("UPSTREAM_TIMEOUT", 50_000)
    idle = knobs.milliseconds("KEEPALIVE_TIMEOUT", 50_000)
    lines = [f"timeout connect {upstream}ms", f"timeout server {upstream}ms"]
    if mode == "tcp":
        return [*lines, f"timeout client {idle}ms"]
    # `timeout client` would close an idle connection too, if it were the shorter one.
    return [*lines, f"timeout client {max(upstream, idle)}ms", f"timeout http-keep-alive {idle}ms"]


def _retries(knobs: Knobs, mode: str) -> list[str]:
    """`conn-failure` is what it retries on where nothing is said."""
    lines = [f"retries {knobs.number('RETRIES', 3, at_most=100)}"]
    events = knobs.words("RETRY_ON", *_RETRY_ON)
    if events and mode == "tcp":
        raise KnobError("RETRY_ON: in mode tcp there are no requests that could be sent again; leave it out")
    return [*lines, f"retry-on {' '.join(events)}"] if events else lines


def _probes(knobs: Knobs) -> list[str]:
    """Keep-alive of both sides; the three numbers are for each that is on."""
    clients, servers = knobs.truth("TCP_KEEPALIVE", False), knobs.truth("UPSTREAM_TCP_KEEPALIVE", False)
    numbers = keepalive_numbers(knobs, on=clients or servers)
    lines = []
    for side, on in (("cli", clients), ("srv", servers)):
        if on:
            lines.append(f"option {side}tcpka")
            given = (("idle", numbers.time), ("intvl", numbers.interval), ("cnt", numbers.probes))
            lines += [f"{side}tcpka-{name} {value}{'' if name == 'cnt' else 's'}" for name, value in given if value]
    return lines


def _user_timeout(knobs: Knobs) -> str:
    milliseconds = knobs.milliseconds("TCP_USER_TIMEOUT", 0, at_least=0)
    return f" tcp-ut {milliseconds}ms" if milliseconds else ""


def _check(knobs: Knobs) -> str:
    """`check` of each server: it connects, and closes with a RST. A server that is down takes no more requests."""
    interval = knobs.milliseconds("CHECK_INTERVAL", 2000)
    fall, rise = knobs.number("CHECK_FALL", 3, at_least=1), knobs.number("CHECK_RISE", 2, at_least=1)
    closes = knobs.truth("CHECK_CLOSES", False)
    if not knobs.truth("CHECK", False):
        defaults = {"CHECK_INTERVAL": interval == 2000, "CHECK_FALL": fall == 3, "CHECK_RISE": rise == 2}
        for name, default in (defaults | {"CHECK_CLOSES": not closes}).items():
            if not default:
                raise KnobError(f"{name}: it is of no effect without CHECK=true")
        return ""
    down = " on-marked-down shutdown-sessions" if closes else ""
    return f" check inter {interval}ms fall {fall} rise {rise}{down}"


def _pool(knobs: Knobs) -> list[str]:
    options = f"pool-purge-delay {knobs.milliseconds('UPSTREAM_KEEPALIVE_TIMEOUT', 5000)}ms"
    lines = [f"http-reuse {knobs.word('HTTP_REUSE', 'safe', *_REUSE)}"]
    if knobs.given("UPSTREAM_KEEPALIVE"):
        kept = knobs.number("UPSTREAM_KEEPALIVE", 0)
        options += f" pool-max-conn {kept}"
        lines += [] if kept else ["option http-server-close"]
    return [*lines, f"default-server {options}"]


def _no_pool(knobs: Knobs) -> list[str]:
    for name in _ONLY_HTTP:
        if knobs.given(name):
            raise KnobError(f"{name}: there is no pool of upstream connections in mode tcp; leave it out")
    return []


if __name__ == "__main__":
    native.main("haproxy", command, package="haproxy")
