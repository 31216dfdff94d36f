"""Standing labs: `simctl up`, `ps`, `ss`, `exec`, `down`, `clean`, each by the real command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.system import resources
from orchestrator.system.linux import descendants
from tests.conftest import Simctl
from tests.support.components import require
from tests.support.refusals import assert_refused

CLIENT_SERVER = resources.COMPOSE / "client-server.yaml"
PATIENCE = 20.0
ASK = "import urllib.request; print(urllib.request.urlopen('http://server:8080/', timeout=10).status)"


@pytest.fixture
def lab(simctl: Simctl, tmp_path: Path) -> Iterator[Simctl]:
    """The command with records of its own: labs of other people on this machine are neither seen nor touched."""

    def run(*arguments: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        environment = {"SIMCTL_STATE": str(tmp_path / "s"), **more.pop("env", {})}
        return simctl(*arguments, env=environment, **more)

    yield run
    run("down", "--all")


@pytest.fixture
def up(lab: Simctl) -> Callable[..., str]:
    """Brings the bundled topology up; returns what was printed."""

    def bring(*arguments: str | Path) -> str:
        done = lab("up", CLIENT_SERVER, "-r", "netns", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return bring


def record(tmp_path: Path, name: str = "client-server") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "s" / "labs" / name / "lab.json").read_text())
    return found


def folders(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "s" / "labs").iterdir())


def command_line(pid: int) -> str:
    """Empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def await_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE
    while living := [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, f"left behind: {living}"
        time.sleep(0.02)


# -- the way through -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "runtime", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("netns", "docker")]
)
def test_from_up_to_down(lab: Simctl, tmp_path: Path, runtime: str) -> None:
    up = lab("up", CLIENT_SERVER, "-r", runtime)
    assert up.returncode == 0, up.stderr
    addresses = dict(re.findall(r"^(client|server) +\S+ +(198\.18\.\S+)$", up.stdout, re.MULTILINE))
    assert set(addresses) == {"client", "server"}
    assert "simctl down client-server" in up.stdout

    ps = lab("ps")
    assert ps.stdout.startswith(f"client-server  ({runtime}, {CLIENT_SERVER})")
    assert re.search(rf"^  server +origin +{addresses['server']} +pid \d+ +up$", ps.stdout, re.MULTILINE)

    hosts = lab("exec", "client", "cat", "/etc/hosts")
    assert f"{addresses['server']} server" in hosts.stdout
    # A proxy of the user's must not come between: nothing would listen there.
    asked = lab("exec", "client", "--", "python3", "-c", ASK, env={"http_proxy": "http://127.0.0.1:9"})
    assert (asked.returncode, asked.stdout) == (0, "200\n"), asked.stderr

    ss = lab("ss", "server")
    assert re.search(r"^LISTEN .*:8080 .*users:\(\(\"python[\d.]*\",pid=\d+", ss.stdout, re.MULTILINE)
    # urllib asks for `Connection: close`, so the server closes first, and what stays there has no owner any more.
    netstat = lab("ss", "server", "--netstat")
    left = rf"{addresses['server']}:8080 +{addresses['client']}:\d+ +TIME_WAIT +- *$"
    assert re.search(left, netstat.stdout, re.MULTILINE), netstat.stdout

    daemon = record(tmp_path)["daemon_pid"]
    family = [daemon, *descendants(daemon)]
    down = lab("down")
    assert (down.returncode, down.stdout) == (0, "lab client-server is down\n")
    await_gone(family)
    assert lab("ps").stdout == "no lab is up\n"
    assert not folders(tmp_path)


@pytest.mark.netns
def test_the_status_of_a_command_is_its_own(lab: Simctl, up: Callable[..., str]) -> None:
    up()
    assert lab("exec", "client", "sh", "-c", "exit 7").returncode == 7
    assert lab("exec", "client", "sh", "-c", "kill -9 $$").returncode == 137
    missing = lab("exec", "client", "no-such-program")
    assert missing.returncode == 127
    assert "no-such-program" in missing.stderr
    assert lab("exec", "client", "cat", input="through standard input").stdout == "through standard input"


@pytest.mark.netns
def test_a_node_that_ended_is_shown_as_ended(lab: Simctl, up: Callable[..., str], tmp_path: Path) -> None:
    up()
    init = record(tmp_path)["nodes"]["server"]["pid"]
    os.kill(descendants(init)[0], signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while "ended: killed by SIGKILL" not in (shown := lab("ps").stdout):
        assert time.monotonic() < deadline, shown
    assert re.search(r"^  client .* up$", shown, re.MULTILINE)
    assert "LISTEN" not in lab("ss", "server").stdout


# -- several labs ----------------------------------------------------------------------------------------------------


@pytest.mark.netns
def test_two_labs_at_a_time(lab: Simctl, up: Callable[..., str]) -> None:
    first, second = up(), up()
    assert "lab client-server is up" in first
    assert "lab client-server-2 is up" in second
    addresses = re.findall(r"198\.18\.\S+", first + second)
    assert len(addresses) == len(set(addresses)) == 4

    for arguments in (("ss", "server"), ("exec", "client", "true"), ("down",)):
        done = lab(*arguments)
        assert_refused(done, 2)
        assert "several labs are up" in done.stderr
        assert "client-server, client-server-2" in done.stderr
    assert lab("ss", "server", "--lab", "client-server-2").returncode == 0
    assert lab("exec", "--lab", "client-server", "client", "true").returncode == 0
    assert lab("down", "client-server").returncode == 0
    assert lab("ss", "server").returncode == 0, "one is left, so it need not be named"
    assert lab("down", "--all").stdout == "lab client-server-2 is down\n"


@pytest.mark.netns
def test_a_name_that_is_taken(lab: Simctl, up: Callable[..., str], tmp_path: Path) -> None:
    assert "lab mine is up" in up("--name", "mine")
    clash = lab("up", CLIENT_SERVER, "-r", "netns", "--name", "mine")
    assert_refused(clash, 2)
    assert "a lab named 'mine' is up already" in clash.stderr
    assert folders(tmp_path) == ["mine"]
    assert lab("ss", "server").returncode == 0, "the first is as it was"


@pytest.mark.netns
def test_names_that_are_wrong(lab: Simctl, up: Callable[..., str]) -> None:
    up()
    for arguments, hint in [
        (("ss", "servr"), "did you mean server?"),
        (("exec", "clint", "true"), "did you mean client?"),
        (("ss", "x"), "its nodes: client, server"),
        (("ss", "server", "--lab", "client-servr"), "did you mean client-server?"),
        (("down", "x"), "up are: client-server"),
    ]:
        done = lab(*arguments)
        assert_refused(done, 2)
        assert hint in done.stderr


def test_verbs_without_a_lab(lab: Simctl) -> None:
    for arguments in (("ss", "server"), ("exec", "client", "true"), ("down",)):
        done = lab(*arguments)
        assert_refused(done, 2)
        assert "no lab is up" in done.stderr
        assert "simctl up" in done.stderr


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.netns
def test_a_daemon_that_is_killed_takes_its_nodes_along(lab: Simctl, up: Callable[..., str], tmp_path: Path) -> None:
    up()
    daemon = record(tmp_path)["daemon_pid"]
    family = descendants(daemon)
    assert len(family) >= 6, "probe, spawner, and for each node a supervisor, init and the program"
    os.kill(daemon, signal.SIGKILL)
    await_gone([daemon, *family])
    ps = lab("ps")
    assert (ps.returncode, ps.stdout) == (0, "no lab is up\n")
    assert "lab client-server is gone" in ps.stderr
    clean = lab("clean")
    assert "removed record of lab client-server" in clean.stdout
    assert not folders(tmp_path)
    assert lab("ps").stderr == ""


@pytest.mark.netns
def test_a_node_that_dies_at_start(lab: Simctl, tmp_path: Path) -> None:
    topology = tmp_path / "dies.yaml"
    topology.write_text("services: {server: {image: simctl/origin, command: [--bogus]}}\n")
    done = lab("up", topology, "-r", "netns")
    assert_refused(done, 3)
    assert "node server died at start (exit status 2)" in done.stderr
    assert "  | origin: unknown argument '--bogus'" in done.stderr
    assert not folders(tmp_path)


def test_a_knob_that_cannot_have_its_value_is_refused_before(lab: Simctl, tmp_path: Path) -> None:
    done = lab("up", CLIENT_SERVER, "-r", "netns", "--set", "KEEPALIVE_TIMEOUT=nonsense")
    assert_refused(done, 2)
    assert "KEEPALIVE_TIMEOUT of the kind origin: expected a duration" in done.stderr
    assert lab("ps").stdout == "no lab is up\n"


@pytest.mark.netns
def test_all_that_is_wrong_with_a_topology_is_told(lab: Simctl, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "services:\n  client: {image: simctl/request, networks: [lab]}\n  server: {imag: simctl/origin}\n"
        "networks: {lab: {internal: true}}\n"
    )
    done = lab("up", "bad.yaml", "-r", "netns")
    assert done.returncode == 2
    assert "simctl: bad.yaml:2:19: unknown node kind 'request'" in done.stderr
    assert "simctl: bad.yaml:3:12: unknown key imag" in done.stderr
    scenario = lab("up", resources.SCENARIOS / "idle-close.yaml")
    assert_refused(scenario, 2)
    assert "is a scenario" in scenario.stderr


@pytest.mark.netns
def test_up_that_is_interrupted(lab: Simctl, tmp_path: Path) -> None:
    """Ctrl-C while the nodes come up: here they never would, since the server never listens."""
    (tmp_path / "compose.yaml").write_text(
        CLIENT_SERVER.read_text().replace(
            "networks: [lab]\n\n  server:", "networks: [lab]\n\n  server:\n    entrypoint: [sleep, infinity]"
        )
    )
    argv = [sys.executable, "-m", "orchestrator", "up", "compose.yaml", "-r", "netns", "--allow-exec"]
    environment = {**os.environ, "SIMCTL_STATE": str(tmp_path / "s")}
    with subprocess.Popen(
        argv, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "runtime netns" in process.stderr.readline()
        deadline = time.monotonic() + PATIENCE
        while not any("sleep" in command_line(pid) for pid in descendants(process.pid)):
            assert time.monotonic() < deadline, "its program never started"
        family = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "Traceback" not in stderr
    await_gone(family)
    assert not folders(tmp_path)


def test_a_folder_for_records_that_is_not_ours(simctl: Simctl, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = simctl("ps", env={"SIMCTL_STATE": str(tmp_path / "file")})
    assert_refused(done, 3)
    assert "SIMCTL_STATE" in done.stderr
    require("root")
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 4242, 4242)
    done = simctl("ps", env={"SIMCTL_STATE": str(tmp_path / "theirs")})
    assert_refused(done, 3)
    assert "belongs to another user" in done.stderr


# -- as an ordinary user ---------------------------------------------------------------------------------------------


@pytest.mark.netns
def test_rootless(tmp_path: Path) -> None:
    """Uid 1000 without any capability, in a user namespace as `unshare` makes it; all verbs in one, as one user."""
    command = f"{sys.executable} -m orchestrator"
    script = f"""
        set -e
        trap '{command} down --all' EXIT
        {command} up {CLIENT_SERVER} -r netns
        {command} ps
        {command} exec client python3 -c "{ASK}"
        {command} ss server
        {command} down
        {command} ps
    """
    done = subprocess.run(
        ["unshare", "--user", "--map-user=1000", "--map-group=1000", "sh", "-c", script],
        cwd=tmp_path, env={**os.environ, "SIMCTL_STATE": str(tmp_path / "s")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"^client +requests +198\.18\.", done.stdout, re.MULTILINE)
    assert "client-server  (netns, " in done.stdout
    assert "\n200\n" in done.stdout
    assert re.search(r"^LISTEN .*:8080 ", done.stdout, re.MULTILINE)
    assert "lab client-server is down\nno lab is up\n" in done.stdout
