"""A WSGI application (PEP 3333) that responds as responses.py says."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from responses import response_to

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application; whether the connection lives on is the server's decision."""
    response = response_to(environ["PATH_INFO"], environ["wsgi.input"].read())
    time.sleep(response.delay)
    known = response.status in HTTPStatus._value2member_map_
    phrase = HTTPStatus(response.status).phrase if known else "Unknown"
    start_response(f"{response.status} {phrase}", list(response.headers(close=False).items()))
    return [response.content(environ["REQUEST_METHOD"])]
