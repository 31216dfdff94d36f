"""The docker runtime on a real engine: containers up, talked to, signalled, and gone, however simctl ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.bounds import OOM_SCORE
from orchestrator.engine import client as dockerengine
from orchestrator.errors import EnvironmentFailure, NodeFailure, Place
from orchestrator.observe.client import ProbeClient
from orchestrator.runtimes.base import Exited, NodePlan
from orchestrator.runtimes.docker import containers as dockercontainers
from orchestrator.runtimes.docker import images
from orchestrator.runtimes.docker import pids as dockerpids
from orchestrator.runtimes.docker.runtime import DockerRuntime
from orchestrator.system import resources
from orchestrator.system.linux import descendants
from orchestrator.topology.model import Healthcheck, Node, Volume

if TYPE_CHECKING:
    from docker import APIClient

pytestmark = [pytest.mark.docker, pytest.mark.images("host"), pytest.mark.timeout(300)]

_PATIENCE = 30.0

_ECHO = """\
import sys
print('{"ev": "ready"}', sys.argv[1:], flush=True)
print("a line of the log", file=sys.stderr, flush=True)
for line in sys.stdin:
    print("heard", line.strip(), flush=True)
"""

# A simctl of its own, to be killed. Arguments: a folder for logs, a run, kind=reference ..., how many nodes.
_STARTER = """\
import json, sys, time
from pathlib import Path
from orchestrator.errors import Place
from orchestrator.engine import client as dockerengine
from orchestrator.runtimes.base import NodePlan
from orchestrator.runtimes.docker.runtime import DockerRuntime
from orchestrator.topology.model import Node

folder, run, images, count = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
kind = next(iter(images))
runtime = DockerRuntime(dockerengine.connect(), images, run=run)
plans = [
    NodePlan(Node(f"n{n}", f"n{n}", f"simctl/{kind}", kind, Place("x")), (), {}, folder / f"n{n}.log")
    for n in range(count)
]
try:
    print("begin", flush=True)
    nodes = runtime.start(plans)
    for node in nodes.values():
        node.stdin.write(b"go\\n")
    for node in nodes.values():
        node.stdout.readline()
    print("up", flush=True)
    time.sleep(600)
finally:
    runtime.stop()
"""


@pytest.fixture(scope="module")
def client() -> APIClient:
    return dockerengine.connect()


@pytest.fixture(scope="module")
def kind(client: APIClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A node kind for these tests alone, and its image: says `ready` and its arguments, then what it hears."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    nodes = tmp_path_factory.mktemp("nodes")
    shutil.copytree(resources.NODES / "base", nodes / "base")
    (nodes / name).mkdir()
    (nodes / name / "echo.py").write_text(_ECHO)
    (nodes / name / "Dockerfile").write_text(
        "ARG BASE=simctl/base\nFROM ${BASE}\nCOPY echo.py /echo.py\n"
        'ENTRYPOINT ["python3", "/simctl/base/init.py", "python3", "/echo.py"]\n'
    )
    yield images.ensure_images([name], progress=print, client=client, nodes=nodes)
    for reference in (images.references([name], nodes=nodes)[name], f"simctl/{name}:latest"):
        client.remove_image(reference, force=True)


@pytest.fixture
def runtime(client: APIClient, kind: Mapping[str, str]) -> Iterator[DockerRuntime]:
    run = new_run()
    runtime = DockerRuntime(client, kind, run=run)
    try:
        yield runtime
    finally:
        runtime.stop()
    assert containers(client, run) == []


def new_run() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


def containers(client: APIClient, run: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.containers(all=True, filters={"label": f"{dockercontainers.RUN_LABEL}={run}"})
    return found


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {_PATIENCE:g} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def plan(kind: Mapping[str, str], tmp_path: Path) -> Callable[..., NodePlan]:
    def plan(name: str, *, foreign: str | None = None, hosts: Mapping[str, str] | None = None, **node: Any) -> NodePlan:
        of = next(iter(kind))
        place = Place("lab.yaml", 3, 5)
        described = Node(name, name, foreign or f"simctl/{of}", None if foreign else of, place, **node)
        return NodePlan(described, (), hosts or {}, tmp_path / f"{name}.log")

    return plan


@pytest.fixture
def base() -> str:
    """An image that the engine has, taken for one that simctl knows nothing about."""
    return images.base_image().reference


# -- up, streams, exec -----------------------------------------------------------------------------------------------


def test_three_nodes_speak_and_listen(runtime: DockerRuntime, plan: Callable[..., NodePlan], tmp_path: Path) -> None:
    nodes = runtime.start([plan(name, command=("--flag", name)) for name in ("a", "b", "c")])
    assert set(nodes) == {"a", "b", "c"}
    for name, node in nodes.items():
        assert dict(node.detail)["image"].startswith("simctl/test-")
        node.stdin.write(b"go\n")
        assert node.stdout.readline() == f"{{\"ev\": \"ready\"}} ['--flag', '{name}']\n".encode()
        node.stdin.write(b"one\ntwo\n")
        assert node.stdout.readline() == b"heard one\n"
        assert node.stdout.readline() == b"heard two\n"
        assert runtime.exited(name) is None
        assert runtime.healthy(name)
        until((tmp_path / f"{name}.log").read_bytes, "a log")
        assert (tmp_path / f"{name}.log").read_bytes() == b"a line of the log\n"


def test_the_program_waits_for_go(runtime: DockerRuntime, plan: Callable[..., NodePlan], tmp_path: Path) -> None:
    node = runtime.start([plan("a")])["a"]
    assert descendants(node.pid) == []
    node.stdin.close()
    assert node.stdout.read() == b""
    until(lambda: runtime.exited("a"), "the end of a node that was never let go")
    assert (tmp_path / "a.log").read_bytes() == b""


def test_what_a_container_is_made_with(
    client: APIClient, runtime: DockerRuntime, plan: Callable[..., NodePlan], tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").write_text("from the host\n")
    node = runtime.start(
        [
            plan(
                "a",
                hosts={"server": "198.18.0.2", "server.example": "198.18.0.2"},
                hostname="front",
                environment={"KNOB": "5s"},
                cap_add=("NET_ADMIN",),
                volumes=(Volume(tmp_path / "shared", "/shared", read_only=True),),
            )
        ]
    )["a"]

    def sh(command: str) -> str:
        return runtime.exec("a", ["sh", "-c", command], 30).output.strip()

    assert sh("hostname") == "front"
    assert sh("echo $KNOB") == "5s"
    assert sh("cat /etc/hosts").splitlines() == [
        "127.0.0.1 localhost",
        "198.18.0.2 server",
        "198.18.0.2 server.example",
    ]
    assert sh("getent hosts server").split()[0] == "198.18.0.2"
    assert sh("cat /shared/file") == "from the host"
    assert "Read-only" in sh("echo x >/shared/file")
    assert sh("grep NoNewPrivs /proc/self/status").split() == ["NoNewPrivs:", "1"]
    assert sh("cat /proc/self/oom_score_adj") == str(OOM_SCORE)
    assert int(sh("grep CapEff /proc/self/status").split()[1], 16) >> 12 & 1, "NET_ADMIN"
    assert [line.split(":")[0].strip() for line in sh("cat /proc/net/dev").splitlines()[2:]] == ["lo"]
    assert Path(f"/proc/{node.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()

    settings = client.inspect_container(node.detail["container"])
    assert settings["Config"]["Labels"]["simctl.node"] == "a"
    assert settings["Config"]["Labels"]["simctl.pid"].split()[0] == str(os.getpid())
    assert settings["Config"]["StdinOnce"]
    assert settings["HostConfig"]["AutoRemove"]


def test_exec(runtime: DockerRuntime, plan: Callable[..., NodePlan]) -> None:
    runtime.start([plan("a")])["a"].stdin.write(b"go\n")  # from there on init buries the dead
    done = runtime.exec("a", ["sh", "-c", "echo out; echo err >&2; exit 3"], 30)
    assert (done.status, sorted(done.output.split())) == (3, ["err", "out"])
    assert runtime.exec("a", ["no-such-program"], 30).status in (126, 127)  # by the engine's version
    late = runtime.exec("a", ["sh", "-c", "echo begun; sleep 600"], 1)
    assert late.status == 124
    assert late.output.startswith("begun\n")
    programs = ["sh", "-c", "cat /proc/[0-9]*/comm"]
    until(lambda: "sleep" not in runtime.exec("a", programs, 30).output.split(), "the end of what took too long")


def test_a_process_of_ours_can_be_the_probe(
    runtime: DockerRuntime, plan: Callable[..., NodePlan], tmp_path: Path
) -> None:
    node = runtime.start([plan("a")])["a"]
    process = runtime.start_probe(tmp_path / "probe.log")
    assert process.here
    probe = ProbeClient(process, tmp_path / "probe.log", lambda lines: None)
    try:
        probe.call("start", userns=None, zero=0.0, period=1.0, quiet=None)
        probe.call("wire", networks=[], legs=[], pids={"a": node.pid}, sysctls={})
    finally:
        probe.close()


def test_the_probe_cannot_enter_what_another_machine_runs(
    runtime: DockerRuntime, plan: Callable[..., NodePlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a local socket leads to an engine elsewhere: the pids that it tells are not those of its containers."""
    monkeypatch.setattr(dockerpids, "is_ours", lambda pid, container: False)
    with pytest.raises(EnvironmentFailure, match="are no processes of this machine") as caught:
        runtime.start([plan("a")])
    assert "SIMCTL_PROBE=container" in (caught.value.hint or "")


# -- signals and ends ------------------------------------------------------------------------------------------------


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_program_ends_and_its_namespaces_stay(
    runtime: DockerRuntime, plan: Callable[..., NodePlan], number: signal.Signals
) -> None:
    node = runtime.start([plan("a")])["a"]
    node.stdin.write(b"go\n")
    node.stdout.readline()
    runtime.signal("a", number)
    said = next(json.loads(line) for line in node.stdout if line.startswith(b'{"ev": "exited"'))
    assert said["signal"] == number
    assert runtime.exited("a") is None
    assert runtime.exec("a", ["true"], 30).status == 0
    node.stdin.close()
    node.stdout.read()
    assert runtime.exited("a") is not None


def test_pause_and_resume(runtime: DockerRuntime, plan: Callable[..., NodePlan]) -> None:
    node = runtime.start([plan("a")])["a"]
    node.stdin.write(b"go\n")
    node.stdout.readline()
    (pid,) = descendants(node.pid)
    runtime.signal("a", signal.SIGSTOP)
    until(lambda: state(pid) == "T", "a stopped program")
    assert state(node.pid) != "T"
    node.stdin.write(b"still there?\n")
    runtime.signal("a", signal.SIGCONT)
    assert node.stdout.readline() == b"heard still there?\n"


def test_a_container_that_is_killed_from_outside(
    client: APIClient, runtime: DockerRuntime, plan: Callable[..., NodePlan]
) -> None:
    node = runtime.start([plan("a")])["a"]
    client.kill(node.detail["container"])
    assert node.stdout.read() == b""
    assert runtime.exited("a") == Exited(signal=9)
    runtime.signal("a", signal.SIGTERM)  # to nobody: no error


# -- foreign images --------------------------------------------------------------------------------------------------


def test_a_foreign_image_starts_at_once_and_speaks_to_its_log(
    runtime: DockerRuntime, plan: Callable[..., NodePlan], base: str, tmp_path: Path
) -> None:
    script = "trap 'echo ended; exit 4' TERM; echo out; echo err >&2; while :; do sleep 0.1; done"
    node = runtime.start([plan("x", foreign=base, entrypoint=("sh", "-c"), command=(script,))])["x"]
    until(lambda: set((tmp_path / "x.log").read_text().split()) == {"out", "err"}, "both streams in the log")
    assert runtime.exited("x") is None
    runtime.signal("x", signal.SIGTERM)
    assert node.stdout.read() == b""
    assert runtime.exited("x") == Exited(status=4)
    assert "ended" in (tmp_path / "x.log").read_text()


def test_a_foreign_image_that_dies_at_start_shows_its_last_words(
    runtime: DockerRuntime, plan: Callable[..., NodePlan], base: str
) -> None:
    died = plan("x", foreign=base, entrypoint=("sh", "-c"), command=("echo 'no such upstream' >&2; exit 7",))
    with pytest.raises(NodeFailure, match=r"node x died at start \(exit status 7\)") as caught:
        node = runtime.start([died])["x"]
        node.stdout.read()  # it lived long enough to be seen
        how = runtime.exited("x")
        raise NodeFailure(f"node x died at start ({how})", detail=died.log.read_text().splitlines())
    assert caught.value.detail == ["no such upstream"]


def test_a_health_check_is_the_engines(runtime: DockerRuntime, plan: Callable[..., NodePlan], base: str) -> None:
    check = Healthcheck(("CMD", "test", "-e", "/ready"), interval=0.1, timeout=5, retries=1)
    runtime.start([plan("x", foreign=base, entrypoint=("sleep", "600"), healthcheck=check)])
    assert not runtime.healthy("x")
    runtime.exec("x", ["touch", "/ready"], 30)
    until(lambda: runtime.healthy("x"), "a healthy node")


def test_an_image_that_is_not_there(runtime: DockerRuntime, plan: Callable[..., NodePlan], base: str) -> None:
    with pytest.raises(EnvironmentFailure, match=r"the engine has no image nowhere\.invalid/nothing:1") as caught:
        runtime.start([plan("a"), plan("x", foreign="nowhere.invalid/nothing:1")])
    assert caught.value.hint == "docker pull nowhere.invalid/nothing:1"
    assert str(caught.value.place) == "lab.yaml:3:5"


def test_an_entrypoint_that_cannot_run(runtime: DockerRuntime, plan: Callable[..., NodePlan], base: str) -> None:
    with pytest.raises(EnvironmentFailure, match=r"cannot start the container of node x: .*no-such-program"):
        runtime.start([plan("x", foreign=base, entrypoint=("no-such-program",))])


# -- down ------------------------------------------------------------------------------------------------------------


def test_stop_leaves_nothing_and_may_be_called_again(
    client: APIClient, kind: Mapping[str, str], plan: Callable[..., NodePlan]
) -> None:
    run = new_run()
    DockerRuntime(client, kind, run=run).stop()
    runtime = DockerRuntime(client, kind, run=run)
    nodes = runtime.start([plan(name) for name in "abc"])
    assert len(containers(client, run)) == 3
    runtime.stop()
    assert containers(client, run) == []
    assert [node.stdout.read() for node in nodes.values()] == [b"", b"", b""]
    runtime.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("attach-", "docker-events"))]


def starter(tmp_path: Path, run: str, kind: Mapping[str, str], count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _STARTER, str(tmp_path), run, json.dumps(dict(kind)), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_containers_of_a_killed_simctl_go_by_themselves(
    client: APIClient, kind: Mapping[str, str], tmp_path: Path
) -> None:
    run = new_run()
    with starter(tmp_path, run, kind, 3) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["begin\n", "up\n"]
        assert len(containers(client, run)) == 3
        assert not [one for one in dockercontainers.leftovers(client) if one.run == run]
        process.kill()
    until(lambda: containers(client, run) == [], "containers gone")


@pytest.mark.parametrize("after", [0.0, 0.05, 0.1, 0.2, 0.3, 0.4])
def test_ctrl_c_at_any_moment_of_the_start(
    client: APIClient, kind: Mapping[str, str], tmp_path: Path, after: float
) -> None:
    run = new_run()
    with starter(tmp_path, run, kind, 4) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(after)  # not a wait: the moment is what varies
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=_PATIENCE * 2)
    assert "KeyboardInterrupt" in errors
    assert containers(client, run) == []


@pytest.mark.parametrize("after", [0.05, 0.1, 0.2, 0.3])
def test_what_a_kill_in_the_middle_of_the_start_leaves_is_found(
    client: APIClient, kind: Mapping[str, str], tmp_path: Path, after: float
) -> None:
    run = new_run()
    with starter(tmp_path, run, kind, 4) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(after)  # not a wait: the moment is what varies
        process.kill()

    until(lambda: all(one["State"] == "created" for one in containers(client, run)), "nothing that runs")
    quiet = 0

    def swept() -> bool:
        """The engine may still be at a request of the dead simctl: swept when nothing came for a while."""
        nonlocal quiet
        found = [one for one in dockercontainers.leftovers(client) if one.run == run]
        for one in found:
            dockerengine.remove(client, one.id)
        quiet = 0 if found or containers(client, run) else quiet + 1
        return quiet == 25

    until(swept, "no container")


def test_clean_takes_the_dead_and_leaves_the_living(
    client: APIClient, runtime: DockerRuntime, plan: Callable[..., NodePlan], base: str
) -> None:
    living = runtime.start([plan("a")])["a"]
    run = new_run()
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    labels = dockercontainers.labels(run, "n") | {"simctl.pid": f"{gone.pid} 1"}
    dead = client.create_container(base, ["sleep", "600"], entrypoint=[], labels=labels, network_disabled=True)["Id"]
    client.start(dead)
    assert str(dockercontainers.clean(client)[0]).startswith("container ")
    assert containers(client, run) == []
    assert client.inspect_container(living.detail["container"])["State"]["Running"]
    living.stdin.write(b"go\n")
    assert living.stdout.readline().startswith(b'{"ev": "ready"}')


def test_no_listening_socket_in_a_fresh_node(runtime: DockerRuntime, plan: Callable[..., NodePlan]) -> None:
    """The engine's DNS would show up in every table that simctl measures."""
    runtime.start([plan("a")])
    tables = runtime.exec("a", ["cat", "/proc/net/tcp", "/proc/net/udp"], 30).output
    assert [line for line in tables.splitlines() if ": 0" in line] == []
    assert socket.gethostname() not in runtime.exec("a", ["hostname"], 30).output
