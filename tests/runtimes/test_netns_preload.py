"""Programs of kinds that the spawner has imported already, as it was begun for a scenario that has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.bounds import OOM_SCORE
from orchestrator.runtimes.likelykinds import likely_kinds
from orchestrator.system.linux import descendants
from orchestrator.system.resources import COMPOSE
from tests.support.live import await_line

_ALIKE = (
    "CapInh",
    "CapPrm",
    "CapEff",
    "CapBnd",
    "CapAmb",
    "NoNewPrivs",
    "Seccomp",
    "SigBlk",
    "SigIgn",
    "SigCgt",
    "Uid",
)

_OF_LIBC = 0b11 << 31
"""Signals 32 and 33, which are the C library's own."""

STORY = """
name: story
{topology}: {compose}
steps:
  - {{name: first, request: {{from: client, url: "http://server:8080/", session: s}}}}
  - {{name: idle, wait: 60s}}
"""


@contextmanager
def standing(folder: Path, topology: str) -> Iterator[dict[str, int]]:
    """The pids of a run that waits: the spawner and both programs."""
    (folder / "story.yaml").write_text(STORY.format(topology=topology, compose=COMPOSE / "client-server.yaml"))
    argv = [sys.executable, "-m", "orchestrator", "run", "story.yaml", "-r", "netns"]
    with subprocess.Popen(argv, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        try:
            await_line(process, "idle")
            words = {pid: Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1:4] for pid in descendants(process.pid)}
            ends = {"spawner": "netns.spawner", "client": "requests/client.py", "server": "origin/server.py"}
            # The supervisors and the first processes of nodes have the spawner's words, and came after it.
            yield {
                name: min(pid for pid, said in words.items() if any(word.endswith(end) for word in said))
                for name, end in ends.items()
            }
        finally:
            process.terminate()
            process.communicate(timeout=60)


def facts(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    own = {name: status[name] for name in _ALIKE}
    own["SigIgn"] = f"{int(status['SigIgn'], 16) & ~_OF_LIBC:x}"
    own["words"] = Path(f"/proc/{pid}/cmdline").read_text()
    own["environment"] = "\n".join(sorted(Path(f"/proc/{pid}/environ").read_text().split("\0")))
    own["name"] = Path(f"/proc/{pid}/comm").read_text()
    own["limits"] = Path(f"/proc/{pid}/limits").read_text()
    own["oom"] = Path(f"/proc/{pid}/oom_score_adj").read_text().strip()
    own["open"] = str(sorted(int(one.name) for one in Path(f"/proc/{pid}/fd").iterdir()))
    return own


def start_of(pid: int) -> bytes:
    """What the kernel told a program at its execve, random bytes' address included: a fork has its parent's."""
    return Path(f"/proc/{pid}/auxv").read_bytes()


@pytest.mark.netns
@pytest.mark.usefixtures("as_root")
def test_a_forked_program_is_like_one_that_was_executed(tmp_path: Path) -> None:
    found: dict[tuple[bool, str], dict[str, str]] = {}
    for topology in ("topology", "'topology'"):  # the quotes are too much for a glance
        (folder := tmp_path / str(len(found))).mkdir()
        with standing(folder, topology) as pids:
            forked = topology == "topology"
            for name in ("client", "server"):
                assert (start_of(pids[name]) == start_of(pids["spawner"])) == forked
                found[forked, name] = facts(pids[name])
    for name in ("client", "server"):
        assert found[True, name] == found[False, name]
        assert found[True, name]["oom"] == str(OOM_SCORE), "killed before simctl"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("image: simctl/requests", ["requests"]),
        ("image: 'simctl/origin'\n    image: simctl/origin", ["origin"]),
        ("image: simctl/${SERVER:-jetty}", ["jetty"]),
        ("image: simctl/${SERVER}", []),
        ("image: simctl/../../etc", []),
        ("image: simctl/nothing-of-that-name", []),
    ],
)
def test_the_kinds_of_a_scenario_at_a_glance(tmp_path: Path, text: str, kinds: list[str]) -> None:
    (tmp_path / "compose.yaml").write_text(f"services:\n  one:\n    {text}\n")
    (tmp_path / "story.yaml").write_text("name: story\ntopology: compose.yaml\n")
    assert likely_kinds(str(tmp_path / "story.yaml")) == kinds


def test_a_glance_meets_anything(tmp_path: Path) -> None:
    (tmp_path / "story.yaml").write_text("topology: /dev/zero\n")
    for path in ("/dev/zero", "nothing", "", "\0", str(tmp_path), str(tmp_path / "story.yaml")):
        assert likely_kinds(path) == []
