"""RSTs of connections that were closed from outside (SOCK_DESTROY): the kernel gives them the reason of a program that
aborts (`tcp_abort` sends by `tcp_send_active_reset` with TCP_STATE, before Linux 6.10 without any), and none did.

The step `destroy` records before and after it had them closed what it does. In between, in some milliseconds, a RST of
that node and reason is its work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.recording.events import Event

REASON = "SOCK_DESTROY"

_BEGUN, _DONE = "destroying", "destroyed"
"""`what` of the lines `node` of the step; scenario/steps/destroy.py."""

_MAYBE = frozenset({"TCP_STATE", "NOT_SPECIFIED", ""})


def with_reasons(resets: Iterable[Event], happened: Iterable[Event]) -> list[Event]:
    """The `rst` events, with REASON in those that a step brought about. `happened`: the lines `node`."""
    spans = list(_spans(happened))
    return [reset | {"reason": REASON} if spans and _is_its(reset, spans) else reset for reset in resets]


def _is_its(reset: Event, spans: Iterable[tuple[str, float, float]]) -> bool:
    return (reset.get("reason") or "") in _MAYBE and any(
        node == reset["node"] and begun <= float(reset["t"]) <= done for node, begun, done in spans
    )


def _spans(happened: Iterable[Event]) -> Iterator[tuple[str, float, float]]:
    begun: dict[str, float] = {}
    for event in sorted(happened, key=lambda line: float(line["t"])):
        if event["what"] == _BEGUN:
            begun[event["node"]] = float(event["t"])
        elif event["what"] == _DONE and event["node"] in begun:
            yield event["node"], begun.pop(event["node"]), float(event["t"])
