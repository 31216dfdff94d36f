"""Eight servers side by side: their knobs, and how each closes an idle connection."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.kinds.registry import kind
from tests.conftest import Simctl
from tests.support.kindsources import knobs_read

CLOSE = ("gunicorn", "uvicorn", "aiohttp", "granian", "caddy", "puma")
HALF_CLOSE = "lighttpd"
NEVER = "hypercorn"
"""Hypercorn 0.13 has a timer only for the first request."""

KINDS = (*CLOSE, HALF_CLOSE, NEVER)
TIMEOUT = "1s"
IDLE = "3500ms"
"""Some look at their timers only once a second, and may be late by two."""


@pytest.mark.parametrize("name", KINDS)
def test_the_knobs_are_those_that_it_reads(name: str) -> None:
    assert knobs_read(name) == set(kind(name).knobs)


@pytest.mark.netns
@pytest.mark.kinds(*KINDS)
def test_who_closes_an_idle_connection_and_how(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("run", _story(tmp_path), "-r", "netns", "-q", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr + done.stdout
    (sockets,) = (tmp_path / "runs").glob("*/ss/idle.end")
    for name in CLOSE:
        line = _fin_wait2(sockets / f"{name}.ss.txt")
        assert "timer:(timewait," in line, "it is gone for the program; the kernel counts tcp_fin_timeout"
        assert "users:" not in line
    held = _fin_wait2(sockets / f"{HALF_CLOSE}.ss.txt")
    assert f'users:(("{HALF_CLOSE}",' in held
    assert "timer:" not in held


def _story(folder: Path) -> Path:
    """A client asks each server twice, and idles."""
    (folder / "compose.yaml").write_text(
        "services:\n  client: {image: simctl/requests}\n"
        + "".join(
            f"  {each}: {{image: simctl/{each}, environment: {{KEEPALIVE_TIMEOUT: {TIMEOUT}}}}}\n" for each in KINDS
        )
    )
    asks = (f'  - request: {{from: client, url: "http://{each}:8080/", session: {each}, count: 2}}\n' for each in KINDS)
    closed = "".join(f"    {each}: {{FIN_WAIT2: 1, first_fin: 1, others: 0}}\n" for each in (*CLOSE, HALF_CLOSE))
    story = folder / "idle.yaml"
    story.write_text(
        f"name: idle\ntopology: compose.yaml\nsteps:\n{''.join(asks)}  - {{name: idle, wait: {IDLE}}}\nexpect:\n"
        f"  - that: nobody looks, so both ends wait\n    at: idle.end\n{closed}"
        f"    client: {{CLOSE_WAIT: {len(KINDS) - 1}, ESTABLISHED: 1}}\n"
        f"  - {{that: it does not close, at: idle.end, {NEVER}: {{ESTABLISHED: 1, others: 0}}}}\n"
        "  - {that: each request was answered on the one connection, over: start .. end,\n"
        f"     client: {{errors: 0, requests: {2 * len(KINDS)}, connections: {len(KINDS)}}}}}\n"
    )
    return story


def _fin_wait2(table: Path) -> str:
    (line,) = (line for line in table.read_text().splitlines() if "FIN-WAIT-2" in line)
    return line
