"""What the verbs about packets share: which packets they mean, for how long, and how they are healed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from orchestrator.scenario.fields import Whole
from orchestrator.scenario.steps.base import Applied, Context, Effect, Fields, Situation
from orchestrator.scenario.values import Duration
from orchestrator.text.durations import format_duration
from orchestrator.text.suggest import describe, shown, suggestion

Flag = Literal["SYN", "SYN+ACK", "FIN", "RST", "ACK", "data"]
"""Kinds of TCP segments. ACK: one that has nothing but an ACK. A FIN may have data with it, and is both then."""

_ONE_OR_MORE = "one of them, or a list"


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _distinct(values: list[Any]) -> list[Any]:
    if not values:
        raise ValueError("the list is empty")
    if len(set(values)) < len(values):
        raise ValueError("a value is there twice")
    return values


_PERCENT = re.compile(r"\s*([0-9]{1,3}(\.[0-9]{1,9})?)%\s*")

LEAST = 0.0003
"""The least probability: what is chosen comes from 4096 throws of dice, over and over (fabric/faults/nftables.py)."""


def _share(value: object) -> float:
    """`30%` or 0.3."""
    number: float | None = None
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value)) is not None:
        number = float(found[1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    if number is None or not LEAST <= number <= 1:
        raise ValueError(f"expected a probability such as 30% or 0.3, from {LEAST:.2%} to 100%, not {describe(value)}")
    return number


Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema(
        {
            "title": "probability",
            "description": "A probability: 30% or 0.3.",
            "anyOf": [
                {"type": "string", "pattern": f"^{_PERCENT.pattern}$"},
                {"type": "number", "minimum": LEAST, "maximum": 1},
            ],
        }
    ),
]

Flags = Annotated[
    list[Flag],
    BeforeValidator(_listed),
    AfterValidator(_distinct),
    WithJsonSchema(
        {
            "title": "kind of segment, or a list",
            "anyOf": [
                {"enum": list(Flag.__args__)},
                {"type": "array", "minItems": 1, "items": {"enum": list(Flag.__args__)}},
            ],
        }
    ),
]

Ordinal = Annotated[Whole, Field(ge=1, le=65536)]

_NUMBERS, _TOLD = 256, 10

Ordinals = Annotated[
    list[Ordinal],
    BeforeValidator(_listed),
    AfterValidator(_distinct),
    Field(max_length=_NUMBERS),
    WithJsonSchema(
        {
            "title": "whole number, or a list",
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65536},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": _NUMBERS,
                    "items": {"type": "integer", "minimum": 1, "maximum": 65536},
                },
            ],
        }
    ),
]


class Timed(Fields):
    """A fault that a later `heal` takes back, or `for` some time."""

    for_: Duration | None = Field(
        None, alias="for", gt=0, description="the step lasts as long and takes the fault back at its end; without: "
        "it has ended when the fault is there, which a later `heal: STEP` takes back"
    )  # fmt: skip
    fault: ClassVar[str]
    """The fault of orchestrator/fabric/faults."""

    begins: ClassVar[Effect]
    over: ClassVar[Effect]

    @property
    def seconds(self) -> float:
        return self.for_ or 0.0

    def note(self, situation: Situation) -> None:
        """For later steps: there is something to heal."""
        situation.earlier.faults[situation.step] = Applied(self.verb, heals_itself=self.for_ is not None)

    def lasting(self, text: str) -> str:
        return text if self.for_ is None else f"{text} for {format_duration(self.for_)}"

    def carry_out(self, context: Context, node: str, settings: dict[str, Any], **detail: Any) -> None:
        """Apply it; `node` is the one that the lines of the recording are about. Between the two it surely is there."""
        name = context.step

        def heal() -> None:
            context.record(node, self.over, step=name, **detail)
            context.fault(self.fault, "heal", node, **settings)

        context.fault(self.fault, "apply", node, **settings)
        context.record(node, self.begins, step=name, **detail)
        context.later(name, heal)
        if self.for_ is not None:
            context.wait(self.for_)
            context.heal(name)


class Packets(Timed):
    """Packets between nodes, as they cross a network of the lab. All that is given must match."""

    fault: ClassVar[str] = "packets"
    needs: ClassVar[tuple[str, ...]] = ("packet rules",)

    from_: str | None = Field(
        None, alias="from", description="what this node (or service) sends onto a network, or passes on"
    )
    to: str | None = Field(None, description="what goes to this node (or service), or through it")
    network: str | None = Field(None, description="only on this network; without: on all")
    protocol: Literal["tcp", "udp", "icmp"] | None = Field(
        None, description="without: all of IPv4; TCP where `flags` or `port` is given"
    )
    port: Whole | None = Field(None, ge=1, le=65535, description="TCP or UDP port of either end")
    flags: Flags | None = Field(
        None, description="TCP segments with SYN, SYN+ACK, FIN or RST; ACK: nothing but an ACK; data: with data, a FIN "
        f"too where it has some. {_ONE_OR_MORE.capitalize()}, of which any counts"
    )  # fmt: skip
    nth: Ordinals | None = Field(
        None, description="only the n-th of these, counted from 1 since the fault began. One number or a list"
    )
    probability: Share | None = Field(
        None, description="each of these with this probability: 30% or 0.3. By the seed, so that the same of them are "
        "chosen in each run"
    )  # fmt: skip
    seed: Whole | None = Field(None, ge=0, le=1 << 32, description="other numbers choose others; 1 without")

    @model_validator(mode="after")
    def _consistent(self) -> Packets:
        if self.nth is not None and self.probability is not None:
            raise ValueError("`nth` and `probability` cannot both be given: the one counts, the other throws dice")
        if self.seed is not None and self.probability is None:
            raise ValueError("`seed` is for `probability`, which is not given")
        if self.protocol in ("udp", "icmp") and self.flags is not None:
            raise ValueError(f"`flags` are TCP's, and `protocol` is {self.protocol}")
        if self.protocol == "icmp" and self.port is not None:
            raise ValueError("ICMP has no `port`")
        return self

    @property
    def of_protocol(self) -> str | None:
        return "tcp" if self.protocol is None and (self.flags or self.port) else self.protocol

    def check(self, situation: Situation) -> None:
        ends = [("from", self.from_), ("to", self.to)]
        found = {key: situation.nodes(name, key) for key, name in ends if name is not None}
        if not found:
            situation.problem("neither `from` nor `to` is given: whose packets?", "name a node or a service")
        if any(not nodes for nodes in found.values()):
            return
        if self.network is not None:
            for key, nodes in found.items():
                own = {network for node in nodes for network in situation.networks(node)}
                if self.network not in own:
                    message = f"{dict(ends)[key]} is not on a network {shown(self.network)}"
                    situation.problem(message, suggestion(self.network, sorted(own)), "network")
                    return
        if len(found) == 2:
            if list(found["from"]) == list(found["to"]) and len(found["to"]) == 1:
                message = f"what {self.from_} sends to itself crosses no network"
                situation.problem(message, "name two that differ", "to")
                return
            shared = [{net for node in nodes for net in situation.networks(node)} for nodes in found.values()]
            if not shared[0] & shared[1]:
                message = f"{self.from_} and {self.to} share no network, so nothing goes directly from one to the other"
                situation.problem(message, "name the router or proxy between them as one of the two", "to")
                return
        self.note(situation)

    def words(self) -> str:
        """`FIN from server to client`."""
        kinds = "packets" if self.flags is None else " and ".join(self.flags)
        if self.flags is None and self.of_protocol is not None:
            kinds = f"{self.of_protocol.upper()} packets"
        if self.nth is not None:
            more = f" and {len(self.nth) - _TOLD} more" if len(self.nth) > _TOLD else ""
            kinds += " no. " + ", ".join(str(number) for number in self.nth[:_TOLD]) + more
        if self.probability is not None:
            kinds = f"{self.probability:.4g} of {kinds}" if self.probability < 1 else kinds
        kinds += f" of port {self.port}" if self.port is not None else ""
        ends = "".join(f" {key} {name}" for key, name in (("from", self.from_), ("to", self.to)) if name)
        return kinds + ends + (f" on {self.network}" if self.network else "")

    def involved(self, context: Context) -> Sequence[str]:
        """The nodes that are named."""
        names = [name for name in (self.from_, self.to) if name is not None]
        return list(dict.fromkeys(node for name in names for node in context.nodes(name)))

    def selection(self, context: Context) -> dict[str, Any]:
        """As fabric/faults/packets.Settings has it."""
        return {
            "sources": None if self.from_ is None else list(context.nodes(self.from_)),
            "targets": None if self.to is None else list(context.nodes(self.to)),
            "network": self.network,
            "protocol": self.of_protocol,
            "port": self.port,
            "flags": None if self.flags is None else list(self.flags),
            "nth": None if self.nth is None else list(self.nth),
            "probability": self.probability,
            "seed": 1 if self.seed is None else self.seed,
        }

    def do(self, context: Context, **verdict: Any) -> None:
        nodes = self.involved(context)
        settings = {"rule": context.step, **self.selection(context), **verdict}
        self.carry_out(context, nodes[0], settings, packets=self.words(), nodes=list(nodes))
