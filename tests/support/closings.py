"""Closings made by hand."""

from __future__ import annotations

from orchestrator.history.model import Closing, ClosingKind, Side, Witness
from orchestrator.tcp.states import TcpState

AT = (1.0, 1.05)


def seen(state: str, node: str) -> Witness:
    return Witness(node, TcpState(state))


def fin(by: str, *witnesses: Witness, at: tuple[float, float] = AT) -> Closing:
    """The first FIN, of a node whose name says which end it is."""
    side = Side.SERVER if by.startswith("server") else Side.CLIENT
    return Closing(ClosingKind.FIN, side, by, witnesses=witnesses, at=at)


def rst(by: str, reason: str = "", *, at: tuple[float, float] = AT) -> Closing:
    side = Side.SERVER if by.startswith("server") else Side.CLIENT
    return Closing(ClosingKind.RST, side, by, reason, traced=True, at=at)


def crossed(*witnesses: Witness) -> Closing:
    return Closing(ClosingKind.SIMULTANEOUS, witnesses=witnesses, at=AT)


STILL_OPEN = Closing()
UNKNOWN = Closing(ClosingKind.UNKNOWN, at=AT)
