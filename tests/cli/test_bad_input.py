"""Bad input through the real command: one clear message, the right exit code, no traceback, nothing left behind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Simctl
from tests.support.refusals import assert_refused, contents

COMPOSE = """\
services:
  client: {image: simctl/requests, networks: [lab]}
  server: {image: simctl/origin, networks: [lab]}
networks: {lab: {internal: true}}
"""

SCENARIO = """\
name: test
topology: compose.yaml
steps:
  - name: load
    request: {from: client, url: "http://server:8080/", session: pool, count: 2}
expect:
  - that: two requests share a connection
    over: load.start .. load.end
    client: {requests: 2, connections: 1}
"""


@dataclass(frozen=True)
class Bad:
    """One change that breaks a good pair of files, and what must be said: `message`, `place` and `hint` are parts."""

    before: str
    after: str
    place: str
    message: str
    hint: str = ""


BAD_FILES = {
    "unknown key": Bad("count: 2", "cuont: 2", "scenario.yaml:5:72", "unknown key cuont", "did you mean count?"),
    "unknown key at the top": Bad("expect:", "expects:", "scenario.yaml:6:1", "unknown key expects", "mean expect?"),
    "duplicate key": Bad("count: 2", "count: 2, count: 3", "scenario.yaml:5:82", "count stands here twice"),
    "no such topology": Bad(
        "topology: compose", "topology: compos", "scenario.yaml:2:11", "no such file", "did you mean compose.yaml?"
    ),
    "no such node in a step": Bad("from: client", "from: clinet", "scenario.yaml:5:21", "clinet", "mean client?"),
    "no such node in an expectation": Bad("client: {r", "clientt: {r", "scenario.yaml:9:5", "clientt", "mean client?"),
    "no such host in a URL": Bad("//server:", "//serverr:", "scenario.yaml:5:34", "serverr", "did you mean server?"),
    "a server cannot ask": Bad("from: client", "from: server", "scenario.yaml:5:21", "server is no client", "client"),
    "unknown node kind": Bad("simctl/origin", "simctl/nginxx", "compose.yaml:3:19", "'nginxx'; there are: aiohttp, "),
    "misspelled node kind": Bad("simctl/origin", "simctl/orign", "compose.yaml:3:19", "'orign'", "mean origin?"),
    "text where a number belongs": Bad("count: 2", "count: many", "scenario.yaml:5:79", "a whole number, not the text"),
    "text where a range belongs": Bad("requests: 2", "requests: few", "scenario.yaml:9:24", "expected a count such as"),
    "no duration": Bad("count: 2", "count: 2, timeout: soon", "scenario.yaml:5:91", "expected a duration"),
    "a gauge has no window": Bad(
        "{requests: 2", "{TIME_WAIT: 2", "scenario.yaml:9:14", "TIME_WAIT is a gauge, so `over` does not fit it", "`at`"
    ),
    "no such moment": Bad("load.start", "laod.start", "scenario.yaml:8:11", "no step is called laod", "mean load?"),
    "a name that is a path": Bad("name: test", "name: ../x", "scenario.yaml:1:7", "does not fit", "letters, digits"),
    "a name with escapes": Bad("name: test", r'name: "a\e[31mb"', "scenario.yaml:1:7", r"'a\x1b[31mb'", "letters"),
    "a name that no folder can have": Bad("name: test", "name: 名前", "scenario.yaml:1:7", "does not fit", "letters"),
    "a step's name with a slash": Bad("name: load", "name: a/b", "scenario.yaml:4:11", "cannot name a step"),
    "unknown key in the topology": Bad(
        "origin, networks", "origin, netwroks", "compose.yaml:3:34", "unknown key netwroks", "did you mean networks?"
    ),
    "duplicate key in the topology": Bad(
        "simctl/origin,", "simctl/origin, image: x,", "compose.yaml:3:34", "image stands here twice"
    ),
    "no YAML": Bad("count: 2}", "count: 2", "scenario.yaml:6:7", "not valid YAML"),
}


def good_files(folder: Path) -> Path:
    (folder / "compose.yaml").write_text(COMPOSE)
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO)
    return scenario


def write_bad(folder: Path, bad: Bad) -> None:
    good_files(folder)
    changed = 0
    for path in (folder / "scenario.yaml", folder / "compose.yaml"):
        text = path.read_text()
        changed += text.count(bad.before)
        path.write_text(text.replace(bad.before, bad.after))
    assert changed == 1, "the case changes one place"


@pytest.mark.parametrize("bad", BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_wrong(simctl: Simctl, tmp_path: Path, bad: Bad) -> None:
    write_bad(tmp_path, bad)
    before = contents(tmp_path)
    done = simctl("run", "scenario.yaml", "-r", "netns", "-o", "runs")
    assert_refused(done, 2)
    assert done.stderr.startswith(f"simctl: {bad.place}: "), done.stderr
    assert bad.message in done.stderr.splitlines()[0]
    if bad.hint:
        assert bad.hint in done.stderr.partition("hint: ")[2]
    assert contents(tmp_path) == before, "nothing was started"


def test_validate_tells_the_same_of_many_files(simctl: Simctl, tmp_path: Path) -> None:
    folders = [f"case{number}" for number in range(len(BAD_FILES))]
    for name, bad in zip(folders, BAD_FILES.values(), strict=True):
        (tmp_path / name).mkdir()
        write_bad(tmp_path / name, bad)
    done = simctl("validate", *(f"{name}/scenario.yaml" for name in folders))
    assert (done.returncode, done.stdout) == (2, "")
    said = [line for line in done.stderr.splitlines() if line.startswith("simctl: ")]
    for name, bad, line in zip(folders, BAD_FILES.values(), said, strict=True):
        assert line.startswith(f"simctl: {name}/{bad.place}: ")
        assert bad.message in line


@pytest.mark.netns
def test_the_good_files_are_good(simctl: Simctl, tmp_path: Path) -> None:
    """What the cases above break one by one."""
    good_files(tmp_path)
    assert simctl("validate", "scenario.yaml").returncode == 0
    done = simctl("run", "scenario.yaml", "-r", "netns", "-o", "runs")
    assert done.returncode == 0, done.stderr


def test_all_problems_of_a_file_are_told_at_once(simctl: Simctl, tmp_path: Path) -> None:
    scenario = good_files(tmp_path)
    scenario.write_text(SCENARIO.replace("count: 2", "cuont: 2").replace("requests: 2", "requests: few"))
    done = simctl("run", scenario, "-r", "netns")
    assert done.returncode == 2
    places = re.findall(r"^simctl: .*?yaml:(\d+):\d+: ", done.stderr, re.MULTILINE)
    assert places == ["5", "9"]


def test_the_other_scenarios_run_beside_a_wrong_one(simctl: Simctl, tmp_path: Path) -> None:
    scenario = good_files(tmp_path)
    (tmp_path / "broken.yaml").write_text(SCENARIO.replace("count: 2", "cuont: 2"))
    done = simctl("validate", scenario, "broken.yaml")
    assert done.returncode == 2
    assert "scenario.yaml: ok" in done.stdout
    assert "broken.yaml:5:72" in done.stderr


COMMAND_LINES: dict[str, tuple[list[str], str]] = {
    "a missing file": (["run", "nothere.yaml"], "nothere.yaml: no such file"),
    "validate a missing file": (["validate", "nothere.yaml"], "nothere.yaml: no such file"),
    "a misspelled name": (["run", "idle-clos"], "did you mean idle-close?"),
    "a folder without scenarios": (["run", "."], "no scenario in this folder"),
    "unknown runtime": (["run", "idle-close", "-r", "podman"], "one of auto, netns, docker"),
    "unknown format": (["run", "idle-close", "-f", "xml"], "one of text, json, junit"),
    "--set without a value": (["run", "idle-close", "--set", "SERVER"], "expected NAME=VALUE"),
    "--set without a name": (["validate", "idle-close", "--set", "=1"], "expected NAME=VALUE"),
    "--set of no kind": (["run", "idle-close", "--set", "SERVER=iis"], "there are: aiohttp, "),
    "--ready-timeout of no duration": (["run", "idle-close", "--ready-timeout", "soon"], "expected a duration"),
    "verify nothing": (["verify", "nothere"], "there is no run folder nothere"),
    "verify a folder of something else": (["verify", "."], "it has no events.jsonl"),
    "report of a folder of something else": (["report", "."], "it has no events.jsonl"),
    "up of nothing": (["up", "nothere.yaml"], "nothere.yaml: no such file"),
    "up of a name like a bundled one": (["up", "client-servr"], "did you mean client-server?"),
    "a name that is a path": (["up", "client-server", "--name", "../x"], "cannot be the name of a lab"),
    "unknown kind of node": (["nodes", "orign"], "did you mean origin?"),
}


@pytest.mark.parametrize(("arguments", "message"), COMMAND_LINES.values(), ids=COMMAND_LINES)
def test_a_command_line_that_is_wrong(simctl: Simctl, tmp_path: Path, arguments: list[str], message: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    done = simctl(*arguments, cwd=folder, env={"SIMCTL_STATE": str(tmp_path / "state")})
    assert_refused(done, 2)
    assert message in done.stderr
    assert not contents(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument 'FILE|FOLDER|NAME ...'"),
        (["runn"], "Did you mean 'run'?"),
        (["run", "idle-close", "--sett", "A=1"], "No such option: --sett"),
        (["verify"], "Missing argument 'RUN ...'"),
    ],
)
def test_usage(simctl: Simctl, tmp_path: Path, arguments: list[str], message: str) -> None:
    done = simctl(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not contents(tmp_path)


def test_no_arguments_at_all_shows_the_verbs(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl()
    assert done.returncode == 2
    assert {"run", "validate", "verify", "up", "doctor"} <= set(
        re.findall(r"^  (\w+) ", done.stdout + done.stderr, re.M)
    )
    assert not contents(tmp_path)


# -- nodes that do not come up ---------------------------------------------------------------------------------------


@pytest.mark.netns
def test_a_node_that_dies_at_start_shows_the_end_of_its_log(simctl: Simctl, tmp_path: Path) -> None:
    good_files(tmp_path)
    (tmp_path / "compose.yaml").write_text(COMPOSE.replace("simctl/origin,", "simctl/origin, command: [--bogus],"))
    done = simctl("run", "scenario.yaml", "-r", "netns")
    assert_refused(done, 3)
    message, *detail = done.stderr.partition("simctl: ")[2].splitlines()
    assert message == "compose.yaml:3:3: node server died at start (exit status 2)"
    assert detail == ["  | origin: unknown argument '--bogus'; there are: --httpPort, --httpKeepAliveTimeout"]


@pytest.mark.netns
def test_a_node_that_never_listens(simctl: Simctl, tmp_path: Path) -> None:
    good_files(tmp_path)
    (tmp_path / "compose.yaml").write_text(COMPOSE.replace("origin,", 'origin, entrypoint: [sleep, "1000"],'))
    refused = simctl("run", "scenario.yaml", "-r", "netns")
    assert_refused(refused, 2)
    assert "compose.yaml:3:" in refused.stderr
    assert "--allow-exec" in refused.stderr
    assert not (tmp_path / "runs").exists(), "nothing was started"
    done = simctl("run", "scenario.yaml", "-r", "netns", "--allow-exec", "--ready-timeout", "1s")
    assert_refused(done, 3)
    assert "compose.yaml:3:3: node server was not ready within 1 s" in done.stderr
    assert "--ready-timeout" in done.stderr


@pytest.mark.netns
def test_a_program_that_is_not_there(simctl: Simctl, tmp_path: Path) -> None:
    good_files(tmp_path)
    (tmp_path / "compose.yaml").write_text(COMPOSE.replace("origin,", "origin, entrypoint: [no-such-program],"))
    done = simctl("run", "scenario.yaml", "-r", "netns", "--allow-exec")
    assert_refused(done, 3)
    assert "node server died at start (exit status 127)" in done.stderr
    assert "no-such-program" in done.stderr
