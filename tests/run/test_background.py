"""Steps beside each other, on real namespaces: what is recorded of them, what fails, and what stays of an interrupt."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.system.linux import descendants
from tests.cli.test_lifecycle import await_gone, machine, network_namespaces
from tests.conftest import Simctl
from tests.support.live import await_line, started
from tests.support.vanishing import events_of, pair, passed, write

pytestmark = pytest.mark.netns


def get(path: str, *more: str) -> str:
    return "request: {" + ", ".join(["from: client", f'url: "http://server:8080{path}"', *more]) + "}"


def run(simctl: Simctl, folder: Path, steps: list[str], expect: list[str]) -> list[dict[str, Any]]:
    """The events of a run that passes."""
    scenario = write(folder, pair(), [f"{{{step}}}" for step in steps], expect)
    passed(simctl("run", scenario, "-r", "netns", "-o", folder / "runs", "--format", "json"))
    return events_of(folder / "runs")


def moments(events: list[dict[str, Any]]) -> dict[str, float]:
    return {event["name"]: event["t"] for event in events if event["ev"] == "moment"}


def notes(events: list[dict[str, Any]]) -> list[str]:
    return [event["text"] for event in events if event["ev"] == "note"]


def test_one_client_asks_while_it_waits_for_an_answer(simctl: Simctl, tmp_path: Path) -> None:
    """Each request is its step's, though another step was the last to begin, and the moments are where they were."""
    events = run(
        simctl,
        tmp_path,
        [
            f"name: slow, background: true, {get('/delay/1500')}",
            f"name: quick, {get('/', 'count: 3')}",
            "name: rest, await: slow",
        ],
        [
            "{that: quick ones are answered first, over: quick.start .. quick.end, client: {requests: 3, errors: 0}}",
            "{that: the slow one later, over: quick.end .. rest.end, client: {requests: 1, errors: 0}}",
        ],
    )
    assert [event["step"] for event in events if event["ev"] == "request"] == ["quick", "quick", "quick", "slow"]
    at = moments(events)
    assert at["start"] == at["slow.start"] == at["quick.start"]
    assert at["quick.end"] == at["rest.start"] < at["slow.end"] < at["rest.end"] == at["end"]
    assert not [text for text in notes(events) if "slow" in text]


def test_what_nobody_awaits_is_awaited_at_the_end_and_told(simctl: Simctl, tmp_path: Path) -> None:
    events = run(
        simctl,
        tmp_path,
        [f"name: slow, background: true, {get('/delay/1000')}", "name: first, wait: 100ms"],
        ["{that: it was answered, client: {requests: 1, errors: 0}}"],
    )
    at = moments(events)
    assert at["first.end"] < at["slow.end"] == at["end"]
    assert [text.partition(",")[0] for text in notes(events) if "awaits" in text] == ["nothing awaits the step slow"]


def test_a_step_starts_at_a_moment_inside_of_another(simctl: Simctl, tmp_path: Path) -> None:
    """The step `load` is in the foreground and goes on; what starts meanwhile stands behind it in the file."""
    events = run(
        simctl,
        tmp_path,
        [
            f"name: load, {get('/delay/2000')}",
            f"name: inside, at: load.start + 500ms, {get('/')}",
            f"name: after, at: inside.end, {get('/')}",
        ],
        ["{that: both were answered before it, over: load.start .. after.end, client: {requests: 2, errors: 0}}"],
    )
    at = moments(events)
    assert at["load.start"] < at["inside.start"] < at["inside.end"] < at["after.start"] < at["load.end"]
    (asked,) = [event for event in events if event["ev"] == "request" and event["step"] == "inside"]
    assert at["inside.start"] < asked["t0"]
    assert asked["t0"] >= at["load.start"] + 0.5, "not before its time"
    assert [event["step"] for event in events if event["ev"] == "request"] == ["inside", "after", "load"]


def test_requests_go_on_while_another_step_hangs_and_cuts_off_their_server(simctl: Simctl, tmp_path: Path) -> None:
    events = run(
        simctl,
        tmp_path,
        [
            f"name: load, background: true, {get('/', 'rate: 20', 'duration: 2s', 'session: pool')}",
            "name: quiet, wait: 300ms",
            "name: freeze, pause: server",
            "name: frozen, wait: 300ms",
            "name: thaw, resume: server",
            "name: cut, link: {node: server, up: false}",
            "name: dark, wait: 300ms",
            "name: mend, link: {node: server, up: true}",
            "name: done, await: load",
        ],
        ["{that: all are sent and in the end answered, client: {requests: 40, errors: 0}}"],
    )
    (load,) = [event for event in events if event["ev"] == "load"]
    assert (load["step"], load["rate"], load["asked"], load["sent"]) == ("load", 20, 40, 40)
    assert load["lateness"] >= 0
    sent = [event["t0"] for event in events if event["ev"] == "request"]
    at = moments(events)
    for start, end in (("frozen.start", "frozen.end"), ("dark.start", "dark.end")):
        assert [t for t in sent if at[start] < t < at[end]], "they do not wait for answers"


@pytest.mark.parametrize("awaited", [True, False])
def test_one_that_fails_ends_the_run_as_any_step(simctl: Simctl, tmp_path: Path, awaited: bool) -> None:
    steps = [
        f"{{name: stuck, background: true, {get('/hang', 'within: 500ms')}}}",
        "{name: long, wait: 60s}",
        *(["{await: stuck}"] if awaited else []),
    ]
    scenario = write(tmp_path, pair(), steps)
    done = simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs", timeout=50)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "node client is still at it 0.5 s after the step stuck began" in done.stderr
    assert "Traceback" not in done.stderr
    events = events_of(tmp_path / "runs")
    assert [event["outcome"] for event in events if event["ev"] == "end"] == ["failed"]
    assert "stuck.end" not in moments(events)


def test_a_step_ends_with_the_client_that_another_step_kills(simctl: Simctl, tmp_path: Path) -> None:
    events = run(
        simctl,
        tmp_path,
        [
            f"name: slow, background: true, {get('/delay/20000')}",
            "name: under-way, wait: 500ms",
            "name: crash, kill: client",
            "name: gone, await: slow",
        ],
        ["{that: the client closed first, client: {first_fin: 1}}"],
    )
    assert not [event for event in events if event["ev"] == "request"]
    assert [
        text for text in notes(events) if "a step ended the program of client while it was at the step slow" in text
    ]


BESIDE = [
    f"{{name: load, background: true, {get('/', 'rate: 50', 'duration: 60s')}}}",
    f"{{name: slow, background: true, {get('/delay/60000', 'timeout: 90s')}}}",
    f"{{name: later, at: load.start + 50s, {get('/')}}}",
    "{name: idle, wait: 60s}",
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_nothing_stays_of_a_run_that_is_ended_in_the_middle(tmp_path: Path, number: int) -> None:
    before = machine()
    scenario = write(tmp_path, pair(), BESIDE)
    with started(tmp_path, scenario=str(scenario)) as process:
        await_line(process, "idle:")
        family = descendants(process.pid)
        namespaces = network_namespaces(family)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
        await_gone(family, namespaces)
    assert machine() == before
    assert "Traceback" not in stderr
    if number == signal.SIGINT:
        assert process.returncode == 130, stderr
        lines = (next((tmp_path / "runs").iterdir()) / "events.jsonl").read_text().splitlines()
        assert [json.loads(line)["outcome"] for line in lines if '"ev":"end"' in line] == ["interrupted"]


@pytest.mark.parametrize("name", ["stop-in-flight", "stop-under-load", "edge-of-keep-alive"])
def test_the_bundled_stories(simctl: Simctl, name: str) -> None:
    passed(simctl("run", name, "-r", "netns", "--format", "json"))


def test_the_report_tells_what_a_client_managed(simctl: Simctl, tmp_path: Path) -> None:
    """Workers that are all busy leave a rate unkept, and that is told and not hidden."""
    steps = [f"{{name: load, {get('/delay/300', 'rate: 50', 'count: 10', 'concurrency: 2')}}}"]
    scenario = write(tmp_path, pair(), steps, ["{that: all are answered, client: {requests: 10, errors: 0}}"])
    report = passed(simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs", "--format", "json"))
    (load,) = report["loads"]
    assert (load["node"], load["step"], load["rate"], load["asked"], load["sent"]) == ("client", "load", 50, 10, 10)
    assert load["late"] == 8, "two workers, which are busy for longer than all the rest was to take"
    assert load["lateness"] > 0.3
    said = [line for line in report["story"] if line.startswith("client did not keep to 50 requests a second in load:")]
    assert len(said) == 1
    assert "all 10 sent, 8 of them late" in said[0]
