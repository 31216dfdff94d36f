"""The client node `requests`: real requests and urllib3, unmodified, which takes commands on standard input."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import recorder
import requests
import requests.adapters
from bodies import body_of
from commands import Command, CommandError
from events import Event
from holding import Held
from knobs import KnobError, Knobs
from serving import main
from socketoptions import read_client_options


class Requests:
    """Named Sessions; without one, what requests.request does: a Session for one request."""

    schemes = ("http",)
    options = ("body.size", "hold", "timeout.connect", "timeout.read")

    def __init__(self, knobs: Knobs) -> None:
        recorder.install(read_client_options(knobs))
        self._connections = knobs.number("POOL_CONNECTIONS", requests.adapters.DEFAULT_POOLSIZE, at_least=1)
        self._size = knobs.number("POOL_MAXSIZE", requests.adapters.DEFAULT_POOLSIZE, at_least=1)
        self._block = knobs.truth("POOL_BLOCK", requests.adapters.DEFAULT_POOLBLOCK)
        self._retries = knobs.number("RETRIES", requests.adapters.DEFAULT_RETRIES)
        self._proxy = proxy(knobs)
        self._held: Held[requests.Response] = Held()

    def open(self) -> requests.Session:
        session = requests.Session()
        session.proxies = {"http": self._proxy} if self._proxy else {}
        # Without retries requests has a Retry of its own, which raises other exceptions than Retry(total=0).
        retries = recorder.RecordingRetry(total=self._retries) if self._retries else requests.adapters.DEFAULT_RETRIES
        session.mount(
            "http://", requests.adapters.HTTPAdapter(self._connections, self._size, retries, pool_block=self._block)
        )
        return session

    def check(self, command: Command) -> None:
        try:
            request = requests.Request(command.method, command.url, headers=command.headers, data=body_of(command))
            requests.Session().prepare_request(request)
        except (requests.exceptions.RequestException, ValueError, TypeError, AttributeError) as error:
            raise CommandError(f"requests refuses it: {type(error).__name__}: {error}") from None

    def perform(self, command: Command, session: requests.Session | None) -> list[Event]:
        def ask() -> list[int]:
            if session is not None:
                return _ask(session, command, self._held)
            with self.open() as own:
                return _ask(own, command, self._held)

        return recorder.record(command, ask)  # a RequestException is an OSError

    def close(self, session: requests.Session) -> None:
        session.close()
        for response in self._held.let_go(session):
            response.close()


def proxy(knobs: Knobs) -> str | None:
    """The URL of the forward proxy. Raises KnobError."""
    proxies = knobs.endpoints("PROXY")
    if len(proxies) > 1:
        raise KnobError(f"PROXY: expected one proxy, such as proxy:8080, not {len(proxies)}")
    return "http://{}:{}".format(*proxies[0]) if proxies else None


def _ask(session: requests.Session, command: Command, held: Held[requests.Response]) -> list[int]:
    response = session.request(
        command.method,
        command.url,
        headers=command.headers,
        data=body_of(command),
        timeout=(command.seconds("connect"), command.seconds("read")),
        stream=command.hold,
    )
    if command.hold:
        held.keep(session, response)
        return [*(len(each.content) for each in response.history), 0]
    return [len(each.content) for each in (*response.history, response)]


if __name__ == "__main__":
    sys.exit(main("requests", Requests))
