"""Checks the lines of `events.jsonl` one by one, so that whatever passes can be built into a history without surprise.

Every problem is an InputError with file and line. A recording is written by `simctl run`, so most problems mean a
file that was cut, edited, or made by another version.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails, SchemaValidator

from orchestrator.errors import InputError, Place
from orchestrator.recording.events import FORMAT, Event
from orchestrator.recording.format1 import LINES_OF_FORMAT_1
from orchestrator.recording.linefields import Line
from orchestrator.recording.lines import LINES
from orchestrator.recording.schema import validator, whole_validator, words
from orchestrator.tcp.states import TcpState
from orchestrator.text.suggest import describe, suggestion

_HINT = "restore this line, or record the run again with `simctl run`"

_WORDS = {
    "string_type": "a text",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
}
"""What pydantic misses -> in words."""

_MAX_PORT = 65535
_WITH_ENDS = frozenset(
    ("request", "served", "answered", "closed", "state", "destroy", "rst", "rst_received", "retransmit", "minisocket")
)
"""Lines that may name the two ends of a connection."""
_TYPED_ENDS = _WITH_ENDS | {"segment"}
"""Lines of which the types say that `local` and `peer` are texts."""

NO_NUMBERS = (b"NaN", b"Infinity")
"""What pydantic's decoder takes for numbers, and JSON does not have."""

_OPENED = ("ActiveOpens", "PassiveOpens")


@cache
def reading_validator(today: bool = True) -> SchemaValidator:
    """Of lines as they are read: of today's format, or of FORMAT 1. To make one is 30 ms of work."""
    return whole_validator(LINES if today else LINES_OF_FORMAT_1)


class LineChecker:
    """Checks lines in the order of the file; remembers what they may refer to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 0
        self._kinds = LINES
        self._whole: SchemaValidator | None = None
        """Of lines as they are read. Made when the first is: who only checks lines, as of a node, needs none."""
        self._validators: dict[str, SchemaValidator] = {}
        self._others: dict[str, Callable[[Event], None]] = {
            "begin": self._begin,
            "tick": self._on_tick,
            "socket": self._socket,
            "moment": self._moment,
            "traced": self._traced,
            "nat": self._nat,
        }
        self._nodes: frozenset[str] = frozenset()
        self._a_node = ""
        self._uncounted: set[str] = set()
        self._moments: set[str] = set()
        self._tick = -1.0
        self._missed: frozenset[str] = frozenset()
        self._addresses: set[str | None] = {None}
        """Those that were found to be right: a recording names each many times. And none, which is right too."""
        self._ahead: tuple[float, set[str]] | None = None
        """Time and nodes of the socket lines that stand before their tick."""

    def read_any(self, line: bytes, number: int) -> Event | None:
        """The event that a line of a file is, checked; None where that takes more time, by decoding it and `check`."""
        return None if any(one in line for one in NO_NUMBERS) else self.read(line, number)

    def read(self, line: bytes, number: int) -> Event | None:
        """The same of a line that has none of NO_NUMBERS."""
        whole = self._whole
        if whole is None:
            if not self._nodes:
                return None
            whole = self._whole = reading_validator(self._kinds is LINES)  # `begin` has told the format
        try:
            event: Event = whole.validate_json(line, strict=True)
        except ValidationError:
            return None
        ev, get = event["ev"], event.get
        if ev in _TYPED_ENDS and get("local") in self._addresses and get("peer") in self._addresses:
            node = get("node", self._a_node)
            if node.__class__ is str and node in self._nodes:
                return event  # as nearly all: nothing in it is new
        self._line = number
        self._meaning(event, ev)
        return event

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
        self._fields(event, ev)
        self._meaning(event, ev)
        return event

    def _meaning(self, event: Event, ev: str) -> None:
        """What its fields say, which have the right types: about this line and those before it."""
        if ev not in self._kinds:
            return
        if "node" in event:
            self._declared(event["node"])
        if ev in _WITH_ENDS:
            self._ends(event)
        elif ev in self._others:
            self._others[ev](event)

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
        if found == 1:
            self._kinds, self._validators = LINES_OF_FORMAT_1, {}
        if event["period"] <= 0:
            raise self._error(f"`period` must be a number of seconds above 0, not {event['period']}")
        names = [node["name"] for node in event["nodes"]]
        if not names:
            raise self._error("`nodes` is empty: a recording has at least one node")
        if len(set(names)) < len(names):
            raise self._error("two nodes have one name")
        self._nodes, self._a_node = frozenset(names), names[0]
        self._uncounted = set(names)

    def _on_tick(self, event: Event) -> None:
        t = event["t"]
        if t <= self._tick:
            raise self._error(f"ticks must go forward in time: {t} comes after {self._tick}")
        missed, counters = event.get("missed") or [], event.get("counters") or {}
        for node in missed:
            self._declared(node)
        for node in counters:
            self._declared(node)
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
        self._ends(event)
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

    def _ends(self, event: Event) -> None:
        for field in ("local", "peer"):
            value = event.get(field)
            if value is not None and value not in self._addresses:
                self._address(value, field)

    def _traced(self, event: Event) -> None:
        if event["lost"] < 0:
            raise self._error(f"`lost` must be 0 or more, not {event['lost']}")

    def _nat(self, event: Event) -> None:
        for field in ("source", "destination", "new_source", "new_destination"):
            self._address(event[field], field)

    def _moment(self, event: Event) -> None:
        if event["name"] in self._moments:
            raise self._error(f"the moment {event['name']} is there twice")
        self._moments.add(event["name"])

    def _fields(self, event: Event, ev: str) -> None:
        """That the fields are there and are what they must be: by the types in lines.py."""
        check = self._validators.get(ev)
        if check is None:  # of an unknown kind only what every line has is checked
            check = validator(self._kinds.get(ev, Line))
            if ev in self._kinds:
                self._validators[ev] = check
        try:
            check.validate_python(event, strict=True)
        except ValidationError as error:
            raise self._wrong_field(ev, error.errors(include_url=False)[0]) from None

    def _wrong_field(self, ev: str, found: ErrorDetails) -> InputError:
        *outer, field = found["loc"]
        above = "".join(f": {name}" for name in outer if isinstance(name, str)).replace("nodes", "node")
        if found["type"] == "missing":
            return self._error(f"{ev}{above}: the field `{field}` is missing")
        value, name = found["input"], f"`{field}`"
        if isinstance(field, int):
            above, name = "", f"each of `{outer[-1]}`"
        if found["type"] == "literal_error":
            allowed = words(self._kinds[ev], str(field))
            if not allowed:
                return self._error(f"no TCP state is called {value}", hint=suggestion(str(value), TcpState))
            return self._error(f"{ev}{above}: {name} must be one of {', '.join(allowed)}, not {value}")
        whole = isinstance(next(iter(found.get("ctx", {}).values()), 0), int)  # of the limit that the number passed
        wanted = _WORDS.get(found["type"], "a whole number" if whole else "a number")
        return self._error(f"{ev}{above}: {name} must be {wanted}, not {describe(value)}")

    def _declared(self, node: object) -> None:
        if not isinstance(node, str) or node not in self._nodes:
            raise self._error(f"the `begin` line declares no node {node}", hint=suggestion(str(node), self._nodes))

    def _address(self, value: str, field: str) -> None:
        _, colon, port = value.rpartition(":")
        if not colon or (port.isdigit() and int(port) > _MAX_PORT):
            raise self._error(f"`{field}` must be an address with a port, such as 198.18.0.2:8080, not {value!r}")
        self._addresses.add(value)

    def _not_missed(self, nodes: set[str]) -> None:
        for node in sorted(nodes & self._missed):
            raise self._error(f"the tick says that {node} was missed, but there is a socket line of it")

    def _error(self, message: str, *, hint: str | None = _HINT) -> InputError:
        return InputError(message, place=Place(self._path, self._line), hint=hint)
