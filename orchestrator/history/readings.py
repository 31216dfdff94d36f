"""What ticks read of a socket beside its state."""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.text.record import record


class QueueReading(NamedTuple):
    """Recv-Q and Send-Q, bytes, as seen at `t`; they stand until the next reading."""

    t: float
    recv_q: int
    send_q: int


@record
class TrafficReading:
    """What a socket had sent and received by the tick at `t`, by TCP_INFO: whether a program reports it or not."""

    t: float
    received: int
    """Bytes that came, a FIN as one."""
    acked: int
    """Bytes that the peer acknowledged, a SYN or FIN as one."""
    sent: int
    """Bytes of data sent, with what was sent again."""
    unsent: int
    """Bytes that its program wrote and that were not sent."""
    sent_at: float | None
    """When it last sent data, to some milliseconds; None: never."""
    received_at: float | None
    """When data last came."""
    resent: int = 0
    """Of `sent`: bytes that were sent again."""

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.received, self.acked, self.sent, self.unsent
