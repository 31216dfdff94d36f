"""What a client gets on standard input: one command a line, checked. nodes/README.md has the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIELDS = ("id", "do", "url", "session", "count", "concurrency", "interval", "method", "headers", "body", "timeout")
PACE = ("rate", "duration", "interval_most", "seed")
"""Fields of a client that paces its requests: pacing.py."""
OPTIONS = {
    "body.size": "body_size", "hold": "hold",
    **{f"timeout.{name}": "timeouts" for name in ("connect", "read", "write", "pool", "total")},
}  # fmt: skip
"""What a client may be able to do, by its name in node.yaml -> the field that asks for it."""
RAW = ("actions",)
"""Of the command `raw`: what to do with each connection."""


class CommandError(ValueError):
    """The command itself is wrong; nothing was sent."""


@dataclass(frozen=True)
class Command:
    """A `request` command, its types and ranges checked, with its defaults."""

    id: Any
    url: str
    session: str | None
    count: int
    concurrency: int
    interval: float
    """A worker's pause between two requests, in seconds."""
    method: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float
    """Seconds, more than 0."""
    rate: float | None = None
    """Requests a second, more than 0: each is sent at its time, whatever became of those before it."""
    duration: float | None = None
    """Seconds, more than 0, after which no request begins."""
    interval_most: float | None = None
    """Where a pause is drawn: it has between `interval` and so many seconds."""
    seed: str = ""
    """What they are drawn by."""
    body_size: int | None = None
    """Instead of `body`: so many bytes, more than 0, that the client makes up while it sends them."""
    hold: bool = False
    """The response's head is read, and no more; the response stays open until its session is closed."""
    timeouts: Mapping[str, float] = field(default_factory=dict)
    """`connect`, `read`, `write`, `pool`, `total` -> seconds, more than 0; others are `timeout`, or the library's."""
    actions: tuple[dict[str, Any], ...] = ()
    """Of `raw`: what is done with each connection, in order; `do` is what, the rest how."""

    def seconds(self, timer: str) -> float:
        """Of a timer that `timeout` sets where it has no value of its own."""
        return self.timeouts.get(timer, self.timeout)


def read_request(raw: Mapping[str, Any], schemes: tuple[str, ...]) -> Command:
    """The command with its defaults. Raises CommandError for a wrong type, value or scheme."""
    body = _get(raw, "body", str, None)
    command = Command(
        id=raw.get("id"),
        url=_get(raw, "url", str, ""),
        session=_get(raw, "session", str, None),
        count=_get(raw, "count", int, 1, at_least=1),
        concurrency=_get(raw, "concurrency", int, 1, at_least=1),
        interval=_get(raw, "interval", (int, float), 0.0, at_least=0),
        method=_get(raw, "method", str, "GET"),
        headers=_get(raw, "headers", dict, {}),
        body=None if body is None else body.encode(),
        timeout=_get(raw, "timeout", (int, float), 10.0),
        rate=_get(raw, "rate", (int, float), None),
        duration=_get(raw, "duration", (int, float), None),
        interval_most=_get(raw, "interval_most", (int, float), None),
        seed=_get(raw, "seed", str, ""),
        body_size=_get(raw, "body_size", int, None, at_least=1),
        hold=raw.get("hold") is True,
        timeouts=_get(raw, "timeouts", dict, {}),
        actions=tuple(_get(raw, "actions", list, [])),
    )
    if not command.url.lower().startswith(tuple(f"{scheme}://" for scheme in schemes)):
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        raise CommandError(f"url: expected an absolute {expected} URL, not {command.url!r}")
    for name, unit in (("timeout", "seconds"), ("rate", "requests a second"), ("duration", "seconds")):
        if (value := getattr(command, name)) is not None and value <= 0:
            raise CommandError(f"{name}: expected {unit}, more than 0, not {value!r}")
    for name, value in command.timeouts.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise CommandError(f"timeouts: {name}: expected seconds, more than 0, not {value!r}")
    if command.body is not None and command.body_size is not None:
        raise CommandError("body_size: the command has a `body` already")
    if command.hold and command.session is None:
        raise CommandError("hold: a response that is held needs a session, which closes it")
    if command.interval_most is not None and command.interval_most < command.interval:
        raise CommandError(f"interval_most: expected {command.interval} or more, not {command.interval_most!r}")
    return command


def _get(raw: Mapping[str, Any], name: str, wanted: type | tuple[type, ...], default: Any, at_least: float = 0) -> Any:
    value = raw.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, wanted):
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        raise CommandError(f"{name}: expected {' or '.join(kind.__name__ for kind in kinds)}, not {value!r}")
    if isinstance(value, int | float) and not at_least <= value < float("inf"):
        raise CommandError(f"{name}: expected {at_least} or more, not {value!r}")
    return value
