"""`reject`: packets that are answered by somebody on the way, and do not arrive."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from orchestrator.scenario.steps.base import Context, Effect
from orchestrator.scenario.steps.packets import Packets

With = Literal["reset", "port-unreachable", "host-unreachable", "net-unreachable", "admin-prohibited"]


class Reject(Packets):
    """As `drop`, but the sender is told: by a RST in the name of the other end, or by an ICMP message, as a firewall
    does it. The other end hears of nothing.
    """

    verb = "reject"
    meaning = "refuse packets on their way, with a RST or an ICMP message"
    example = """\
steps:
  - name: firewall
    reject: {to: server, port: 8080, flags: SYN, with: admin-prohibited, for: 5s}
"""
    begins = Effect("reject", "rejected from now on", about_packets=True)
    over = Effect("reject over", "no longer rejected", about_packets=True)
    effects = (begins, over)
    needs: ClassVar[tuple[str, ...]] = ("packet rules", "refusing rules")

    with_: With = Field(
        "reset", alias="with", description="`reset`: a RST, for TCP; else the ICMP message `destination unreachable` "
        "with this reason"
    )  # fmt: skip

    @model_validator(mode="after")
    def _resets_are_for_tcp(self) -> Reject:
        if self.with_ == "reset" and self.protocol in ("udp", "icmp"):
            raise ValueError(f"`with: reset` is TCP's, and `protocol` is {self.protocol}: name an ICMP reason")
        return self

    @property
    def of_protocol(self) -> str | None:
        return "tcp" if self.with_ == "reset" else super().of_protocol

    def describe(self) -> str:
        return self.lasting(f"reject {self.words()}")

    def perform(self, context: Context) -> None:
        self.do(context, verdict=self.with_)
