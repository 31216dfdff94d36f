"""The client node `urllib3`: Debian's urllib3, unmodified, which takes commands on standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import recorder
import urllib3
from bodies import body_of, headers_with_length
from commands import Command
from events import Event
from exchange import check_request
from holding import Held
from knobs import Knobs
from serving import main
from socketoptions import read_client_options


class Urllib3:
    """A PoolManager per session; without one, a PoolManager for one request, cleared after it."""

    schemes = ("http",)
    options = ("body.size", "hold", "timeout.connect", "timeout.read", "timeout.pool")

    def __init__(self, knobs: Knobs) -> None:
        recorder.install(read_client_options(knobs))
        self._pools = knobs.number("POOL_CONNECTIONS", 10, at_least=1)
        self._size = knobs.number("POOL_MAXSIZE", 1, at_least=1)
        self._block = knobs.truth("POOL_BLOCK", False)
        self._retries = knobs.number("RETRIES", 3)
        self._held: Held[Any] = Held()

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
                command.method,
                command.url,
                headers=headers_with_length(command),
                body=body_of(command),
                timeout=urllib3.Timeout(connect=command.seconds("connect"), read=command.seconds("read")),
                pool_timeout=command.timeouts.get("pool"),  # its own default: it waits for ever
                preload_content=not command.hold,
            )
            if command.hold:
                self._held.keep(pools, response)
                return [0]
            return [len(response.data)]

        events = recorder.record(command, ask)
        if session is None:
            pools.clear()
        return events

    def close(self, session: urllib3.PoolManager) -> None:
        session.clear()
        for response in self._held.let_go(session):
            response.close()


if __name__ == "__main__":
    sys.exit(main("urllib3", Urllib3))
