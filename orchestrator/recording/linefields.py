"""What the types of lines (lines.py, tracelines.py) are made of: fields with their meaning, and what every line has.

This module needs nothing but typing; whoever only writes lines need not import it.
"""

import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from orchestrator.tcp.states import TcpState

if sys.version_info >= (3, 12):
    from typing import TypedDict
else:  # pydantic asks for it: only this one knows which fields are required
    from typing_extensions import TypedDict

_Schema = dict[str, Any]


class Doc(NamedTuple):
    """What a field means, for people. pydantic asks it for its part of a schema, and is not imported here."""

    text: str

    def __get_pydantic_json_schema__(self, core: Any, handler: Callable[[Any], _Schema]) -> _Schema:
        return handler(core) | {"description": self.text}


class Below(NamedTuple):
    """JSON allows 1e999, which Python reads as infinity, and whole numbers that no float can hold."""

    limit: float

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], _Schema]) -> _Schema:
        return handler(source) | {"lt": self.limit, "gt": -self.limit}


class OneOf(NamedTuple):
    """A text that is one of some words."""

    words: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], _Schema]) -> _Schema:
        return {"type": "literal", "expected": list(self.words)}


Whole = Annotated[int, Below(1e18)]
Number = Annotated[float, Below(1e18)]
State = Annotated[str, OneOf(tuple(state.value for state in TcpState))]
Node = Annotated[str, Doc("name of the node, as `begin` declares it")]
Local = Annotated[str, Doc("its own address and port, `198.18.0.2:8080`; IPv4-mapped ones look the same")]
Peer = Annotated[str, Doc("the peer's address and port; `0.0.0.0:0` for a listening socket")]
Cookie = Annotated[str, Doc("the kernel's cookie of the socket, hexadecimal: its name for its whole life")]
Kernel = Annotated[Whole, Doc("number that stands for the kernel's address of the socket, which is used again: a "
                              "change to CLOSED ends what it names; 0: no socket")]  # fmt: skip
Headers = dict[str, Any]
"""Name -> value. Whatever a program of a node makes of them is shown, and nothing is decided by it."""


class Fields(TypedDict):
    """A mapping with these fields."""


class Line(Fields):
    """What every line has."""

    t: Annotated[Number, Doc("s since the start of the run, on the monotonic clock")]
    ev: Annotated[str, Doc("what the line is")]
