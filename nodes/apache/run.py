"""Starts Apache httpd: a server of files, or with UPSTREAM a reverse proxy."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from documents import static_files
from fastcgi import SCRIPT
from knobs import KnobError, Knobs
from users import may_become

_MODULES = Path("/usr/lib/apache2/modules")
_SERVER = ("mpm_event", "authz_core", "dir")
_PROXY = ("mpm_event", "authz_core", "proxy", "proxy_http", "proxy_balancer", "lbmethod_byrequests", "slotmem_shm")
_FASTCGI = ("proxy_fcgi", "setenvif")
_WWW_DATA = 33


def command(knobs: Knobs, folder: Path) -> list[str]:
    configuration = folder / "apache2.conf"
    configuration.write_text(_configuration(knobs, folder))
    program = ["apache2", "-d", str(folder), "-f", str(configuration), "-DFOREGROUND"]
    if may_become(_WWW_DATA, _WWW_DATA):
        return program
    # As root it insists on becoming somebody else, and a rootless node has nobody else. In a user namespace without any
    # user it is not root.
    return ["unshare", "--user", *program]


def _configuration(knobs: Knobs, folder: Path) -> str:
    proxied = bool(knobs.endpoints("UPSTREAM"))
    threads = knobs.number("THREADS", 25, at_least=1, at_most=1000)
    fastcgi = knobs.word("UPSTREAM_PROTOCOL", "http", "http", "fastcgi") == "fastcgi"
    modules = (*_PROXY, *(_FASTCGI if fastcgi else ())) if proxied else _SERVER
    lines = [f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in modules]
    lines += [
        f"Listen 0.0.0.0:{knobs.port('HTTP_PORT', 8080)}",
        f"ListenBacklog {knobs.number('BACKLOG', 511, at_least=1)}",
        f"KeepAliveTimeout {knobs.milliseconds('KEEPALIVE_TIMEOUT', 5000)}ms",
        f"MaxKeepAliveRequests {knobs.number('KEEPALIVE_REQUESTS', 100)}",
        *_processes(knobs.number("WORKERS", 1, at_least=1, at_most=64), threads),
        f"MaxConnectionsPerChild {knobs.number('MAX_CONNECTIONS_PER_CHILD', 0)}",
        "ServerName localhost",
        "User www-data",
        "Group www-data",
        f"DefaultRuntimeDir {folder}",
        f"PidFile {folder}/apache2.pid",
        "ErrorLog /dev/stderr",
        r'CustomLog /dev/stderr "%h:%{remote}p %t \"%r\" %>s %B"',
        *(_proxy(knobs, threads, fastcgi) if proxied else _files(folder)),
    ]
    return "\n".join(lines) + "\n"


def _processes(workers: int, threads: int) -> list[str]:
    """As many processes as there are to be, from the start and to the end."""
    return [
        f"ServerLimit {workers}",
        f"StartServers {workers}",
        f"ThreadLimit {threads}",
        f"ThreadsPerChild {threads}",
        f"MaxRequestWorkers {workers * threads}",
        "MinSpareThreads 1",
        f"MaxSpareThreads {workers * threads}",
    ]


def _files(folder: Path) -> list[str]:
    return [f"DocumentRoot {static_files(folder)}", "DirectoryIndex index.html"]


def _proxy(knobs: Knobs, threads: int, fastcgi: bool) -> list[str]:
    """One server is a worker, as most configurations have it; several are the members of a balancer."""
    timeout = knobs.whole_seconds("UPSTREAM_TIMEOUT", 60)
    options = " ".join([f"connectiontimeout={timeout} timeout={timeout}", *_pool(knobs, threads)])
    servers = [f"{'fcgi' if fastcgi else 'http'}://{host}:{port}" for host, port in knobs.endpoints("UPSTREAM")]
    if fastcgi:
        if len(servers) > 1:
            raise KnobError(f"UPSTREAM: with UPSTREAM_PROTOCOL fastcgi expected one server, not {len(servers)}")
        # Without `enablereuse` mod_proxy_fcgi has a connection for each request.
        reuse = "" if "disablereuse=On" in options else " enablereuse=On"
        return [f"ProxyPass / {servers[0]}/{reuse} {options}", f'ProxyFCGISetEnvIf "true" SCRIPT_FILENAME "{SCRIPT}"']
    if len(servers) == 1:
        return [f"ProxyPass / {servers[0]}/ {options}"]
    members = [f"BalancerMember {server} {options}" for server in servers]
    return ["<Proxy balancer://servers>", *members, "</Proxy>", "ProxyPass / balancer://servers/"]


def _pool(knobs: Knobs, threads: int) -> list[str]:
    """A process never has more upstream connections than threads, and without `ttl` it ignores `smax`."""
    kept = knobs.number("UPSTREAM_KEEPALIVE", threads)
    if kept == 0:
        return ["disablereuse=On"]
    if knobs.given("UPSTREAM_KEEPALIVE_TIMEOUT"):
        return [f"smax={min(kept, threads)}", f"ttl={knobs.whole_seconds('UPSTREAM_KEEPALIVE_TIMEOUT', 0)}"]
    if kept < threads:
        raise KnobError(
            f"UPSTREAM_KEEPALIVE: to keep fewer connections than it has threads ({threads}), this software needs "
            f"UPSTREAM_KEEPALIVE_TIMEOUT: those beyond {kept} go when they were idle for that long"
        )
    return []


if __name__ == "__main__":
    native.main("apache", command, package="apache2-bin")
