"""An application on gunicorn's threads, with a pool of database connections: what stands behind many a proxy.

`/db` queries the database; the response to everything else is that of the kind `gunicorn`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import gunicornserver
import native
from knobs import KnobError, Knobs

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def serve(knobs: Knobs, folder: Path) -> NoReturn:
    settings = gunicornserver.common_settings(knobs, folder, threads=4)
    options = database_options(knobs)
    gunicornserver.run(settings, lambda: application(options))


def database_options(knobs: Knobs) -> dict[str, Any]:
    """Arguments of the ConnectionPool. Raises KnobError."""
    from database import conninfo, pool_options

    try:
        where = conninfo(os.environ.get("DATABASE_URL", "").strip() or "postgresql://db:5432/")
    except ValueError as error:
        raise KnobError(f"DATABASE_URL: {error}") from None
    waits = knobs.duration("UPSTREAM_TIMEOUT", 30.0, more_than=0)
    return {"conninfo": where, "timeout": waits, **pool_options(knobs)}


def application(options: dict[str, Any]) -> WSGIApplication:
    """The WSGI application, with a pool of its own. The pool opens its connections in the background, at once."""
    import psycopg  # type: ignore[import-not-found]
    import psycopg_pool  # type: ignore[import-not-found]
    from wsgi_app import application as without_database

    pool = psycopg_pool.ConnectionPool(**options)

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/db":
            return without_database(environ, start_response)
        environ["wsgi.input"].read()
        try:
            with pool.connection() as connection:
                (row,) = connection.execute("SELECT 1").fetchall()
            status, text = "200 OK", f"{row[0]}\n"
        except psycopg.Error as error:
            status, text = "500 Internal Server Error", f"{type(error).__name__}: {error}\n"
        body = text.encode()
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return respond


if __name__ == "__main__":
    native.main("webapp", serve, package="python3-gunicorn")
