"""Checks the lines of `events.jsonl` one by one, so that whatever passes can be built into a history without surprise.

Every problem is an InputError with file and line. A recording is written by `simctl run`, so most problems mean a
file that was cut, edited, or made by another version.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError, Place
from orchestrator.recording.events import FORMAT, Event
from orchestrator.tcp.states import TcpState
from orchestrator.text.suggest import describe, suggestion

_HINT = "restore this line, or record the run again with `simctl run`"

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "a text"),
    "number": ((int, float), "a number"),
    "whole": ((int,), "a whole number"),
    "flag": ((bool,), "true or false"),
    "list": ((list,), "a list"),
    "mapping": ((dict,), "a mapping"),
}

_TEXT, _MAYBE_TEXT = ("text", True), ("text", False)
_WHOLE = ("whole", True)
_MAYBE_WHOLE, _MAYBE_NUMBER = ("whole", False), ("number", False)

_FIELDS: dict[str, dict[str, tuple[str, bool]]] = {
    "begin": {"format": ("whole", True), "nodes": ("list", True), "period": ("number", True), "quiet": _MAYBE_NUMBER,
              "scenario": _MAYBE_TEXT},
    "node": {"node": _TEXT, "what": _TEXT, "detail": ("mapping", False)},
    "moment": {"name": _TEXT},
    "tick": {"took": _MAYBE_NUMBER, "counters": ("mapping", False), "missed": ("list", False)},
    "socket": {"node": _TEXT, "sk": _TEXT, "local": _TEXT, "peer": _TEXT, "state": _TEXT, "recv_q": _MAYBE_WHOLE,
               "send_q": _MAYBE_WHOLE, "uid": _MAYBE_WHOLE, "pid": _MAYBE_WHOLE, "comm": _MAYBE_TEXT},
    "request": {"node": _TEXT, "url": _MAYBE_TEXT, "method": _MAYBE_TEXT, "t0": _MAYBE_NUMBER, "local": _MAYBE_TEXT,
                "peer": _MAYBE_TEXT, "nth": _MAYBE_WHOLE, "reused": ("flag", False), "status": _MAYBE_WHOLE,
                "answer": _MAYBE_TEXT, "error": ("mapping", False)},
    "served": {"node": _TEXT, "local": _MAYBE_TEXT, "peer": _MAYBE_TEXT},
    "closed": {"node": _TEXT, "reason": _TEXT, "local": _MAYBE_TEXT, "peer": _MAYBE_TEXT},
    "state": {"node": _TEXT, "a": _WHOLE, "local": _TEXT, "peer": _TEXT, "old": _TEXT, "new": _TEXT},
    "destroy": {"node": _TEXT, "a": _WHOLE, "local": _TEXT, "peer": _TEXT, "sk": _TEXT},
    "rst": {"node": _TEXT, "a": _WHOLE, "local": _TEXT, "peer": _TEXT, "reason": _MAYBE_TEXT,
            "rule": ("flag", False)},
    "rst_received": {"node": _TEXT, "a": _WHOLE, "local": _TEXT, "peer": _TEXT},
    "retransmit": {"node": _TEXT, "local": _TEXT, "peer": _TEXT, "state": _TEXT},
    "minisocket": {"what": _TEXT, "node": _TEXT, "a": _WHOLE, "local": _TEXT, "peer": _TEXT, "old": _MAYBE_TEXT},
    "traced": {"lost": _WHOLE, "loopback": ("mapping", False)},
    "nat": {"node": _TEXT, "what": _TEXT, "after": ("number", True), "source": _TEXT, "destination": _TEXT,
            "new_source": _TEXT, "new_destination": _TEXT},
    "note": {"text": _TEXT},
    "end": {"outcome": _TEXT, "detail": _MAYBE_TEXT},
}  # fmt: skip
"""Line kind -> field -> kind of value, and whether it must be there. Optional fields may also be null."""

_NODE_FIELDS = {"name": _TEXT, "service": _TEXT, "role": _TEXT, "addresses": ("list", True), "events": ("flag", True)}

_STATES = frozenset(TcpState)
_MINISOCKET = ("born", "rearmed", "expired")
_NAT = ("new", "gone")
_MAX_PORT = 65535
_OPENED = ("ActiveOpens", "PassiveOpens")


class LineChecker:
    """Checks lines in the order of the file; remembers what they may refer to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 0
        self._nodes: frozenset[str] = frozenset()
        self._uncounted: set[str] = set()
        self._moments: set[str] = set()
        self._tick = -1.0
        self._missed: frozenset[str] = frozenset()
        self._ahead: tuple[float, set[str]] | None = None
        """Time and nodes of the socket lines that stand before their tick."""

    def check(self, event: object, line: int) -> Event:
        """The event, checked. Raises InputError."""
        self._line = line
        if not isinstance(event, dict):
            raise self._error(f"expected a JSON object, not {describe(event)}")
        ev = event.get("ev")
        if not isinstance(ev, str):
            raise self._error("the field `ev`, which says what the line is, is missing or not a text")
        if not self._nodes and ev != "begin":
            raise self._error(f"a recording starts with a `begin` line, not with `{ev}`")
        self._fields(event, {"t": ("number", True)}, ev)
        if ev in _FIELDS:
            self._fields(event, _FIELDS[ev], ev)
            if "node" in event:
                self._declared(event["node"])
        match ev:
            case "begin":
                self._begin(event)
            case "tick":
                self._on_tick(event)
            case "socket":
                self._socket(event)
            case "moment":
                self._moment(event)
            case "request":
                self._request(event)
            case "state" | "destroy" | "rst" | "rst_received" | "retransmit" | "minisocket":
                self._traced_socket(event)
            case "traced":
                self._traced(event)
            case "nat":
                self._nat(event)
        return event

    def _begin(self, event: Event) -> None:
        if self._nodes:
            raise self._error("a second `begin` line: two recordings seem to stand in one file")
        found = event["format"]
        if found > FORMAT:
            raise self._error(
                f"this recording has format {found}, this simctl reads formats up to {FORMAT}",
                hint="use the simctl that made it, or a newer one",
            )
        if found < 1:
            raise self._error(f"`format` must be 1 or more, not {found}")
        if event["period"] <= 0:
            raise self._error(f"`period` must be a number of seconds above 0, not {event['period']}")
        names: list[str] = []
        for node in event["nodes"]:
            if not isinstance(node, dict):
                raise self._error(f"each of `nodes` must be a mapping, not {describe(node)}")
            self._fields(node, _NODE_FIELDS, "begin: node")
            if not all(isinstance(address, str) for address in node["addresses"]):
                raise self._error(f"the addresses of node {node['name']} must be texts")
            names.append(node["name"])
        if not names:
            raise self._error("`nodes` is empty: a recording has at least one node")
        if len(set(names)) < len(names):
            raise self._error("two nodes have one name")
        self._nodes = frozenset(names)
        self._uncounted = set(names)

    def _on_tick(self, event: Event) -> None:
        t = event["t"]
        if t <= self._tick:
            raise self._error(f"ticks must go forward in time: {t} comes after {self._tick}")
        missed, counters = event.get("missed") or [], event.get("counters") or {}
        for node in missed:
            self._declared(node)
        for node, values in counters.items():
            self._declared(node)
            if not isinstance(values, Mapping) or not all(_is(value, "whole") for value in values.values()):
                raise self._error(f"the counters of {node} must be a mapping of names to whole numbers")
        for node in self._uncounted.difference(missed):
            if not all(name in counters.get(node, {}) for name in _OPENED):
                raise self._error(
                    f"the first tick that samples {node} must carry its counters {' and '.join(_OPENED)}: without them "
                    "sockets that lived between two ticks cannot be ruled out"
                )
        self._uncounted &= set(missed)
        self._tick, self._missed = t, frozenset(missed)
        if self._ahead is not None:
            ahead, nodes = self._ahead
            if ahead != t:
                raise self._error(f"socket lines before this tick have t {ahead}, which is no tick's")
            self._not_missed(nodes)
            self._ahead = None

    def _socket(self, event: Event) -> None:
        if event["state"] not in _STATES:
            raise self._error(f"no TCP state is called {event['state']}", hint=suggestion(event["state"], TcpState))
        for field in ("local", "peer"):
            self._address(event[field], field)
        if event["state"] != TcpState.CLOSED:
            for field in ("recv_q", "send_q"):
                if event.get(field) is None:
                    raise self._error(f"socket: the field `{field}` is missing")
        t = event["t"]
        if t == self._tick:
            self._not_missed({event["node"]})
        elif t < self._tick:
            raise self._error(f"this socket line has t {t}, but the last tick is {self._tick}")
        elif self._ahead is None:
            self._ahead = (t, {event["node"]})
        elif self._ahead[0] == t:
            self._ahead[1].add(event["node"])
        else:
            raise self._error(f"socket lines with t {self._ahead[0]} and with t {t} stand before one tick")

    def _traced_socket(self, event: Event) -> None:
        for field in ("old", "new", "state"):
            if event.get(field) is not None and event[field] not in _STATES:
                raise self._error(f"no TCP state is called {event[field]}", hint=suggestion(event[field], TcpState))
        for field in ("local", "peer"):
            self._address(event[field], field)
        if event["ev"] == "minisocket" and event["what"] not in _MINISOCKET:
            raise self._error(f"minisocket: `what` must be one of {', '.join(_MINISOCKET)}, not {event['what']}")

    def _traced(self, event: Event) -> None:
        if event["lost"] < 0:
            raise self._error(f"`lost` must be 0 or more, not {event['lost']}")
        if not all(_is(value, "whole") for value in (event.get("loopback") or {}).values()):
            raise self._error("`loopback` must be a mapping of words to whole numbers")

    def _nat(self, event: Event) -> None:
        if event["what"] not in _NAT:
            raise self._error(f"nat: `what` must be one of {', '.join(_NAT)}, not {event['what']}")
        for field in ("source", "destination", "new_source", "new_destination"):
            self._address(event[field], field)

    def _moment(self, event: Event) -> None:
        if event["name"] in self._moments:
            raise self._error(f"the moment {event['name']} is there twice")
        self._moments.add(event["name"])

    def _request(self, event: Event) -> None:
        for field in ("local", "peer"):
            if event.get(field) is not None:
                self._address(event[field], field)
        if event.get("error") is not None:
            self._fields(event["error"], {"name": _TEXT, "text": _MAYBE_TEXT}, "request: error")

    def _fields(self, event: Mapping[str, Any], fields: Mapping[str, tuple[str, bool]], what: str) -> None:
        for name, (kind, required) in fields.items():
            value = event.get(name)
            if value is None and not required:
                continue
            if name not in event:
                raise self._error(f"{what}: the field `{name}` is missing")
            if not _is(value, kind):
                raise self._error(f"{what}: `{name}` must be {_KINDS[kind][1]}, not {describe(value)}")

    def _declared(self, node: object) -> None:
        if not isinstance(node, str) or node not in self._nodes:
            raise self._error(f"the `begin` line declares no node {node}", hint=suggestion(str(node), self._nodes))

    def _address(self, value: str, field: str) -> None:
        _, colon, port = value.rpartition(":")
        if not colon or (port.isdigit() and int(port) > _MAX_PORT):
            raise self._error(f"`{field}` must be an address with a port, such as 198.18.0.2:8080, not {value!r}")

    def _not_missed(self, nodes: set[str]) -> None:
        for node in sorted(nodes & self._missed):
            raise self._error(f"the tick says that {node} was missed, but there is a socket line of it")

    def _error(self, message: str, *, hint: str | None = _HINT) -> InputError:
        return InputError(message, place=Place(self._path, self._line), hint=hint)


def _is(value: object, kind: str) -> bool:
    types = _KINDS[kind][0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return isinstance(value, types) and (not isinstance(value, bool) or bool in types)
    # JSON allows 1e999, which Python reads as infinity, and whole numbers that no float can hold.
    return isinstance(value, types) and abs(value) < 1e18
