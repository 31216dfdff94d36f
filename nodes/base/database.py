"""What the kinds share that keep a psycopg_pool of connections to PostgreSQL."""

from __future__ import annotations

import re
from typing import Any

import psycopg  # type: ignore[import-not-found]
from knobs import Knobs
from psycopg.conninfo import conninfo_to_dict, make_conninfo  # type: ignore[import-not-found]

USER = "postgres"
"""Who logs in where the URL does not say."""

_TAKEN = {"user", "password", "host", "port", "dbname"}
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def conninfo(url: str) -> str:
    """`postgresql://[USER@]HOST[:PORT]/[DATABASE]` as libpq wants it. Raises ValueError.

    Nothing else is taken: libpq's further parameters read files, and a host that is a path is a socket of the machine.
    """
    try:
        parameters = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise ValueError(f"{url!r} is refused: {' '.join(str(error).split())}") from None
    if strange := sorted(set(parameters) - _TAKEN):
        raise ValueError(f"the parameter {strange[0]} is not taken here")
    if not _HOST.fullmatch(str(parameters.get("host", ""))):
        raise ValueError(f"expected one host, as in postgresql://server:5432/, not {url!r}")
    return str(make_conninfo(**{"user": USER, **parameters}))


def pool_options(knobs: Knobs) -> dict[str, Any]:
    """Arguments of ConnectionPool: its size, and how long its connections live. Raises KnobError."""
    smallest = knobs.number("POOL_MIN_SIZE", 4)
    return {
        "min_size": smallest,
        "max_size": knobs.number("POOL_MAXSIZE", max(smallest, 1), at_least=max(smallest, 1)),
        "max_idle": knobs.duration("KEEPALIVE_EXPIRY", 600.0, more_than=0),
        "max_lifetime": knobs.duration("MAX_LIFETIME", 3600.0, more_than=0),
    }
