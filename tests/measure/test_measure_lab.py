"""`simctl measure idle` of a node of a standing lab: from inside of another node, by every way to get there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import InputError
from orchestrator.lab.standing import registry
from orchestrator.lab.standing.registry import LabRecord
from orchestrator.measure.target import Address, NodeName, take_aim
from orchestrator.system.linux import descendants, process_start_time
from tests.conftest import Simctl
from tests.support.refusals import assert_refused

PATIENCE = 30.0
OPTIONS = ("--samples", "2", "--requests", "3", "--json", "-q")
ROLES = {"requests": "client", "origin": "server", "host": "host"}


@pytest.fixture
def lab(simctl: Simctl, tmp_path: Path) -> Iterator[Simctl]:
    """The command with standing labs of its own."""

    def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        environment = {"SIMCTL_STATE": str(tmp_path / "s"), **more.pop("env", {})}
        return simctl(*arguments, env=environment, **more)

    yield run
    run("down", "--all")


def up(lab: Simctl, *arguments: str, env: Mapping[str, str] | None = None) -> None:
    done = lab("up", "client-server", "-q", *arguments, env=env or {}, timeout=90)
    assert done.returncode == 0, done.stderr


def record(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "s" / "labs" / "client-server" / "lab.json").read_text())
    return found


# -- the way through -------------------------------------------------------------------------------------------------


@pytest.mark.netns
def test_a_server_is_measured_from_the_client(lab: Simctl) -> None:
    up(lab, "-r", "netns", "--set", "KEEPALIVE_TIMEOUT=1s", "--set", "CLOSE_HOW=half-close")
    done = lab("measure", "idle", "client-server/server", "--configured", "1s", *OPTIONS)
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    assert (told["target"], told["from"]) == ("http://server:8080/", "client of lab client-server")
    assert (told["idle"]["ways"], told["reactions"]) == ({"fin": 2}, {"nothing": 2})
    # A node name in a URL is one of the lab that --from names.
    done = lab("measure", "idle", "http://server:8080/bytes/9", "--from", "client-server/client", *OPTIONS)
    assert json.loads(done.stdout)["target"] == "http://server:8080/bytes/9", done.stderr
    done = lab("measure", "idle", "http://server:81/", "--from", "client")
    assert done.returncode == 3
    assert "port 81: Connection refused\n  hint: another port or path: http://server:PORT/path" in done.stderr


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.images("origin", "requests", "probe")
@pytest.mark.timeout(200)
@pytest.mark.parametrize("probe", ["process", "container"])
def test_a_container_is_measured_from_another(lab: Simctl, probe: str) -> None:
    """As root by its namespaces; where simctl may not enter them, by the engine."""
    up(lab, "-r", "docker", "--set", "KEEPALIVE_TIMEOUT=1s", env={"SIMCTL_PROBE": probe})
    done = lab("measure", "idle", "server", "--configured", "1s", *OPTIONS)
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["reactions"] == {"rst": 2}
    refused = lab("measure", "idle", "http://server:81/", "--from", "client", "-q")
    assert_refused(refused, 3)
    assert "Connection refused" in refused.stderr


@pytest.mark.slow
@pytest.mark.netns
def test_rootless(tmp_path: Path) -> None:
    """As an ordinary user, in a user namespace of the lab's."""
    script = (
        f"set -e; S='{sys.executable} -m orchestrator'; "
        "$S up client-server -r netns -q --set KEEPALIVE_TIMEOUT=500ms >&2; "
        "$S measure idle server --requests 2 --samples 1 --json -q; $S down >&2"
    )
    argv = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "sh", "-c", script]
    environment = {**os.environ, "SIMCTL_STATE": str(tmp_path / "s")}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["idle"]["ways"] == {"fin": 1}


# -- its end ---------------------------------------------------------------------------------------------------------


@contextmanager
def measuring(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A measurement whose connections are silent now, and will be."""
    argv = [sys.executable, "-m", "orchestrator", "measure", "idle", "server", "--requests", "2", "--samples", "1"]
    environment = {**os.environ, "SIMCTL_STATE": str(tmp_path / "s")}
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "silent now" in line:
                    break
            yield process
        finally:
            process.kill()


@pytest.mark.netns
def test_nothing_stays_when_it_is_killed_and_it_ends_with_the_lab(lab: Simctl, tmp_path: Path) -> None:
    up(lab, "-r", "netns", "--set", "KEEPALIVE_TIMEOUT=1h")
    client = record(tmp_path)["nodes"]["client"]["pid"]
    before = descendants(client)
    with measuring(tmp_path) as process:
        left = descendants(process.pid)
        assert len(left) == 2, "nsenter and the prober"
        shown = lab("ss", "client").stdout
        assert shown.count("ESTAB") == 2, shown
        process.kill()
        await_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
    assert descendants(client) == before

    with measuring(tmp_path) as process:
        assert lab("down").returncode == 0
        assert process.wait(PATIENCE) == 3
        assert process.stderr is not None
        assert "the program that measures ended early" in process.stderr.read()


def await_true(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- who measures ----------------------------------------------------------------------------------------------------


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two labs on record, kept by this process: `shop` and `lone`."""
    monkeypatch.setenv(registry.STATE, str(tmp_path))
    labs = {
        "shop": {"db": "other/image", "web-1": "origin", "web-2": "origin", "tools": "host", "user": "requests"},
        "lone": {"web": "origin"},
    }
    for number, (name, nodes) in enumerate(labs.items()):
        folder = registry.reserve(name, exact=True)
        facts = {
            node: {"pid": 1, "kind": kind, "addresses": [f"198.18.{number}.{place}"]}
            for place, (node, kind) in enumerate(nodes.items(), 2)
        }
        start = process_start_time(os.getpid()) or 0
        registry.save(LabRecord(name, "t.yaml", "netns", os.getpid(), start, str(folder), facts))


def test_a_client_measures_where_nothing_is_said(known: None) -> None:
    aim = take_aim(NodeName("shop", "web-1"), None, ROLES)
    assert aim.standpoint is not None
    assert (aim.standpoint.node, aim.hosts, aim.address) == ("user", ("198.18.0.3",), Address("web-1", 8080))
    from_user = take_aim(NodeName("shop", "user"), None, ROLES)
    assert from_user.standpoint is not None
    assert from_user.standpoint.node == "tools", "a host, because the only client is the target"


def test_the_node_that_is_named_measures(known: None) -> None:
    aim = take_aim(NodeName("shop", "web-1"), NodeName(None, "web-2"), ROLES)
    assert aim.place == "web-2 of lab shop"
    by_address = take_aim(Address("web-1", 81, "/x"), NodeName("shop", "web-2"), ROLES)
    assert (by_address.hosts, by_address.address.host_field) == (("198.18.0.3",), "web-1:81")
    outside = take_aim(Address("198.18.0.99", 81), NodeName("shop", "web-2"), ROLES)
    assert outside.hosts == ("198.18.0.99",)


@pytest.mark.parametrize(
    ("target", "from_", "words"),
    [
        (NodeName("shop", "web-1"), NodeName(None, "web-1"), "a node cannot measure itself"),
        (Address("198.18.0.3", 80), NodeName("shop", "web-1"), "a node cannot measure itself"),
        (Address("127.0.0.1", 80), NodeName("shop", "web-1"), "a node cannot measure itself"),
        (NodeName("lone", "web"), None, "lab lone has no other node to measure web from"),
        (NodeName("lone", "web"), NodeName("shop", "user"), "closed to nodes of shop"),
        (NodeName("shop", "web"), None, "has no node 'web'"),
        (NodeName(None, "web"), None, "several labs are up"),
        (Address("web-1", 80), NodeName("shop", "usr"), "has no node 'usr'"),
    ],
)
def test_who_cannot_measure(known: None, target: Address | NodeName, from_: NodeName | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        take_aim(target, from_, ROLES)
