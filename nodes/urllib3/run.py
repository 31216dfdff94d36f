"""The client node `urllib3`: Debian's urllib3, unmodified, which takes commands on standard input."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import recorder
import urllib3
from commands import Command
from events import Event
from exchange import check_request
from knobs import Knobs
from serving import main
from socketoptions import read_client_options


class Urllib3:
    """A PoolManager per session; without one, a PoolManager for one request, cleared after it."""

    schemes = ("http",)

    def __init__(self, knobs: Knobs) -> None:
        recorder.install(read_client_options(knobs))
        self._pools = knobs.number("POOL_CONNECTIONS", 10, at_least=1)
        self._size = knobs.number("POOL_MAXSIZE", 1, at_least=1)
        self._block = knobs.truth("POOL_BLOCK", False)
        self._retries = knobs.number("RETRIES", 3)

    def open(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(
            self._pools,
            maxsize=self._size,
            block=self._block,
            retries=recorder.RecordingRetry(total=self._retries),
        )

    def check(self, command: Command) -> None:
        check_request(command)

    def perform(self, command: Command, session: urllib3.PoolManager | None) -> list[Event]:
        pools = session or self.open()

        def ask() -> list[int]:
            response = pools.request(
                command.method, command.url, headers=command.headers, body=command.body, timeout=command.timeout
            )
            return [len(response.data)]

        events = recorder.record(command, ask)
        if session is None:
            pools.clear()
        return events

    def close(self, session: urllib3.PoolManager) -> None:
        session.clear()


if __name__ == "__main__":
    sys.exit(main("urllib3", Urllib3))
