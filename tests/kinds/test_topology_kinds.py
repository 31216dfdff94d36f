"""The registry of node kinds."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.errors import InputError
from orchestrator.kinds.needs import Need, how_to_get
from orchestrator.kinds.registry import Kind, Ready, argv, have_knob, kind, kind_names, load_kinds, missing
from orchestrator.system import resources

FULL = """
    kind: echo
    role: server
    title: says what it hears
    events: true
    ready: {port: 8080}
    entrypoint: ["{python}", server.py, --quiet]
    knobs:
      LEAK: {default: false, meaning: never closes}
      LIMIT: {default: 0, meaning: requests on a connection}
    needs:
      - {command: sh, package: dash}
      - {command: no-such-program, package: nothing}
      - {file: /no/such/file, package: nothing}
    """


def write(root: Path, name: str, text: str) -> Path:
    folder = root / name
    folder.mkdir(exist_ok=True)
    (folder / "node.yaml").write_text(dedent(text))
    return folder


@pytest.fixture
def echo(tmp_path: Path) -> Kind:
    write(tmp_path, "echo", FULL)
    (tmp_path / "echo/server.py").write_text("pass\n")
    (tmp_path / "base").mkdir()
    return kind("echo", tmp_path)


def test_what_the_file_says(echo: Kind, tmp_path: Path) -> None:
    assert (echo.kind, echo.role, echo.events, echo.ready) == ("echo", "server", True, Ready(port=8080, event=None))
    assert {name: knob.default for name, knob in echo.knobs.items()} == {"LEAK": "false", "LIMIT": "0"}
    assert echo.folder == (tmp_path / "echo").resolve()
    assert list(load_kinds(tmp_path)) == ["echo"]


def test_argv_has_the_interpreter_and_absolute_paths(echo: Kind) -> None:
    assert argv(echo, "/usr/bin/python3") == ["/usr/bin/python3", str(echo.folder / "server.py"), "--quiet"]


def test_missing_names_what_this_machine_lacks(echo: Kind) -> None:
    assert [(str(need), need.package) for need in missing(echo)] == [
        ("no-such-program", "nothing"),
        ("/no/such/file", "nothing"),
    ]


def test_a_wheel_is_met_by_any_version_that_is_installed_here() -> None:
    here, nowhere = Need(wheel="requests==0.1"), Need(wheel="no-such-wheel==1.0")
    assert (here.met, nowhere.met) == (True, False)
    assert here.installed == metadata.version("requests")
    needs = [Need(command="no-such-program", package="nothing"), nowhere]
    assert how_to_get(needs) == (
        "sudo apt-get install nothing and pip install no-such-wheel==1.0 where simctl is installed"
    )


def test_version_follows_the_content_of_the_folder(echo: Kind) -> None:
    versions = [echo.version]
    (echo.folder / "__pycache__").mkdir()
    (echo.folder / "__pycache__/server.cpython-311.pyc").write_bytes(b"x")
    assert echo.version == versions[0]
    for change in (
        lambda: (echo.folder / "server.py").write_text("raise\n"),
        lambda: (echo.folder / "server.py").chmod(0o755),
        lambda: (echo.folder / "server.py").rename(echo.folder / "other.py"),
    ):
        change()
        assert echo.version not in versions
        versions.append(echo.version)


def test_an_unknown_kind_lists_the_kinds(echo: Kind, tmp_path: Path) -> None:
    write(tmp_path, "host", FULL.replace("echo", "host"))
    with pytest.raises(InputError, match="unknown node kind 'ecko'; there are: echo, host") as caught:
        kind("ecko", tmp_path)
    assert caught.value.hint == "did you mean echo?"


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ("role: server", "role: sever", 3, "role: input should be 'client'"),
        ("title:", "titel:", 4, "unknown key titel"),
        ("ready: {port: 8080}", "ready: {port: 8080, event: up}", 6, "either a `port` or an `event`"),
        ("ready: {port: 8080}", "ready: {prot: 8080}", 6, "unknown key prot"),
        ("ready: {port: 8080}", "ready: {port: 80800}", 6, "ready.port"),
        (
            "{command: sh, package: dash}",
            "{command: sh, file: /x, package: dash}",
            12,
            "either a `command`, a `file` or a `wheel`",
        ),
        ("{command: sh, package: dash}", "{comand: sh, package: dash}", 12, "unknown key comand"),
        ("{command: sh, package: dash}", "{wheel: a==1, package: dash}", 12, "a `wheel` has none"),
        ("{command: sh, package: dash}", "{command: sh}", 12, "has the Debian `package` that brings it"),
        ("{command: sh, package: dash}", "{wheel: 'a>=1'}", 12, "a `wheel` is name==version, not 'a>=1'"),
        ("kind: echo", "kind: other", 2, "they must be the same"),
        ("kind: echo", "kind: echo\n    folder: /etc", 3, "unknown key folder"),
    ],
)
def test_a_wrong_file_is_an_input_error_with_its_place(
    tmp_path: Path, before: str, after: str, line: int, message: str
) -> None:
    write(tmp_path, "echo", FULL.replace(before, after))
    with pytest.raises(InputError) as caught:
        kind("echo", tmp_path)
    found = [problem for problem in caught.value.problems if message in problem.message]
    assert found, [str(problem) for problem in caught.value.problems]
    assert found[0].place is not None
    assert (found[0].place.path, found[0].place.line) == (tmp_path / "echo/node.yaml", line)


def test_the_bundled_kinds() -> None:
    kinds = load_kinds()
    assert {"origin", "requests"} <= set(kinds)
    assert "base" not in kinds
    for name, found in kinds.items():
        assert name == found.kind
        assert found.folder == resources.NODES / name
        assert (found.folder / "Dockerfile").is_file()
        command = argv(found, "/usr/bin/python3")
        assert "{python}" not in " ".join(command)


def test_a_kind_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path, "broken", "[")
    write(
        tmp_path,
        "whole",
        "kind: whole\nrole: server\ntitle: t\nentrypoint: [a]\nknobs: {X: {default: 1, meaning: m}}\n",
    )
    kinds = load_kinds(tmp_path)
    assert list(kinds) == ["broken", "whole"] and "broken" in kinds and "other" not in kinds and len(kinds) == 2
    assert kinds["whole"].kind == "whole" and kinds.get("other") is None
    with pytest.raises(InputError):
        kinds["broken"]


def test_a_knob_is_found_in_the_files_that_mention_it() -> None:
    kinds = dict(load_kinds())
    knobs = {knob for each in kinds.values() for knob in each.knobs}
    assert all(load_kinds().have_knob(knob) and have_knob(kinds, knob) for knob in knobs)
    for other in ("PATH", "KEEPALIVE", "meaning", "default", ""):
        assert not load_kinds().have_knob(other) and not have_knob(kinds, other)


def test_names_are_read_without_the_files(tmp_path: Path) -> None:
    write(tmp_path, "broken", "[")
    assert kind_names(tmp_path) == ["broken"]
