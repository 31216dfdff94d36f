"""Evidence that is one socket, or one of its states; see evidence.py."""

from __future__ import annotations

from typing import Literal

from orchestrator.tcp.states import TcpState
from orchestrator.text.jsondata import Data
from orchestrator.text.record import record


@record
class Gap(Data):
    """An open interval in which the state of a socket is not known."""

    after: float
    """It begins after this sample."""
    before: float
    """It ends before this one."""
    was: TcpState | None
    """The state that the first of the two shows; null: the socket was not there."""
    became: TcpState | None
    """The state that the second shows; null: the socket was gone."""


@record(kw_only=True)
class OfSocket(Data):
    """What names one socket."""

    node: str
    """Where the socket is."""
    sk: str
    """Its name in the recording."""
    local: str
    """Its own address."""
    peer: str
    """The address at the other end."""
    peer_node: str | None
    """The node that has that address; null where none has."""


@record(kw_only=True)
class SocketSeen(OfSocket):
    """A socket at the instant that decided: its state, or the gap in which it was."""

    kind: Literal["socket"] = "socket"
    state: TcpState | None
    """Its state; null in a gap."""
    since: float | None
    """From when it is known to have been in it; null in a gap."""
    gap: Gap | None
    """What the samples around show, where the state is not known; otherwise null."""
    recv_q: int | None
    """Recv-Q, bytes; null where no sample read it."""
    send_q: int | None
    """Send-Q, bytes; null where no sample read it."""
    orphaned: bool | None
    """Of a socket that is closing: whether no process had it open any more; null where that does not apply, or no
    sample tells."""
    pid: int | None
    """The process that owns it, or did; null when not known."""
    program: str | None
    """That process's name."""


@record(kw_only=True)
class SocketBorn(OfSocket):
    """A socket that counts as a connection from its birth on."""

    kind: Literal["birth"] = "birth"
    t: float
    """When it was first seen."""


@record(kw_only=True)
class StateLasted(OfSocket):
    """A state that a socket entered and left again."""

    kind: Literal["state_interval"] = "state_interval"
    state: TcpState
    """The state."""
    least: float
    """Seconds that it lasted at least."""
    most: float | None
    """Seconds that it lasted at most; null where nothing bounds it."""
    until: float
    """When it was last known to be in it."""


@record(kw_only=True)
class StatePossible(OfSocket):
    """A state that a socket may have been in between two samples."""

    kind: Literal["possible_state"] = "possible_state"
    state: TcpState
    """The state."""
    after: float
    """The open interval begins here."""
    before: float
    """The open interval ends here."""
