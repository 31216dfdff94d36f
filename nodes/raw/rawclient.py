"""The client node `raw`: TCP connections that do what a step says, action by action, for what no library does."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

import h11
from causes import cause_name
from commands import Command, CommandError
from conversation import ACTIONS, Conversation, Ended
from events import Event, emit
from knobs import Knobs
from pacing import pace
from requestlog import CutShort, Sent
from serving import Report, main_of_client
from socketoptions import read_client_options


@dataclass
class Kept:
    """What a session is: connections that steps left open, the longest waiting first."""

    waiting: deque[tuple[Conversation, Told]] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Conversation | None:
        with self.lock:
            return self.waiting.popleft()[0] if self.waiting else None

    def keep(self, conversation: Conversation, told: Told) -> None:
        with self.lock:
            self.waiting.append((conversation, told))


class Raw:
    """Carries out commands `raw`: each exchange has a connection of its own, or goes on with one of its session."""

    schemes = ("tcp",)
    options = ()
    paces = True

    def __init__(self, knobs: Knobs) -> None:
        self._options = read_client_options(knobs)

    def open(self) -> Kept:
        return Kept()

    def check(self, command: Command) -> None:
        unknown = [action for action in command.actions if action.get("do") not in ACTIONS]
        if unknown:
            raise CommandError(f"unknown action {unknown[0].get('do')!r}; there are: {', '.join(ACTIONS)}")
        if not urlsplit(command.url).port:
            raise CommandError(f"url: expected a port, as in tcp://server:8080, not {command.url!r}")

    def carry_out(self, command: Command, session: Kept | None, report: Report) -> None:
        def exchange(n: int) -> None:
            told = Told(report, n)
            conversation = session.take() if session is not None else None
            conversation = self._exchange(command, told, conversation)
            if session is not None and conversation.open:
                session.keep(conversation, told)

        if (load := pace(command, exchange)) is not None:
            emit(load)

    def close(self, session: Kept) -> None:
        while session.waiting:
            conversation, told = session.waiting.popleft()
            conversation.close()
            told.abandoned(conversation, "closed with its session")

    def _exchange(self, command: Command, told: Told, taken: Conversation | None) -> Conversation:
        """Do all actions, or those before the first that goes wrong; tell of it."""
        place = urlsplit(command.url)
        t0 = time.monotonic()
        conversation = taken or Conversation(str(place.hostname), int(place.port or 0))
        before = conversation.sent, conversation.received
        done, error = 0, None
        try:
            if taken is None:
                conversation.connect(self._options, command.timeout)
            for action in command.actions:
                if not conversation.open:
                    break
                conversation.perform(action, command.timeout)
                told.answered(conversation)
                done += 1
        except (OSError, Ended, CutShort, h11.RemoteProtocolError) as caught:
            error = _named(caught, conversation)
            conversation.close()
            told.failed(conversation, error)
        else:
            if command.session is None:
                conversation.close()
            if not conversation.open:
                told.abandoned(conversation, "ended by the step itself")
        event: Event = {"ev": "raw", "t0": t0, "t": time.monotonic(), **conversation.facts, "url": command.url}
        event |= {"actions": len(command.actions), "done": done, "error": error, "open": conversation.open}
        told.report(
            told.n,
            event | {"sent": conversation.sent - before[0], "received": conversation.received - before[1]},
        )
        return conversation


@dataclass(frozen=True)
class Told:
    """Reports the requests of a conversation as those of one exchange of a command."""

    report: Report
    n: int

    def answered(self, conversation: Conversation) -> None:
        while conversation.log.answered:
            self._tell(conversation.log.answered.popleft())

    def failed(self, conversation: Conversation, error: dict[str, str], t: float | None = None) -> None:
        while conversation.log.unanswered:
            sent = conversation.log.unanswered.popleft()
            sent.exchange.t, sent.exchange.error = t or time.monotonic(), error
            conversation.log.guess(sent)
            self._tell(sent, whole=sent is not conversation.log.unwritten)

    def abandoned(self, conversation: Conversation, how: str) -> None:
        """Nobody waits for the responses any more."""
        self.failed(
            conversation,
            {"name": "Aborted", "text": f"{how}, before there was a whole response"},
            conversation.ended_at,
        )

    def _tell(self, sent: Sent, whole: bool = True) -> None:
        fields = {name: value for name, value in vars(sent.exchange).items() if name != "send_error"}
        fields |= {"method": sent.method, "url": sent.url, **({} if whole else {"whole": False})}
        self.report(self.n, {**fields, "reused": sent.exchange.nth is not None and sent.exchange.nth > 1})


def _named(error: Exception, conversation: Conversation) -> dict[str, str]:
    """By the names that all clients use."""
    if isinstance(error, Ended):
        return {"name": "RemoteDisconnected", "text": "the connection ended"}
    if isinstance(error, CutShort):
        return {"name": "IncompleteRead" if error.begun else "RemoteDisconnected", "text": str(error)}
    name = cause_name(error)
    if isinstance(error, TimeoutError) and error.errno is None:
        name = conversation.waiting_for
    return {"name": name, "text": str(error)}


if __name__ == "__main__":
    sys.exit(main_of_client("raw", Raw, verb="raw"))
