"""A timeout while the request is still being sent, by the name that all clients have for it."""

from __future__ import annotations

import socket

import pytest

from tests.support.kindclient import client

CLIENTS = (
    "requests", "urllib3", "httpx", "aiohttp-client", "curl", "libcurl", "node-agent", "undici", "go-client",
    "java-httpclient", "apache-httpclient",
)  # fmt: skip
BODY = "x" * 12_000_000
"""More than the buffers of both ends hold."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.kinds(name)) for name in CLIENTS])
def test_a_server_that_does_not_read(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, client(name) as them:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        (event, _) = them.do(do="request", url=url, method="POST", body=BODY, timeout=1.0)
        assert event["error"]["name"] == "WriteTimeout", event["error"]
        assert (event["status"], event["nth"]) == (None, 1)
