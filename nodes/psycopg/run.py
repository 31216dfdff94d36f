"""The client node `psycopg`: real psycopg and psycopg_pool, unmodified, which takes commands on standard input.

A request is `SELECT 1` in a transaction of its own, as `with connection:` makes it. Whatever the pool does not look
at stays unlooked at: this version tests no connection before it hands it out.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import psycopg  # type: ignore[import-not-found]
import psycopg_pool  # type: ignore[import-not-found]
from causes import cause_name
from commands import Command, CommandError
from database import conninfo, pool_options
from events import Event
from knobs import Knobs
from queries import Query, refuse_http
from serving import main
from socketoptions import read_keepalive
from sockets import socket_facts


class Connection(psycopg.Connection[Any]):  # type: ignore[misc]
    """psycopg's own, which knows its socket."""

    facts: dict[str, str | None]
    queries = 0

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Connection:
        made = super().connect(conninfo, **kwargs)
        assert isinstance(made, Connection)
        with socket.socket(fileno=os.dup(made.fileno())) as sock:
            made.facts = socket_facts(sock)
        return made


@dataclass
class Pools:
    """What a session is: a pool for each database that it was used for."""

    pools: dict[str, psycopg_pool.ConnectionPool] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Psycopg:
    """Named pools; without one, a connection for each query."""

    schemes = ("postgresql",)
    options = ()

    def __init__(self, knobs: Knobs) -> None:
        keepalive = read_keepalive(knobs, True)
        numbers = {
            "keepalives_idle": keepalive.time,
            "keepalives_interval": keepalive.interval,
            "keepalives_count": keepalive.probes,
            "tcp_user_timeout": knobs.milliseconds("TCP_USER_TIMEOUT", 0, at_least=0),
        }
        self._options = {
            **pool_options(knobs),
            "connection_class": Connection,
            "kwargs": {"keepalives": int(keepalive.on), **{name: value for name, value in numbers.items() if value}},
        }

    def open(self) -> Pools:
        return Pools()

    def check(self, command: Command) -> None:
        refuse_http(command)
        if command.session is None and command.timeout != int(command.timeout):
            raise CommandError(f"timeout: psycopg connects within whole seconds, not {command.timeout:g}s")
        try:
            conninfo(command.url)
        except ValueError as error:
            raise CommandError(f"url: {error}") from None

    def perform(self, command: Command, session: Pools | None) -> list[Event]:
        query = Query("QUERY", command.url)
        try:
            if session is None:
                timeout = int(command.timeout)
                with Connection.connect(
                    conninfo(command.url), connect_timeout=timeout, **self._options["kwargs"]
                ) as made:
                    ask(made, query)
            else:
                with self._pool(session, command.url).connection(timeout=command.timeout) as taken:
                    ask(taken, query)
        except (psycopg.Error, OSError) as error:
            query.failed(cause_name(error), error)
        return [query.event()]

    def _pool(self, session: Pools, url: str) -> psycopg_pool.ConnectionPool:
        with session.lock:
            if url not in session.pools:
                session.pools[url] = psycopg_pool.ConnectionPool(conninfo(url), **self._options)
            return session.pools[url]

    def close(self, session: Pools) -> None:
        for pool in session.pools.values():
            pool.close()


def ask(connection: Connection, query: Query) -> None:
    connection.queries += 1
    query.on(connection.facts, connection.queries)
    cursor = connection.execute("SELECT 1")
    cursor.fetchall()
    query.answer = cursor.statusmessage


if __name__ == "__main__":
    sys.exit(main("psycopg", Psycopg))
