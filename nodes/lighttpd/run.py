"""Starts lighttpd with a configuration of its own: static files, or with UPSTREAM a reverse proxy."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import native
from documents import static_files
from knobs import Knobs

MOST = 65536
"""lighttpd knows no endless connection: the largest number of requests that it takes."""

CONFIGURATION = """\
server.bind = "0.0.0.0"
server.port = {port}
server.listen-backlog = {backlog}
server.max-keep-alive-idle = {idle}
server.max-keep-alive-requests = {requests}
server.document-root = "{documents}"
server.upload-dirs = ("{folder}")
index-file.names = ("index.html")
mimetype.assign = (".html" => "text/html", "" => "application/octet-stream")
"""

PROXY = """\
server.modules = ("mod_proxy")
proxy.server = ("" => ({upstreams}))
"""


def command(knobs: Knobs, folder: Path) -> list[str]:
    text = CONFIGURATION.format(
        port=knobs.port("HTTP_PORT", 8080),
        backlog=knobs.number("BACKLOG", 1024, at_least=1),
        idle=knobs.whole_seconds("KEEPALIVE_TIMEOUT", 5),
        # It counts those that follow the first.
        requests=(knobs.number("KEEPALIVE_REQUESTS", 1001, at_most=MOST) or MOST) - 1,
        documents=static_files(folder),
        folder=folder,
    )
    knobs.word("UPSTREAM_KEEPALIVE", "0", "0")
    timeout = knobs.whole_seconds("UPSTREAM_TIMEOUT", 60)
    if upstreams := knobs.endpoints("UPSTREAM"):
        timeouts = "".join(f', "{name}-timeout" => {timeout}' for name in ("connect", "read", "write"))
        hosts = ", ".join(f'("host" => "{host}", "port" => {port}{timeouts})' for host, port in upstreams)
        text += PROXY.format(upstreams=hosts)
    configuration = folder / "lighttpd.conf"
    configuration.write_text(text)
    return ["lighttpd", "-D", "-f", str(configuration)]


if __name__ == "__main__":
    native.main("lighttpd", command, package="lighttpd")
