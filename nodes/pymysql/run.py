"""The client node `pymysql`: PyMySQL and SQLAlchemy's pool, unmodified, which takes commands on standard input.

A request is `SELECT 1`. SQLAlchemy asks the server a few things about itself on its first connection, and rolls back
whenever a connection comes back to the pool.
"""

from __future__ import annotations

import re
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import pymysql  # type: ignore[import-untyped]
import sqlalchemy  # type: ignore[import-not-found]
from causes import cause_name
from commands import Command, CommandError
from events import Event
from knobs import Knobs
from queries import Query, refuse_http
from serving import main
from sockets import socket_facts

_PORT = 3306
_CANNOT_CONNECT = 2003
"""CR_CONN_HOST_ERROR, https://mariadb.com/kb/en/mariadb-error-code-reference/"""
_URL = re.compile(r"mysql://(?:(?P<user>[A-Za-z0-9_.-]+)@)?[^@/?#]+(?:/(?P<database>[A-Za-z0-9_]*))?")


class Connection(pymysql.connections.Connection):  # type: ignore[misc]
    """PyMySQL's own, which knows its socket."""

    facts: dict[str, str | None]
    queries = 0

    def connect(self, sock: Any = None) -> None:
        super().connect(sock)
        self.facts, self.queries = socket_facts(self._sock), 0


@dataclass
class Pools:
    """What a session is: an engine, which has a pool, for each database that it was used for."""

    engines: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    name: str = ""


class PyMySQL:
    """Named pools; without one, a connection for each query."""

    schemes = ("mysql",)
    options = ()

    def __init__(self, knobs: Knobs) -> None:
        self._options = {
            "pool_size": knobs.number("POOL_MAXSIZE", 5, at_least=1),
            "max_overflow": knobs.number("POOL_OVERFLOW", 10),
            "pool_use_lifo": knobs.truth("POOL_LIFO", False),
            "pool_recycle": knobs.whole_seconds("MAX_LIFETIME", 0) if knobs.given("MAX_LIFETIME") else -1,
            "pool_pre_ping": knobs.truth("PRE_PING", False),
        }
        self._timeouts: dict[str, float] = {}
        """Session -> the timeout of its connections."""

    def open(self) -> Pools:
        return Pools()

    def check(self, command: Command) -> None:
        refuse_http(command)
        if not _URL.fullmatch(command.url) or not urlsplit(command.url).hostname:
            raise CommandError(f"url: expected one such as mysql://server:3306/, not {command.url!r}")
        if command.session is not None:
            first = self._timeouts.setdefault(command.session, command.timeout)
            if first != command.timeout:
                raise CommandError(
                    f"timeout: the pool {command.session} was made with {first:g}s, which cannot be changed later"
                )

    def perform(self, command: Command, session: Pools | None) -> list[Event]:
        query = Query("QUERY", command.url)
        try:
            if session is None:
                connection = connect(command)
                try:
                    ask_alone(connection, query)
                finally:
                    connection.close()
            else:
                with self._engine(command, session).connect() as taken:
                    ask(taken, query)
        except (sqlalchemy.exc.SQLAlchemyError, pymysql.Error, OSError) as error:
            query.failed(cause_name(error, which_timeout), error)
        return [query.event()]

    def _engine(self, command: Command, session: Pools) -> Any:
        with session.lock:
            session.name = command.session or ""
            if command.url not in session.engines:
                session.engines[command.url] = sqlalchemy.create_engine(
                    "mysql+pymysql://", creator=lambda: connect(command), pool_timeout=command.timeout, **self._options
                )
            return session.engines[command.url]

    def close(self, session: Pools) -> None:
        self._timeouts.pop(session.name, None)
        for engine in session.engines.values():
            engine.dispose()


def connect(command: Command) -> Connection:
    parts, match = urlsplit(command.url), _URL.fullmatch(command.url)
    assert match is not None  # check() saw to it
    seconds = command.timeout
    return Connection(
        host=parts.hostname,
        port=parts.port or _PORT,
        user=match["user"] or "root",
        database=match["database"] or None,
        connect_timeout=seconds,
        read_timeout=seconds,
        write_timeout=seconds,
    )


def ask(connection: Any, query: Query) -> None:
    """In a pool's connection; `SELECT 1` begins a transaction, as it does in every program."""
    used: Connection = connection.connection.dbapi_connection
    used.queries += 1
    query.on(used.facts, used.queries)
    connection.execute(sqlalchemy.text("SELECT 1")).fetchall()
    query.answer = "SELECT 1"


def ask_alone(connection: Connection, query: Query) -> None:
    connection.queries += 1
    query.on(connection.facts, connection.queries)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchall()
    query.answer = "SELECT 1"


def which_timeout(chain: list[BaseException]) -> str | None:
    """Which of its timers it was."""
    if isinstance(chain[0], sqlalchemy.exc.TimeoutError):
        return "PoolTimeout"
    if not isinstance(chain[-1], TimeoutError):
        return None
    connecting = any(isinstance(each, pymysql.Error) and each.args[:1] == (_CANNOT_CONNECT,) for each in chain)
    return "ConnectTimeout" if connecting else "ReadTimeout"


if __name__ == "__main__":
    sys.exit(main("pymysql", PyMySQL))
