"""Kinds of segments."""

from __future__ import annotations

from enum import StrEnum


class Flags(StrEnum):
    """What a segment is, by the flags of its TCP header that matter to a ladder."""

    SYN = "SYN"
    SYN_ACK = "SYN+ACK"
    ACK = "ACK"
    FIN = "FIN"
    FIN_ACK = "FIN+ACK"
    RST = "RST"
    DATA = "data"

    @property
    def opens(self) -> bool:
        return self in (Flags.SYN, Flags.SYN_ACK)

    @property
    def has_fin(self) -> bool:
        return self in (Flags.FIN, Flags.FIN_ACK)
