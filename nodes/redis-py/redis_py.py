"""The client node `redis-py`: redis-py, unmodified, which takes commands on standard input. A request is a PING."""

from __future__ import annotations

import socket
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import redis  # type: ignore[import-not-found]
from causes import cause_name
from commands import Command, CommandError
from events import Event
from knobs import Knobs
from queries import Query, refuse_http
from redis.backoff import NoBackoff  # type: ignore[import-not-found]
from redis.retry import Retry  # type: ignore[import-not-found]
from serving import main
from socketoptions import read_keepalive
from sockets import socket_facts


class Current(threading.local):
    """The connection over which this thread sent last."""

    connection: Connection | None = None


current = Current()


class Connection(redis.Connection):  # type: ignore[misc]
    """redis-py's own, which knows its socket and notes which one was used. It may connect several times in its life."""

    facts: dict[str, str | None] | None = None
    commands = 0

    def _connect(self) -> socket.socket:
        self.facts, self.commands = None, 0
        sock: socket.socket = super()._connect()
        self.facts = socket_facts(sock)
        return sock

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        current.connection = self
        super().send_packed_command(command, check_health)


@dataclass
class Pools:
    """What a session is: a pool for each server that it was used for."""

    pools: dict[str, redis.ConnectionPool] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    name: str = ""


class RedisPy:
    """Named pools; without one, a connection for each command. `options` are those of a connection."""

    schemes = ("redis",)
    options = ()

    def __init__(self, pool: type[redis.ConnectionPool], limits: dict[str, Any], options: dict[str, Any]) -> None:
        self._pool_class, self._limits, self._options = pool, limits, options
        self._timeouts: dict[str, float] = {}
        """Session -> the timeout of its connections."""

    def open(self) -> Pools:
        return Pools()

    def check(self, command: Command) -> None:
        refuse_http(command)
        if urlsplit(command.url).query:  # arguments of any kind for the library
            raise CommandError(f"url: expected one without a query, such as redis://server:6379/, not {command.url!r}")
        if command.session is not None:
            first = self._timeouts.setdefault(command.session, command.timeout)
            if first != command.timeout:
                raise CommandError(
                    f"timeout: the pool {command.session} was made with {first:g}s, which redis-py cannot change later"
                )

    def perform(self, command: Command, session: Pools | None) -> list[Event]:
        query = Query("PING", command.url)
        current.connection = None
        pool = None
        try:
            pool = self._pool(command, session)
            redis.Redis(connection_pool=pool).ping()
            query.answer = "PONG"
        except (redis.RedisError, OSError) as error:
            query.failed(cause_name(error, which_timeout), error)
        used = current.connection
        if used is not None and used.facts is not None:
            used.commands += 1
            query.on(used.facts, used.commands)
        if session is None and pool is not None:
            pool.disconnect()
        return [query.event()]

    def _pool(self, command: Command, session: Pools | None) -> redis.ConnectionPool:
        if session is None:
            return self._new_pool(command)
        with session.lock:
            session.name = command.session or ""
            if command.url not in session.pools:
                session.pools[command.url] = self._new_pool(command)
            return session.pools[command.url]

    def _new_pool(self, command: Command) -> redis.ConnectionPool:
        options = {**self._limits, **self._options, "socket_timeout": command.timeout}
        return self._pool_class.from_url(command.url, connection_class=Connection, **options)

    def close(self, session: Pools) -> None:
        self._timeouts.pop(session.name, None)
        for pool in session.pools.values():
            pool.disconnect()


def which_timeout(chain: list[BaseException]) -> str | None:
    """redis-py reports in words what timed out."""
    if not isinstance(chain[0], redis.TimeoutError):
        return None
    return "ConnectTimeout" if str(chain[0]).startswith("Timeout connecting") else "ReadTimeout"


def library(knobs: Knobs) -> RedisPy:
    """Raises KnobError."""
    block = knobs.truth("POOL_BLOCK", False)
    limits = {}
    if knobs.given("POOL_MAXSIZE"):
        limits["max_connections"] = knobs.number("POOL_MAXSIZE", 50, at_least=1, at_most=2**31)
    keepalive = read_keepalive(knobs)
    options: dict[str, Any] = {
        "health_check_interval": knobs.duration("HEALTH_CHECK_INTERVAL", 0.0),
        "socket_keepalive": keepalive.on,
        "socket_keepalive_options": {option: value for level, option, value in keepalive.options()[1:]},
    }
    if retries := knobs.number("RETRIES", 0):
        options["retry"] = Retry(NoBackoff(), retries)
        options["retry_on_error"] = [redis.ConnectionError, redis.TimeoutError]
    return RedisPy(redis.BlockingConnectionPool if block else redis.ConnectionPool, limits, options)


if __name__ == "__main__":
    sys.exit(main("redis-py", library))
