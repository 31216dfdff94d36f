"""Runs the steps of a scenario in a lab. One function per verb; each returns when what the step asks for is done."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import EnvironmentFailure
from orchestrator.lab.lab import Lab
from orchestrator.scenario.model import Scenario, Step
from orchestrator.text.durations import format_duration
from orchestrator.text.numbers import plural

_STOP_TIMEOUT = 30.0


def run_steps(scenario: Scenario, lab: Lab, progress: Callable[[str], None], exec_folder: Path) -> None:
    """All steps in order. The end of one is the start of the next: both names share one moment."""
    lab.sample(on=True)
    lab.mark("start", f"{scenario.steps[0].name}.start")
    for position, step in enumerate(scenario.steps):
        progress(describe(step))
        lab.set_step(step.name)
        _VERBS[step.verb](step, lab, exec_folder)
        last = position + 1 == len(scenario.steps)
        lab.mark(f"{step.name}.end", "end" if last else f"{scenario.steps[position + 1].name}.start")


def describe(step: Step) -> str:
    """A step in a few words, for progress: `load: 5 requests from client`."""
    match step.verb:
        case "request":
            assert step.request is not None
            count = step.request.count
            text = f"{plural(count, 'request')} from {step.request.from_}"
        case "wait":
            text = f"wait {format_duration(step.wait or 0)}"
        case "close":
            assert step.close is not None
            text = f"close session {step.close.session} of {step.close.from_}"
        case "exec":
            assert step.exec is not None
            text = f"exec in {step.exec.node}: {' '.join(step.exec.command)}"
        case "link":
            assert step.link is not None
            where = f" in {step.link.network}" if step.link.network else ""
            text = f"link of {step.link.node}{where} {'up' if step.link.up else 'down'}"
        case verb:
            text = f"{verb} {getattr(step, verb)}"
    return f"{step.name}: {text}"


def _request(step: Step, lab: Lab, exec_folder: Path) -> None:
    request = step.request
    assert request is not None
    fields = request.model_dump(exclude={"from_"})
    _command(lab, request.from_, "request", fields)


def _close(step: Step, lab: Lab, exec_folder: Path) -> None:
    assert step.close is not None
    _command(lab, step.close.from_, "close", {"session": step.close.session})


def _command(lab: Lab, name: str, do: str, fields: dict[str, object]) -> None:
    """Tell a client, or all replicas of a service at the same time."""
    channels = [lab.channels[node.name] for node in lab.topology.resolve(name)]
    commands = [(channel, channel.command(do, **fields)) for channel in channels]
    for channel, command_id in commands:
        channel.wait_done(command_id, lab.check, every=lab.pace.check_every)


def _wait(step: Step, lab: Lab, exec_folder: Path) -> None:
    deadline = time.monotonic() + (step.wait or 0)
    while (left := deadline - time.monotonic()) > 0:
        time.sleep(min(left, lab.pace.check_every))
        lab.check()


def _stop(step: Step, lab: Lab, exec_folder: Path) -> None:
    _end(lab, step.stop or "", signal.SIGTERM, "stopped")


def _kill(step: Step, lab: Lab, exec_folder: Path) -> None:
    _end(lab, step.kill or "", signal.SIGKILL, "killed")


def _end(lab: Lab, name: str, number: int, what: str) -> None:
    nodes = lab.topology.resolve(name)
    for node in nodes:
        lab.expect_end(node.name)
        lab.node_event(node.name, what)
        lab.runtime.signal(node.name, number)
    for node in nodes:
        if not lab.channels[node.name].wait_exited(_STOP_TIMEOUT):
            raise lab.channels[node.name].failure(f"did not end within {_STOP_TIMEOUT:g} s of being {what}")


def _pause(step: Step, lab: Lab, exec_folder: Path) -> None:
    _signal(lab, step.pause or "", signal.SIGSTOP, "paused")


def _resume(step: Step, lab: Lab, exec_folder: Path) -> None:
    _signal(lab, step.resume or "", signal.SIGCONT, "resumed")


def _signal(lab: Lab, name: str, number: int, what: str) -> None:
    for node in lab.topology.resolve(name):
        lab.runtime.signal(node.name, number)
        lab.node_event(node.name, what)


def _link(step: Step, lab: Lab, exec_folder: Path) -> None:
    """Between the two events the node was surely off."""
    assert step.link is not None
    network = step.link.network
    for node in lab.topology.resolve(step.link.node):
        if step.link.up:
            lab.node_event(node.name, "link up", network=network)
            lab.fault("partition", "heal", node.name, network=network)
        else:
            lab.fault("partition", "apply", node.name, network=network)
            lab.node_event(node.name, "link down", network=network)


def _exec(step: Step, lab: Lab, exec_folder: Path) -> None:
    """Run a command in a node; its output is kept beside the logs. A status other than 0 ends the run."""
    command = step.exec
    assert command is not None
    for node in lab.topology.resolve(command.node):
        result = lab.runtime.exec(node.name, command.command, command.timeout)
        (exec_folder / f"exec-{step.name}-{node.name}.txt").write_text(result.output)
        lab.node_event(node.name, "exec", step=step.name, status=result.status)
        if result.status != 0:
            raise EnvironmentFailure(
                f"step {step.name}: {command.command[0]} in {node.name} ended with status {result.status}",
                detail=result.output.splitlines()[-10:],
            )


_VERBS: dict[str, Callable[[Step, Lab, Path], None]] = {
    "request": _request,
    "wait": _wait,
    "close": _close,
    "stop": _stop,
    "kill": _kill,
    "pause": _pause,
    "resume": _resume,
    "link": _link,
    "exec": _exec,
}
