"""Programs that end, start again, reload and get signals: real kernels, the real command, a trace that stays whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InputError
from orchestrator.run.options import Options
from orchestrator.run.prepare import prepare
from tests.conftest import Simctl
from tests.support.vanishing import events_of, passed

GET = '{from: client, url: "http://server:8080/"}'
HANGING = (
    "[/usr/bin/python3, -c, \"import os, socket, time; s = socket.create_connection(('server', 8080)); "
    "s.sendall(bytes([13, 10]).join([b'GET /hang HTTP/1.1', b'Host: x', b'', b''])); "
    'time.sleep(0.5 if os.fork() else 60)"]'
)
"""A command that leaves a request behind which is never answered."""
POOLED = '{from: client, url: "http://server:8080/", session: pool}'

RUNTIMES = [
    pytest.param("netns", marks=pytest.mark.netns),
    pytest.param("docker", marks=[pytest.mark.docker, pytest.mark.images("origin", "requests")]),
    pytest.param("vm", marks=[pytest.mark.vm, pytest.mark.slow]),
]


def write(folder: Path, steps: list[str], expect: list[str], *, kind: str = "origin", knobs: str = "{}") -> Path:
    (folder / "lab.yaml").write_text(
        "services:\n"
        "  client: {image: simctl/requests, networks: [lab], depends_on: [server]}\n"
        f"  server: {{image: simctl/{kind}, networks: [lab], environment: {knobs}}}\n"
        "networks: {lab: {internal: true}}\n"
    )
    lines = ["name: programs", "topology: lab.yaml", "steps:", *(f"  - {step}" for step in steps)]
    path = folder / "scenario.yaml"
    path.write_text("\n".join([*lines, "expect:", *(f"  - {each}" for each in expect)]) + "\n")
    return path


def befell(runs: Path, node: str) -> list[str]:
    return [event["what"] for event in events_of(runs) if event["ev"] == "node" and event["node"] == node]


def notes(runs: Path) -> list[str]:
    return [event["text"] for event in events_of(runs) if event["ev"] == "note"]


def exact(simctl: Simctl, runs: Path) -> None:
    """The history is made of the kernel's own trace, which nothing refuted."""
    (run,) = runs.iterdir()
    done = simctl("report", run, "--format", "json")
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["notes"] == [], document["notes"]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.timeout(150)
def test_a_stopped_program_starts_again_in_its_own_network(simctl: Simctl, tmp_path: Path, runtime: str) -> None:
    """Same address, same port; its kernel kept TIME_WAIT meanwhile; and the knob that it got counts."""
    scenario = write(
        tmp_path,
        [
            f"{{name: load, request: {POOLED}}}",
            "{name: leave, stop: server}",
            "{name: let-go, close: {from: client, session: pool}}",
            f"{{name: refused, request: {GET}}}",
            "{name: back, start: {node: server, set: {KEEPALIVE_TIMEOUT: 1s}}}",
            f"{{name: again, request: {POOLED}}}",
            "{name: idle, wait: 3s}",
            "{name: crash, kill: server}",
            "{name: alive, start: server}",
            f"{{name: last, request: {GET}}}",
            "{name: rest, wait: 1s}",
        ],
        [
            "{that: it refuses, over: refused.start .. refused.end, client: {errors: {ConnectionRefusedError: 1}}}",
            "{that: TIME_WAIT is still there, at: back.end, server: {TIME_WAIT: 1, LISTEN: 1}}",
            "{that: the new timeout counts, over: again.start .. idle.end, server: {closed_by: {idle: 1}}}",
            "{that: it is back, over: last.start .. last.end, client: {statuses: {200: 1}}, server: {served: 1}}",
        ],
    )
    runs = tmp_path / "runs"
    passed(simctl("run", scenario, "-r", runtime, "-o", runs, "--format", "json", timeout=120))
    assert befell(runs, "server") == [
        "started", "ready", "stopped", "ended", "started again", "ready", "killed", "ended", "started again", "ready",
    ]  # fmt: skip
    exact(simctl, runs)


@pytest.mark.netns
def test_an_address_in_use_is_told_with_the_program_s_own_words(simctl: Simctl, tmp_path: Path) -> None:
    steps = [
        f"{{name: load, request: {POOLED}}}",
        "{name: leave, stop: server}",
        "{name: let-go, close: {from: client, session: pool}}",
    ]
    in_use = "cannot listen on port 8080: Address already in use"
    knobs = "{REUSE_ADDRESS: false}"
    expect = ["{that: nobody listens, at: end, server: {LISTEN: 0, TIME_WAIT: 1}}"]
    scenario = write(tmp_path, [*steps, "{name: back, start: {node: server, may_fail: true}}"], expect, knobs=knobs)
    runs = tmp_path / "runs"
    passed(simctl("run", scenario, "-r", "netns", "-o", runs, "--format", "json"))
    assert any(in_use in text for text in notes(runs)), notes(runs)
    done = simctl("run", write(tmp_path, [*steps, "{name: back, start: server}"], expect, knobs=knobs), "-r", "netns")
    assert done.returncode == 3
    assert "node server died at start (exit status 1)" in done.stderr
    assert in_use in done.stderr


@pytest.mark.netns
def test_who_does_not_end_is_killed_after_its_grace_and_the_run_goes_on(simctl: Simctl, tmp_path: Path) -> None:
    """The kind origin waits 2 s for a request in the works."""
    scenario = write(
        tmp_path,
        [
            f"{{name: hang, exec: {{node: client, command: {HANGING}}}}}",
            "{name: leave, stop: {node: server, grace: 300ms}}",
            "{name: back, start: server}",
            f"{{name: again, request: {GET}}}",
        ],
        ["{that: it is back, over: again.start .. again.end, client: {statuses: {200: 1}}}"],
    )
    runs = tmp_path / "runs"
    passed(simctl("run", scenario, "-r", "netns", "-o", runs, "--format", "json", "--allow-exec"))
    assert befell(runs, "server")[2:6] == ["stopped", "killed", "ended", "started again"]
    assert "server did not end within 300ms of SIGTERM, so it was killed" in notes(runs)


@pytest.mark.netns
def test_a_signal_is_for_the_main_program_alone(simctl: Simctl, tmp_path: Path) -> None:
    """TTIN makes gunicorn's master start one worker more; its workers would stop of it, being no terminal's."""
    count = "[pgrep, -fc, gunicorn/run.py]"
    scenario = write(
        tmp_path,
        [
            f"{{name: before, exec: {{node: server, command: {count}}}}}",
            "{name: more, signal: {node: server, signal: TTIN}}",
            "{name: forked, wait: 500ms}",
            f"{{name: after, exec: {{node: server, command: {count}}}}}",
            f"{{name: load, request: {GET}}}",
        ],
        ["{that: it serves, client: {statuses: {200: 1}}}"],
        kind="gunicorn",
    )
    runs = tmp_path / "runs"
    passed(simctl("run", scenario, "-r", "netns", "-o", runs, "--format", "json", "--allow-exec"))
    (run,) = runs.iterdir()
    before, after = ((run / "logs" / f"exec-{step}-server.txt").read_text() for step in ("before", "after"))
    assert int(after) == int(before) + 1
    assert befell(runs, "server")[2:] == ["exec", "signal TTIN", "exec"]


RELOADS = ["nginx", "gunicorn", "apache", "caddy"]


@pytest.mark.netns
@pytest.mark.parametrize(
    ("step", "befallen"),
    [
        ("signal: {node: server, signal: HUP}", []),
        ("reload: server", []),
        ("pause: server", []),
        ("resume: server", []),
        ("stop: server", []),
        ("kill: server", []),
        ("restart: server", ["started again", "ready"]),
    ],
)
def test_a_program_that_has_ended_is_sent_nothing_and_that_is_told(
    simctl: Simctl, tmp_path: Path, step: str, befallen: list[str]
) -> None:
    """A signal that ends it is no surprise; what comes after it finds nobody."""
    steps = [
        "{name: told, signal: {node: server, signal: TERM}}",
        "{name: gone, wait: 1s}",
        f"{{name: late, {step}}}",
    ]
    path = write(tmp_path, steps, ["{that: nobody called, at: late.end, server: {connections: 0}}"], kind="nginx")
    passed(simctl("run", path, "--runtime", "netns", "--output", tmp_path / "runs", "--format", "json"))
    after = befell(tmp_path / "runs", "server")
    assert [what for what in after[after.index("signal TERM") + 1 :] if what != "ended"] == befallen
    said = ["the step late did nothing to server: its program had ended before (exit status 0)"] if not befallen else []
    assert notes(tmp_path / "runs") == said


@pytest.mark.netns
def test_a_client_that_has_ended_makes_no_request_and_that_is_told(simctl: Simctl, tmp_path: Path) -> None:
    steps = [
        "{name: told, signal: {node: client, signal: TERM}}",
        "{name: gone, wait: 1s}",
        f"{{name: late, request: {GET}}}",
    ]
    path = write(tmp_path, steps, ["{that: nobody called, at: late.end, server: {connections: 0}}"])
    passed(simctl("run", path, "--runtime", "netns", "--output", tmp_path / "runs", "--format", "json"))
    (note,) = notes(tmp_path / "runs")
    assert note.startswith("the step late did nothing to client: its program had ended before (")


@pytest.mark.netns
def test_a_client_that_ended_by_surprise_is_a_failure(simctl: Simctl, tmp_path: Path) -> None:
    kill = (
        "import os, signal; found = (int(name) for name in os.listdir('/proc') if name.isdigit()); "
        "[os.kill(pid, signal.SIGKILL) for pid in found if pid not in (1, os.getpid())]"
    )
    steps = [
        f"{{name: killed, exec: {{node: client, command: [python3, -c, {json.dumps(kill)}], may_fail: true}}}}",
        "{name: gone, wait: 500ms}",
        f"{{name: late, request: {GET}}}",
    ]
    path = write(tmp_path, steps, ["{that: nobody called, at: late.end, server: {connections: 0}}"])
    done = simctl("run", path, "--runtime", "netns", "--allow-exec", "--output", tmp_path / "runs")
    assert done.returncode == 3, done.stdout
    assert "node client ended" in done.stderr


@pytest.mark.netns
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.kinds(kind)) for kind in RELOADS])
def test_a_reload_changes_a_knob_of_a_program_that_runs(simctl: Simctl, tmp_path: Path, kind: str) -> None:
    scenario = write(
        tmp_path,
        [
            "{name: shorter, reload: {node: server, set: {KEEPALIVE_TIMEOUT: 1s}}}",
            "{name: told, wait: 2s}",
            f"{{name: load, request: {POOLED}}}",
            "{name: idle, wait: 4s}",
        ],
        ["{that: the new timeout counts, over: load.start .. idle.end, server: {first_fin: 1}, client: {errors: 0}}"],
        kind=kind,
        knobs="{KEEPALIVE_TIMEOUT: 60s}",
    )
    runs = tmp_path / "runs"
    passed(simctl("run", scenario, "-r", "netns", "-o", runs, "--format", "json"))
    assert "ended" not in befell(runs, "server")
    exact(simctl, runs)


@pytest.mark.netns
@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        pytest.param("gunicorn", False, marks=pytest.mark.kinds("gunicorn")),
        pytest.param("uvicorn", True, marks=pytest.mark.kinds("uvicorn")),
    ],
)
def test_a_worker_ends_after_its_requests(simctl: Simctl, tmp_path: Path, kind: str, ends: bool) -> None:
    """gunicorn's master starts another one; uvicorn alone is its own worker, and what has ended a restart brings
    back."""
    scenario = write(
        tmp_path,
        [
            f"{{name: load, request: {POOLED[:-1]}, count: 2}}}}",
            "{name: recycled, wait: 4s}",  # gunicorn looks once a second whether a worker is due
            "{name: back, restart: server}" if ends else "{name: back, wait: 10ms}",
            f"{{name: again, request: {GET}}}",
            "{name: rest, wait: 1s}",
        ],
        [
            "{that: it closes first, over: load.start .. recycled.end, server: {first_fin: 1}, client: {errors: 0}}",
            "{that: somebody serves again, over: again.start .. again.end, client: {statuses: {200: 1}}}",
        ],
        kind=kind,
        knobs="{MAX_REQUESTS: 2, KEEPALIVE_TIMEOUT: 60s}",
    )
    runs = tmp_path / "runs"
    passed(simctl("run", scenario, "-r", "netns", "-o", runs, "--format", "json"))
    assert ("exited" in befell(runs, "server")) == ends


@pytest.mark.netns
def test_a_command_in_a_node(simctl: Simctl, tmp_path: Path) -> None:
    """A child that it leaves does not hold the step; the status is what was asked for; a stopped node can be seen."""
    scenario = write(
        tmp_path,
        [
            '{name: child, exec: {node: server, command: [sh, -c, "(sleep 60; echo late) & echo said; exit 4"], '
            "timeout: 20s, expect_status: 4}}",
            '{name: any, exec: {node: server, command: [sh, -c, "kill -9 $$"], may_fail: true}}',
            "{name: leave, stop: server}",
            "{name: look, exec: {node: server, command: [ss, -tan]}}",
        ],
        ["{that: it is gone, at: end, server: {LISTEN: 0}}"],
    )
    runs = tmp_path / "runs"
    passed(simctl("run", scenario, "-r", "netns", "-o", runs, "--format", "json", "--allow-exec"))
    (run,) = runs.iterdir()
    assert (run / "logs" / "exec-child-server.txt").read_text() == "said\n"
    moments = {event["name"]: event["t"] for event in events_of(runs) if event["ev"] == "moment"}
    assert moments["child.end"] - moments["child.start"] < 20, "its child sleeps for a minute"
    statuses = [event["detail"]["status"] for event in events_of(runs) if event.get("what") == "exec"]
    assert statuses == [4, -9, 0]
    wrong = write(
        tmp_path,
        ["exec: {node: server, command: [sh, -c, exit 3], expect_status: 4}"],
        ["{that: x, server: {LISTEN: 1}}"],
    )
    done = simctl("run", wrong, "-r", "netns", "--allow-exec")
    assert done.returncode == 3
    assert "sh in server ended with status 3, not with 4" in done.stderr


@pytest.mark.parametrize(
    ("step", "column", "says", "hint"),
    [
        ("start: server", 12, "server runs: no earlier step ended its program", "`restart`"),
        ("start: sever", 12, "no node is called sever", "did you mean server?"),
        ("start: 5", 12, "expected the name of a node, or a mapping with `node`, not the number 5", ""),
        ("restart: {node: server, set: {LEEK: 1}}", 35, "the kind origin has no knob LEEK", "did you mean LEAK?"),
        ("restart: {node: server, set: {LEAK: 7}}", 41, "LEAK of the kind origin: expected true or false, not 7", ""),
        ('start: {node: server, set: {LEAK: "a\\0b"}}', 39, "contains a NUL", ""),
        ("restart: {node: server, grace: 0s}", 36, "must be above 0", ""),
        ("restart: {node: server, may_fail: 1}", 39, "expected true or false, not the number 1", ""),
        ("stop: {node: server, grac: 5s}", 26, "unknown key grac in stop", "did you mean grace?"),
        ("stop: {grace: 5s}", 5, "`node` is missing in stop", ""),
        ("signal: {node: server, signal: KILL}", 36, "SIGKILL is the step `kill`", ""),
        ("signal: {node: server, signal: USR3}", 36, "is no signal that a step sends: did you mean USR", ""),
        ("signal: server", 13, "expected a mapping", ""),
        (
            "reload: server",
            13,
            "server is of the kind origin, which has no reload",
            "apache, caddy, gunicorn, haproxy, nat, nginx, php-fpm",
        ),
        ("exec: {node: server, command: [ls], expect_status: 300}", 56, "must be at most 255", ""),
        ("exec: {node: server, command: [ls], may_fail: true, expect_status: 1}", 41, "leave one of them out", ""),
    ],
)
def test_what_is_wrong_is_one_message_with_its_place(
    tmp_path: Path, step: str, column: int, says: str, hint: str
) -> None:
    scenario = write(tmp_path, [step], ["{that: x, server: {LISTEN: 1}}"])
    with pytest.raises(InputError) as told:
        prepare(scenario, Options())
    assert len(told.value.problems) == 1
    assert str(told.value.place) == f"{scenario}:4:{column}"
    assert says in told.value.message
    assert hint in (told.value.hint or "")


def test_nothing_starts(simctl: Simctl, tmp_path: Path) -> None:
    scenario = write(tmp_path, ["signal: {node: server, signal: KILL}"], ["{that: x, server: {LISTEN: 1}}"])
    done = simctl("run", scenario, "-r", "netns", "-o", tmp_path / "runs")
    assert done.returncode == 2
    assert done.stderr == f"simctl: {scenario}:4:36: `signal`: SIGKILL is the step `kill`\n"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("kind", "knobs", "values", "says"),
    [
        ("haproxy", "{UPSTREAM: 'client:80'}", "{}", "a haproxy does with MASTER: true only"),
        ("nginx", "{}", "{HTTP_PORT: 81}", "a reload of nginx does not change HTTP_PORT: it takes a restart"),
        ("nginx", "{}", "{KEEPALIVE: 1s}", "the kind nginx has no knob KEEPALIVE"),
        ("nginx", "{}", "{KEEPALIVE_TIMEOUT: 1}", "KEEPALIVE_TIMEOUT of the kind nginx: expected a duration"),
    ],
)
def test_a_reload_that_the_kind_cannot_do(tmp_path: Path, kind: str, knobs: str, values: str, says: str) -> None:
    step = f"reload: {{node: server, set: {values}}}"
    scenario = write(tmp_path, [step], ["{that: x, server: {LISTEN: 1}}"], kind=kind, knobs=knobs)
    with pytest.raises(InputError) as told:
        prepare(scenario, Options())
    assert says in told.value.message
    assert str(told.value.place).startswith(f"{scenario}:4:")


def test_a_foreign_image_cannot_be_started_again(simctl: Simctl, tmp_path: Path) -> None:
    scenario = write(tmp_path, ["kill: server", "start: server"], ["{that: x, server: {LISTEN: 0}}"])
    lab = tmp_path / "lab.yaml"
    lab.write_text(lab.read_text().replace("simctl/origin", "busybox"))
    done = simctl("validate", scenario)
    assert done.returncode == 2
    assert "scenario.yaml:5:12: server is an image of its own" in done.stderr
    assert "a node kind (`image: simctl/KIND`) can" in done.stderr
