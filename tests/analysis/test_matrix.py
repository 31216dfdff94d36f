"""One scenario with several values of a variable: the cells, the table, the documents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.analysis.compare.matrix import Broken, Matrix
from orchestrator.analysis.hops import Hop
from orchestrator.analysis.report import RunReport
from orchestrator.errors import InputError
from orchestrator.recording.verdict import Outcome
from orchestrator.report.json.matrix import MatrixDocument, hop_document, to_json
from orchestrator.report.words.matrix import HEADERS
from orchestrator.scenario.loader import bundled_scenarios
from orchestrator.scenario.matrix import cells, label, parse_matrix
from orchestrator.system import resources
from orchestrator.text.jsondata import plain, schema
from orchestrator.topology.compose.interpolate import mentioned
from tests.conftest import Simctl
from tests.support.builders import history
from tests.support.ladders import LISTENS
from tests.support.schemas import strictly

COMPOSE = """\
services:
  client: {image: simctl/requests}
  server:
    image: simctl/${SERVER:-origin}
    environment: {KEEPALIVE_TIMEOUT: "${KEEPALIVE_TIMEOUT:-300ms}", KEEPALIVE_REQUESTS: "${KEEPALIVE_REQUESTS:-0}"}
"""
STORY = """\
name: closes
topology: compose.yaml
matrix: {KEEPALIVE_REQUESTS: [1, 0]}
steps:
  - name: load
    request: {from: client, url: "http://server:8080/", session: pool, count: 2}
  - name: idle
    wait: 700ms
expect:
  - that: one connection carries both
    over: load.start .. load.end
    client: {connections: 1}
"""

_names = st.text("ABC", min_size=1, max_size=3)
_values = st.lists(st.text("xyz", min_size=1, max_size=2), min_size=1, max_size=3, unique=True)
_axes = st.dictionaries(_names, _values, max_size=3)


@given(_axes, _axes, st.sets(_names))
def test_cells_are_every_combination_once(
    matrix: dict[str, list[str]], asked: dict[str, list[str]], pinned: set[str]
) -> None:
    pinned -= set(asked)
    found = cells(matrix, asked, pinned)
    axes = {name: values for name, values in {**matrix, **asked}.items() if name in asked or name not in pinned}
    assert all(set(cell) == set(axes) for cell in found)
    assert all(value in axes[name] for cell in found for name, value in cell.items())
    wanted = 1
    for values in axes.values():
        wanted *= len(values)
    assert len({tuple(cell.items()) for cell in found}) == len(found) == wanted


def test_a_cell_is_called_by_its_values() -> None:
    assert [label(cell) for cell in cells({"A": ["1", "2"]}, {"B": ["x"]}, ())] == ["1 x", "2 x"]
    assert cells({}, {}, ()) == [{}]


@pytest.mark.parametrize("option", ["SERVER", "=x", "SERVER=", "SERVER=a,,b", "SERVER=a,a"])
def test_an_option_that_is_no_matrix(option: str) -> None:
    with pytest.raises(InputError, match="--matrix"):
        parse_matrix([option])


def test_a_variable_may_be_named_once() -> None:
    assert parse_matrix(["A=1, 2", "B=x"]) == {"A": ["1", "2"], "B": ["x"]}
    with pytest.raises(InputError, match="names A twice"):
        parse_matrix(["A=1", "A=2"])


def test_the_variables_that_a_file_mentions() -> None:
    assert mentioned("a: ${X:-${Y}}\n# $Z\nb: $$NOT\nc: ${") == {"X", "Y", "Z"}


def write(folder: Path, story: str = STORY) -> Path:
    (folder / "compose.yaml").write_text(COMPOSE)
    path = folder / "closes.yaml"
    path.write_text(story)
    return path


@pytest.mark.netns
def test_a_matrix_is_one_table(simctl: Simctl, tmp_path: Path) -> None:
    path = write(tmp_path)
    wide = {"COLUMNS": "120"}
    done = simctl("run", path, "-r", "netns", "-q", "--jobs", "2", "--junit", "report.xml", env=wide)
    assert done.returncode == 1, done.stderr
    text = done.stdout
    assert "closes  2 runs: 1 fail, 1 pass" in text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line and line[0] in "01"}
    assert rows["1"][1:3] == ["fail", "0/1"]
    assert rows["0"][1:3] == ["pass", "1/1"]
    # Two connections were closed after their one response, or one after 300 ms of silence.
    assert {"server", "FIN", "none"} <= set(rows["0"])
    assert "one connection carries both" in text
    assert "expected" in text
    suites = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert [(suite.get("name"), suite.get("failures")) for suite in suites] == [
        ("closes [1]", "1"),
        ("closes [0]", "0"),
    ]
    (failed,) = (line for line in text.splitlines() if "the whole report" in line)
    again = simctl("report", failed.split()[2])
    assert "closes [1]" in again.stdout


@pytest.mark.netns
def test_the_command_line_decides_and_the_document_has_the_facts(simctl: Simctl, tmp_path: Path) -> None:
    path = write(tmp_path)
    choice = ["--set", "KEEPALIVE_REQUESTS=0", "-m", "KEEPALIVE_TIMEOUT=200ms,1h"]
    done = simctl("run", path, "-r", "netns", "-q", "-j2", "--format", "json", *choice)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["variables"] == ["KEEPALIVE_TIMEOUT"]
    assert [cell["set"] for cell in document["cells"]] == [{"KEEPALIVE_TIMEOUT": "200ms"}, {"KEEPALIVE_TIMEOUT": "1h"}]
    (short,), (long,) = (cell["hops"] for cell in document["cells"])
    assert (short["client"], short["server"], short["first_closer"]) == ("client", "server", {"server": 1})
    assert short["idle_before_close"]["server"][0] >= 0.19, "not before its time; a busy machine is late"
    assert (long["first_closer"], long["idle_before_close"]) == ({"nobody": 1}, {})


@pytest.mark.netns
def test_what_cannot_be_run_is_told_in_the_table_with_its_reason(simctl: Simctl, tmp_path: Path) -> None:
    path = write(tmp_path)
    command = '    command: ["--httpKeepAliveTimeout=${FLAG:-300}"]\n'  # nothing looks into a command line
    (tmp_path / "compose.yaml").write_text(COMPOSE + command)
    done = simctl("run", path, "-r", "netns", "-q", "-s", "KEEPALIVE_REQUESTS=0", "-m", "FLAG=300,soon")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "2 runs: 1 not run, 1 pass" in done.stdout
    told = " ".join(done.stdout.split())
    assert "soon could not be run" in told
    assert "httpKeepAliveTimeout" in told


def test_a_value_that_cannot_be_is_refused_before_the_first_run(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("run", write(tmp_path), "-r", "netns", "-m", "SERVER=origin,jety")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("unknown node kind 'jety'") == 1
    assert "up: 2 nodes" not in done.stderr


def test_a_variable_is_either_pinned_or_varied(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("run", write(tmp_path), "-s", "SERVER=origin", "-m", "SERVER=jetty")
    assert (done.returncode, "--matrix and --set both name SERVER" in done.stderr) == (2, True)


def test_determinism_wants_one_run(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("determinism", write(tmp_path))
    assert (done.returncode, "is a matrix of 2 runs" in done.stderr) == (2, True)


@pytest.mark.netns
def test_an_answer_is_told_and_judged_by_its_status(simctl: Simctl, tmp_path: Path) -> None:
    story = STORY.replace("http://server:8080/", "http://server:8080/status/503").replace("[1, 0]", "[0, 9]")
    path = write(tmp_path, story + "  - {that: it is down, over: start .. end, client: {statuses: {503: 2, 200: 0}}}\n")
    done = simctl("run", path, "-r", "netns", "-q", "-j2")
    assert done.returncode == 0, done.stdout
    assert "2x503" in done.stdout


def test_a_variable_that_nothing_mentions_is_refused(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("run", write(tmp_path), "-r", "netns", "-q", "-s", "KEEPALIVE_REQUESTS=0", "-m", "SERVR=origin")
    assert done.returncode == 2
    assert "the matrix varies SERVR" in done.stderr
    assert "did you mean SERVER" in done.stderr
    wrong = write(tmp_path, STORY.replace("KEEPALIVE_REQUESTS: [1, 0]", "SERVR: [origin]"))
    done = simctl("validate", wrong)
    assert (done.returncode, "closes.yaml:3:" in done.stderr) == (2, True)


@pytest.mark.parametrize("matrix", ["{SERVER: []}", "{SERVER: [a, a]}", "[SERVER]", "{SERVER: origin}"])
def test_a_matrix_that_is_none(simctl: Simctl, tmp_path: Path, matrix: str) -> None:
    done = simctl("validate", write(tmp_path, STORY.replace("{KEEPALIVE_REQUESTS: [1, 0]}", matrix)))
    assert done.returncode == 2
    assert "closes.yaml:3:" in done.stderr
    assert "matrix" in done.stderr


def test_a_matrix_is_checked_whole(simctl: Simctl, tmp_path: Path) -> None:
    path = write(tmp_path)
    assert "1 expectation, 2 runs" in simctl("validate", path).stdout
    done = simctl("run", path, "--vary-seed", "3")
    assert (done.returncode, "--vary-seed goes with one run" in done.stderr) == (2, True)


CHOICES = (
    STORY
    + "    unless: {KEEPALIVE_REQUESTS: [1]}\n"
    + """\
  - that: each response ends its connection
    only: {KEEPALIVE_REQUESTS: [1]}
    over: load.start .. load.end
    client: {connections: 2}
"""
)


@pytest.mark.netns
def test_an_expectation_may_be_of_some_runs_only(simctl: Simctl, tmp_path: Path) -> None:
    path = write(tmp_path, CHOICES)
    done = simctl("run", path, "-r", "netns", "-q", "--jobs", "2", "--format", "json")
    assert done.returncode == 0, done.stdout
    cells = json.loads(done.stdout)["cells"]
    told = {cell["set"]["KEEPALIVE_REQUESTS"]: [verdict["that"] for verdict in cell["verdicts"]] for cell in cells}
    assert told == {"1": ["each response ends its connection"], "0": ["one connection carries both"]}
    # Judged again, the run still knows which one it was.
    again = simctl("verify", cells[0]["folder"])
    assert (again.returncode, "each response ends its connection" in again.stdout) == (0, True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("only: {KEEPALIVE_REQUEST: [1]}", "KEEPALIVE_REQUEST is no variable of the `matrix`"),
        ("only: {KEEPALIVE_REQUESTS: [2]}", "the `matrix` has no KEEPALIVE_REQUESTS"),
        ("only: {KEEPALIVE_REQUESTS: []}", "must not be empty"),
        ("only: {}", "must not be empty"),
        ("only: {KEEPALIVE_REQUESTS: [1]}\n    unless: {KEEPALIVE_REQUESTS: [1]}", "no run of the `matrix` is left"),
    ],
)
def test_a_choice_that_could_never_be_made(simctl: Simctl, tmp_path: Path, wrong: str, said: str) -> None:
    text = CHOICES.replace("only: {KEEPALIVE_REQUESTS: [1]}", wrong)
    line = text[: text.index(wrong)].count("\n") + 1
    done = simctl("validate", write(tmp_path, text))
    assert (done.returncode, f"closes.yaml:{line}:" in done.stderr, said in done.stderr) == (2, True, True), done.stderr


PAGE = (resources.ROOT / "docs" / "matrix.md").read_text()


def test_the_page_s_scenario_is_one(simctl: Simctl, tmp_path: Path) -> None:
    (fragment,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    topology = resources.COMPOSE / "client-server.yaml"
    story = f"name: page\ntopology: {topology}\nsteps: [{{name: idle, wait: 1s}}]\n{fragment}"
    (tmp_path / "page.yaml").write_text(story)
    done = simctl("validate", tmp_path / "page.yaml")
    assert (done.returncode, "3 runs" in done.stdout) == (0, True), done.stderr


def test_the_page_names_every_key_and_every_column() -> None:
    hop = Hop("client", "server", 1)
    hop.idle["server"].append(5.0)
    report = RunReport(None, "s", "", "netns", "real", 1.0, history(LISTENS), [], Outcome.PASS, cell={"A": "1"})
    document = to_json(Matrix("s", "", ("A",), (report, Broken({"A": "2"}, "because"))))
    strictly(schema(MatrixDocument)).validate(document)
    (cell,), (broken,) = document["cells"], document["not_run"]
    keys = {*document, *cell, *broken, *plain(hop_document(hop))}
    assert keys - set(re.findall(r"`([a-z_]+)`", PAGE)) == set()
    rows = re.findall(r"^\| ([^|]+) \|", PAGE, re.MULTILINE)
    columns = {name.strip() for row in rows for name in row.split(",")}
    assert set(HEADERS) <= columns


def test_the_page_s_commands_name_what_there_is() -> None:
    for name in re.findall(r"^simctl run ([a-z-]+)", PAGE, re.MULTILINE):
        assert name in bundled_scenarios()
