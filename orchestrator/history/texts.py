"""Holds the history against what the real `ss` and `netstat` of every node printed at every named moment.

They are other programs, which read the kernel's tables by ways of their own (`/proc/net/tcp`, netlink), some
milliseconds after the sample of the moment, on a busy machine seconds. So a line must show a state that its socket can
have had between the moment and the time at which its texts were all there; where the recording ends before that, one
that it can have come to since.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from orchestrator.history.crossexamination import doubted, may_be, possible
from orchestrator.history.model import Contradiction, History, Socket
from orchestrator.history.sampled import NodeTicks
from orchestrator.tcp.lifecycle import later
from orchestrator.tcp.states import TcpState

_LATE = 1.0
"""Seconds that the tools may have been late where the recording does not tell."""

_LONGEST = 2_000
"""Lines of a text that are compared; of a larger table the first ones."""

_SS = re.compile(r"(?P<state>[A-Z][A-Z0-9-]+) +\d+ +\d+ +(?P<local>\S+:\S+) +(?P<peer>\S+:\S+)")
_NETSTAT = re.compile(r"tcp6? +\d+ +\d+ +(?P<local>\S+:\S+) +(?P<peer>\S+:\S+) +(?P<state>[A-Z][A-Z0-9_]+)")

_LINES = {"ss": _SS, "netstat": _NETSTAT}

_NAMES = {
    "ESTAB": TcpState.ESTABLISHED,
    "SYN-SENT": TcpState.SYN_SENT,
    "SYN-RECV": TcpState.SYN_RECV,
    "FIN-WAIT-1": TcpState.FIN_WAIT1,
    "FIN-WAIT-2": TcpState.FIN_WAIT2,
    "TIME-WAIT": TcpState.TIME_WAIT,
    "CLOSE-WAIT": TcpState.CLOSE_WAIT,
    "LAST-ACK": TcpState.LAST_ACK,
    "CLOSING": TcpState.CLOSING,
} | {state.value: state for state in TcpState if state not in (TcpState.LISTEN, TcpState.CLOSED)}
"""As ss and netstat spell states. Listening sockets are left out: they do not end by segments."""

_Key = tuple[str, str, str]
"""Node, local and peer address."""


def against_texts(history: History, folder: Path) -> list[Contradiction]:
    """What the texts in `folder` (MOMENT/NODE.TOOL.txt) contradict. A text that is not there contradicts nothing."""
    of_key: dict[_Key, list[Socket]] = defaultdict(list)
    for socket in history.sockets:
        of_key[socket.node, _plain(socket.local), _plain(socket.peer)].append(socket)
    found: list[Contradiction] = []
    until = history.ticks[-1] if history.ticks else 0.0
    seen: set[Path] = set()
    for moment, t in history.moments.items():
        # Moments that share an instant share their texts.
        if (real := (folder / moment).resolve()) in seen or not real.is_relative_to(folder.resolve()):
            continue
        seen.add(real)
        late = history.texts_took.get(moment, _LATE)
        for node in history.nodes:
            for tool in _LINES:
                found += _of_text(real / f"{node}.{tool}.txt", node, tool, (t, t + late, until), of_key)
    return found


def with_doubts(history: History, against: Sequence[Contradiction]) -> History:
    """The history, with nothing known of the contradicted sockets around the moment."""
    if not against:
        return history
    by_socket: dict[tuple[str, str], list[Contradiction]] = defaultdict(list)
    for one in against:
        by_socket[one.node, one.sk].append(one)
    ticks = {node: NodeTicks(history.ticks, history.missed.get(node, ())) for node in history.nodes}
    sockets = tuple(
        doubted(socket, by_socket.get((socket.node, socket.sk), ()), ticks[socket.node]) for socket in history.sockets
    )
    return replace(history, sockets=sockets, contradictions=(*history.contradictions, *against))


def _of_text(
    path: Path, node: str, tool: str, times: tuple[float, float, float], of_key: Mapping[_Key, list[Socket]]
) -> Iterator[Contradiction]:
    """`times`: of the moment, of the last text of it, of the last tick."""
    t, last, until = times
    try:
        with path.open(errors="replace") as file:
            lines = list(islice(file, _LONGEST))
    except OSError:
        return
    for local, peer, state in _rows(lines, _LINES[tool]):
        sockets = of_key.get((node, local, peer), ())
        if any(may_be(socket, state, t, last) for socket in sockets):
            continue
        if sockets and not (last > until and any(_may_become(socket, state, until) for socket in sockets)):
            held = frozenset().union(*(possible(socket, t, last) for socket in sockets))
            nearest = max(sockets, key=lambda socket: socket.intervals[0].first <= t)
            yield Contradiction(node, nearest.sk, nearest.local, nearest.peer, t, tool, state, held)


def _may_become(socket: Socket, state: TcpState, until: float) -> bool:
    """Whether the socket can have come to that state after the end of the recording."""
    return any(one is not TcpState.CLOSED and state in later(one) for one in possible(socket, until, until))


def _rows(lines: Iterable[str], pattern: re.Pattern[str]) -> Iterator[tuple[str, str, TcpState]]:
    for line in lines:
        match = pattern.match(line)
        state = _NAMES.get(match["state"]) if match else None
        if match and state is not None:
            yield _plain(match["local"]), _plain(match["peer"]), state


def _plain(address: str) -> str:
    """Without what tools add: brackets and the prefix of mapped addresses, the interface."""
    if "[" not in address and "%" not in address and "::" not in address:  # as nearly all are
        return address
    host, _, port = address.rpartition(":")
    host = host.strip("[]").removeprefix("::ffff:").partition("%")[0]
    return f"{host}:{port}"
