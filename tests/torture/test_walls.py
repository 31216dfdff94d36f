"""What the program of a netns node, which is root where simctl is, can do to this machine: nothing that is not its own.
docs/security.md says the same to people."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import EnvironmentFailure, Place
from orchestrator.kinds.registry import Kind, load_kinds
from orchestrator.runtimes.base import NodePlan
from orchestrator.runtimes.netns.runtime import NetnsRuntime
from orchestrator.topology.model import Node
from tests.conftest import Simctl
from tests.torture.evil import KEY, KEYCTL, MEMORY, USER_KEYRING

EVIL = Path(__file__).with_name("evil.py")
NOTHING: dict[str, list[str]] = {"writes": [], "reads": [], "opens": [], "connects": [], "does": [], "lacks": []}

_libc = ctypes.CDLL(None, use_errno=True)
_IPC_CREAT, _IPC_RMID = 0o1000, 0
_ADD_KEY, _UNLINK = {250: 248, 219: 217}[KEYCTL], 9

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120)]


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A folder of the user's, and a secret in the user's home. Another is in the kernel's keyring."""
    secret = Path.home() / f".simctl-test-secret-{os.getpid()}"
    secret.write_text("secret")
    memory = _libc.shmget(MEMORY, 4096, _IPC_CREAT | 0o666)
    assert memory >= 0
    key = _libc.syscall(_ADD_KEY, b"user", KEY, b"secret", 6, USER_KEYRING)
    assert key >= 0
    try:
        yield tmp_path, secret
    finally:
        secret.unlink()
        _libc.shmctl(memory, _IPC_RMID, None)
        _libc.syscall(KEYCTL, _UNLINK, key, USER_KEYRING)


def tried(log: Path) -> dict[str, Any]:
    line = next(line for line in log.read_text().splitlines() if line.startswith("EVIL "))
    found: dict[str, Any] = json.loads(line.removeprefix("EVIL "))
    return found


def test_a_kind_s_program_that_turns_evil(canary: tuple[Path, Path], as_root: None) -> None:
    """As if a server of a kind had been taken over: no file was trusted."""
    folder, secret = canary
    checkout = Path(__file__).parents[2]
    host = load_kinds()["host"]
    words = (str(folder), str(checkout), str(checkout / "README.md"), f"secret:{secret}")
    evil = Kind.model_construct(**{**dict(host), "entrypoint": (sys.executable, str(EVIL), *words)})
    runtime = NetnsRuntime({"host": evil})
    log = folder / "evil.log"
    node = Node("evil", "evil", "simctl/host", "host", Place("x"))
    try:
        started = runtime.start([NodePlan(node, (), {}, log)])["evil"]
        started.stdin.write(b"go\n")
        said = b""
        while b"EVIL " not in said:
            line = started.stdout.readline()
            assert line, log.read_text()
            said = line
        found = json.loads(said.decode().removeprefix("EVIL "))
        started.stdin.close()
        started.stdout.close()
    finally:
        runtime.stop()
    assert found == NOTHING
    assert not list(Path("/dev/shm").glob("simctl-evil-*"))


def test_a_program_that_the_user_allowed(simctl: Simctl, canary: tuple[Path, Path]) -> None:
    """Homes can be read then, because what is run may lie there. Nothing of the machine can be written all the same,
    but what the file mounts to be written."""
    folder, _ = canary
    (folder / "mine").mkdir()
    (folder / "mine" / "evil.py").write_text(EVIL.read_text())
    (folder / "compose.yaml").write_text(
        "services:\n  evil:\n    image: simctl/host\n"
        f"    entrypoint: [python3, /opt/evil.py, {folder}]\n    volumes: ['./mine:/opt:rw']\n"
        "    networks: [lab]\nnetworks: {lab: {internal: true}}\n"
    )
    (folder / "evil.yaml").write_text("name: evil\ntopology: compose.yaml\nsteps: [{wait: 2s}]\n")
    done = simctl("run", "evil.yaml", "-r", "netns", "--allow-exec", "-q", "-o", "runs", cwd=folder)
    assert done.returncode == 0, done.stderr
    (log,) = (folder / "runs").glob("*/logs/evil.log")
    assert tried(log) == NOTHING | {"writes": ["/opt"]}


def test_a_command_that_runs_beside_what_a_program_has_written(simctl: Simctl, canary: tuple[Path, Path]) -> None:
    """The command is the user's, and begins in a folder in which the program may write: it imports what lies there."""
    folder, _ = canary
    (folder / "topology.yaml").write_text("services: {one: {image: simctl/host}}")
    plant = f"echo {_coded(EVIL)} | base64 -d > /tmp/json.py"
    (folder / "beside.yaml").write_text(
        f"""name: beside
topology: topology.yaml
steps:
  - name: planted
    exec: {{node: one, command: [sh, -c, {json.dumps(plant)}]}}
  - name: trusted
    exec: {{node: one, command: [python3, -c, "import json"]}}
"""
    )
    done = simctl("run", "beside.yaml", "-r", "netns", "--allow-exec", "-q", "-o", "runs", cwd=folder)
    assert done.returncode == 0, done.stderr
    (log,) = (folder / "runs").glob("*/logs/exec-trusted*")
    assert tried(log) == NOTHING


def _coded(program: Path) -> str:
    """The program, as what it is when it is imported under another name: it has to find the real `json`."""
    lines = program.read_text().replace("import json\n", "").replace('if __name__ == "__main__":\n', "if True:\n")
    lines = lines.replace('print("EVIL", json.dumps(found), flush=True)', _PRINT)
    return base64.b64encode(lines.encode()).decode()


_PRINT = "print('EVIL', str(found).replace(chr(39), chr(34)), flush=True)"


def test_a_node_that_wants_too_much_to_be_started_with(tmp_path: Path) -> None:
    """A message, not the traceback of the process that makes nodes."""
    node = Node("big", "big", "simctl/host", "host", Place("x"), environment={"TZ": "x" * 300_000})
    runtime = NetnsRuntime(load_kinds())
    try:
        with pytest.raises(EnvironmentFailure, match=r"node big is started with 30\d+ bytes"):
            runtime.start([NodePlan(node, (), {}, tmp_path / "big.log")])
    finally:
        runtime.stop()


def test_the_user_s_environment_is_nowhere_in_a_node(simctl: Simctl, tmp_path: Path) -> None:
    """Not in that of the program, and not in that of the processes that it was forked from."""
    (tmp_path / "topology.yaml").write_text("services: {one: {image: simctl/host}}")
    (tmp_path / "look.yaml").write_text(
        """name: look
topology: topology.yaml
steps:
  - name: look
    exec:
      node: one
      command: [sh, -c, "xargs -0 -n 1 echo </proc/1/environ; cat /proc/[0-9]*/environ | grep -c hunter2 || true"]
"""
    )
    words = ("run", "look.yaml", "--runtime", "netns", "--allow-exec", "-q", "--format", "json")
    done = simctl(*words, env={"AWS_SECRET_ACCESS_KEY": "hunter2"})
    assert done.returncode == 0, done.stderr
    (printed,) = tmp_path.glob("runs/*/logs/*look*")
    assert "PATH=" in printed.read_text(), "what is looked at is an environment"
    assert "AWS" not in printed.read_text()
    assert printed.read_text().splitlines()[-1] == "0"
