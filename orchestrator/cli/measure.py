"""`simctl measure idle`: when and how a server closes what is idle, measured from outside."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from orchestrator.cli.common import ProgressLines, QuietOption, add, add_group, parse_duration_option
from orchestrator.errors import InputError
from orchestrator.exitcodes import ExitCode
from orchestrator.text.safe import printable

if TYPE_CHECKING:
    from orchestrator.measure.findings import Findings
    from orchestrator.measure.target import Aim

measure_app = typer.Typer(no_args_is_help=True, help="Measure a server from outside, a real one or a node of a lab.")

_LONGEST = 24 * 3600


def register(app: typer.Typer) -> None:
    add(measure_app, "idle", idle)
    add_group(app, "measure", measure_app)


def idle(
    target: str = typer.Argument(..., metavar="TARGET", help="HOST:PORT, http://HOST:PORT/path, NODE or LAB/NODE."),
    from_: str | None = typer.Option(
        None, "--from", metavar="[LAB/]NODE", help="The node of a standing lab that measures; a client without."
    ),
    samples: int = typer.Option(
        3, "--samples", "-n", metavar="N", min=1, max=100, help="Connections that fall silent side by side."
    ),
    requests: int = typer.Option(
        1100, "--requests", metavar="N", min=2, max=1_000_000, help="On one connection, at most."
    ),
    timeout: str = typer.Option(
        "120s", "--timeout", "-t", metavar="DURATION", help="How long to wait for a silent connection's end."
    ),
    configured: str | None = typer.Option(
        None, "--configured", metavar="DURATION", help="The idle timeout that the server is meant to have."
    ),
    json_: bool = typer.Option(False, "--json", help="The findings as JSON."),
    quiet: bool = QuietOption,
) -> None:
    """Measure when an HTTP/1.1 server closes idle connections, after how many requests, and how.

    It sends real traffic, GET requests only, to the target and to nothing else: SAMPLES + 3 connections, and at most
    REQUESTS + 2 x SAMPLES + 1 requests (6 connections and 1107 requests without options); fewer where the server closes
    earlier. Most of them go over one connection, one after the other. It takes a little longer than the server's idle
    timeout, and four times --timeout at most. HTTPS is not measured.

    Exit status: 0 measured, 1 not what is --configured, 2 bad usage, 3 it cannot be measured, 4 too little was seen,
    130 interrupted.
    """
    from orchestrator.measure.measure import Plan, measure
    from orchestrator.measure.words import document, verdict

    waited = parse_duration_option("--timeout", timeout)
    if not 0 < waited <= _LONGEST:
        raise InputError(f"--timeout: expected more than 0s and up to 24h, not {timeout}")
    claim = None if configured is None else parse_duration_option("--configured", configured)
    aim = _aim(target, from_)
    findings = measure(aim, Plan(samples, requests, waited), ProgressLines(quiet=quiet))
    if json_:
        print(
            json.dumps(document(findings, target=str(aim.address), measured_from=aim.place, configured=claim), indent=1)
        )
    else:
        _print(findings, aim, claim)
    if not findings.decided:
        sys.exit(ExitCode.UNKNOWN)
    if claim is not None:
        sys.exit(_exit_code(verdict(findings, claim)))


def _aim(target: str, from_: str | None) -> Aim:
    from orchestrator.kinds.registry import load_kinds
    from orchestrator.measure.target import Address, parse_node, parse_target, take_aim

    parsed = parse_target(target)
    standpoint = None if from_ is None else parse_node(from_)
    if isinstance(parsed, Address) and standpoint is None:
        return take_aim(parsed, None, {})
    return take_aim(parsed, standpoint, {name: kind.role for name, kind in load_kinds().items()})


def _print(findings: Findings, aim: Aim, configured: float | None) -> None:
    from orchestrator.measure.words import advice, rows
    from orchestrator.text.durations import measured

    print(f"{aim.address} ({findings.version} {findings.status}), measured from {aim.place}")
    print()
    table = rows(findings)
    width = max(len(name) for name, _ in table)
    for name, found in table:
        print(f"  {name:{width}}  {printable(found)}")
    print()
    least, most = findings.latency
    print(f"  {findings.connections} connections, {findings.requests} requests; ", end="")
    print(f"opening one took {measured(least)} .. {measured(most)}; times are exact to {measured(findings.accuracy)}")
    print()
    print(f"{advice(findings, configured)}")


def _exit_code(truth: str) -> ExitCode:
    from orchestrator.measure.findings import Truth

    return {Truth.TRUE: ExitCode.PASS, Truth.UNKNOWN: ExitCode.UNKNOWN}.get(Truth(truth), ExitCode.FAIL)
