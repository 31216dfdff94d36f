"""One measurement: what is to be done, who does it, and what it showed."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from orchestrator import __version__
from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.measure.findings import Findings, evaluate
from orchestrator.measure.place import observe
from orchestrator.measure.target import Aim
from orchestrator.text.progress import Progress
from orchestrator.text.record import record
from orchestrator.text.safe import visible


@record
class Plan:
    """How much is done. Times in seconds."""

    samples: int = 3
    """Connections that fall silent after a response, side by side."""
    requests: int = 1100
    """On one connection, one after the other, at most."""
    timeout: float = 120.0
    """How long a silent connection is waited for."""

    @property
    def connections(self) -> int:
        """How many are opened: beside the samples one is silent from the start, one has all the requests, and one
        says `Connection: close`."""
        return self.samples + 3

    @property
    def most_requests(self) -> int:
        """Each sample has one before it falls silent, and one after the server's FIN."""
        return self.requests + 2 * self.samples + 1


def measure(aim: Aim, plan: Plan, progress: Progress) -> Findings:
    """Send the traffic, and say what was found.

    Raises InputError for a target that is no HTTP server, EnvironmentFailure for one that cannot be measured.
    """
    task = {
        "hosts": aim.hosts,
        "port": aim.address.port,
        "host": aim.address.host_field,
        "path": aim.address.path,
        "agent": f"simctl/{__version__}",
        "samples": plan.samples,
        "requests": plan.requests,
        "timeout": plan.timeout,
    }
    messages: list[dict[str, Any]] = []
    progress(f"{aim.address} measured from {aim.place}: {plan.connections} connections, {plan.most_requests} requests")
    with closing(observe(aim.standpoint, task)) as observed:
        for message in observed:
            messages.append(message)
            if text := _told(message):
                progress(visible(text))
    failed = next((message for message in messages if message["say"] == "failed"), None)
    if failed is not None:
        kind = InputError if failed["usage"] else EnvironmentFailure
        raise kind(visible(f"{aim.address}: {failed['text']}"), hint=_hint(aim))
    return evaluate(messages, asked=plan.requests, waited=plan.timeout)


def _told(message: dict[str, Any]) -> str:
    """What a message of the prober says to those who wait."""
    match message["say"]:
        case "progress":
            return str(message["text"])
        case "requests":
            return f"{message['answered']} requests were answered on one connection"
        case "idle" | "silent":
            end = message["end"]
            after = {"idle": "its response", "silent": "it was opened"}[message["say"]]
            how = {"fin": "closed by FIN", "rst": "closed by RST", "none": "not closed"}[end["how"]]
            return f"a connection was {how} {end['after']:.3f} s after {after}"
    return ""


def _hint(aim: Aim) -> str | None:
    if aim.standpoint is None:
        return None
    node = aim.address.host
    return (
        f"another port or path: http://{node}:PORT/path --from {aim.standpoint.node}; simctl ss {node} shows its ports"
    )
