"""The lines of `events.jsonl` about what stands between the ends: proxies and their logs, NATs; see lines.py."""

from typing import Annotated, Literal, NotRequired

from orchestrator.recording.linefields import Doc, Line, Node, Number, Whole


class LogLine(Line):
    """A line of a node's log that explains what a client got, by the rules of its kind (`log` in node.yaml). It was
    written between `after` and `t`, or a little before. Written by the lab, of what the program says."""

    node: Node
    after: Annotated[Number, Doc("s; when the log was read before")]
    says: Annotated[str, Doc("what went wrong: the program's words, or what its `code` means")]
    code: NotRequired[Annotated[str | None, Doc("the program's short name for it")]]
    means: NotRequired[Annotated[str | None, Doc("what simctl makes of it: `pool_full`, `no_place`; null: nothing")]]
    client: NotRequired[Annotated[str | None, Doc("the client's address, with its port where the line has it")]]
    request: NotRequired[Annotated[str | None, Doc("`GET /path HTTP/1.1`")]]
    status: NotRequired[Annotated[str | None, Doc("HTTP status that the client got")]]
    upstream: NotRequired[Annotated[str | None, Doc("address of the server that it was passed to")]]


class AddressLine(Line):
    """A node got an IPv4 address that `begin` does not know, at this tick or since the one before. Written by the
    sampler."""

    node: Node
    address: Annotated[str, Doc("the address; it counts as the node's for the whole run")]


class Nat(Line):
    """An entry of the conntrack table of a node that translates addresses came or went, after `after` and by `t`.
    Written by the sampler."""

    node: Node
    what: Annotated[Literal["new", "gone"], Doc("`gone`: the NAT forgot the connection")]
    after: Annotated[Number, Doc("s; the reading before")]
    source: Annotated[str, Doc("where a connection's first segment came from")]
    destination: Annotated[str, Doc("where it wanted to go")]
    new_source: Annotated[str, Doc("where it seemed to come from when it left")]
    new_destination: Annotated[str, Doc("where it went")]


class ConntrackLine(Line):
    """What the conntrack table of a node that translates addresses has, at a named moment. Written by the sampler."""

    node: Node
    entries: Annotated[dict[str, Whole], Doc("state, as `conntrack -L` has it -> how many entries for TCP over IPv4")]
