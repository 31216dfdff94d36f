"""The rules of a test session: what is pure, what must be made before, and signals as tests expect them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.project.test_setup import ROOT, session
from tests.support.needs import Needs, selected

PRINT_IGNORED = """
import subprocess
def test_it():
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    print("ignored by a child:", next(line for line in status.splitlines() if line.startswith("SigIgn")))
"""


def in_tests(folder: Path, room: str, text: str) -> Path:
    """A file of tests in a tree of its own that looks like ours."""
    path = folder / "tests" / room / "test_it.py"
    path.parent.mkdir(parents=True)
    path.write_text(textwrap.dedent(text))
    (folder / "tests" / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    return path


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    argv += ["-p", "no:cacheprovider", *options, str(folder / "tests")]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_pure_tests_are_found_by_their_room_and_what_they_ask_for(tmp_path: Path) -> None:
    text = """
        import pytest
        def test_pure(): pass
        @pytest.mark.netns
        def test_lab(): pass
        def test_command(simctl): pass
    """
    in_tests(tmp_path / "judge", "judge", text)
    in_tests(tmp_path / "cli", "cli", text)
    listed = pytest_in(tmp_path / "judge", "-m", "pure", "--collect-only", "-q").stdout
    assert [line.partition("::")[2] for line in listed.splitlines() if "::" in line] == ["test_pure"]
    assert "no tests collected" in pytest_in(tmp_path / "cli", "-m", "pure", "--collect-only", "-q").stdout


@pytest.mark.parametrize(
    "body", ["subprocess.run(['true'])", "socket.socket()", "os.fork()"], ids=["process", "socket", "fork"]
)
def test_a_pure_test_that_is_none_fails(tmp_path: Path, body: str) -> None:
    in_tests(tmp_path, "text", f"import os, socket, subprocess\ndef test_it(): {body}\n")
    done = pytest_in(tmp_path)
    assert done.returncode == 1
    assert "a pure test starts no process and opens no socket" in done.stdout


def test_what_was_made_inside_of_a_test_fails_it_in_ci(tmp_path: Path) -> None:
    """A cache would hide it everywhere but on a fresh machine."""
    snapshot = "Path(os.environ['XDG_CACHE_HOME'], 'simctl/vm/snapshot-0123456789ab').mkdir(parents=True)"
    test = f"import os\nfrom pathlib import Path\ndef test_it(): {snapshot}\n"
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    done = session(tmp_path, test, CI="true", **elsewhere)
    assert done.returncode == 1
    assert "made inside of a test: " in done.stdout and "snapshot-0123456789ab; say by marker" in done.stdout
    assert session(tmp_path, test, **elsewhere | {"XDG_CACHE_HOME": str(tmp_path / "other")}).returncode == 0


def test_what_the_selected_tests_need_is_asked_of_pytest(tmp_path: Path) -> None:
    path = in_tests(
        tmp_path,
        "nodes",
        """
        import pytest
        pytestmark = pytest.mark.images("origin")
        @pytest.mark.images("probe", "host")
        def test_a(): pass
        @pytest.mark.kinds("go")
        @pytest.mark.java
        def test_b(): pass
        @pytest.mark.slow
        @pytest.mark.vm
        @pytest.mark.images("tomcat")
        def test_c(): pass
        """,
    )
    options = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider", str(path)]
    assert selected(["-m", "not slow", *options]) == Needs(("host", "origin", "probe"), ("go", "jetty"), False)
    assert selected(options) == Needs(("host", "origin", "probe", "tomcat"), ("go", "jetty"), True)


@pytest.mark.docker
def test_an_image_that_is_not_there_is_not_built_by_a_test(tmp_path: Path) -> None:
    """No engine has an image of sources that nobody had before."""
    test = """
        import pytest
        from orchestrator.runtimes.docker import images
        @pytest.fixture(scope="session", autouse=True)
        def nothing_there(): pass
        images._there = lambda client: set()
        @pytest.mark.docker
        @pytest.mark.images("origin")
        def test_it(): raise AssertionError("it ran")
    """
    done = session(tmp_path, textwrap.dedent(test), CI="true")
    assert done.returncode == 1
    assert "images: missing: simctl/origin:" in done.stdout
    assert "make them before the tests: simctl images build origin" in done.stdout
    assert "it ran" not in done.stdout.replace('AssertionError("it ran")', "")


# -- signals ---------------------------------------------------------------------------------------------------------


def test_what_a_background_job_ignores_is_not_passed_on(tmp_path: Path) -> None:
    """As `make test &` in a script, and nohup: SIGINT, SIGQUIT and SIGHUP ignored."""
    path = in_tests(tmp_path, "cli", PRINT_IGNORED)
    argv = [sys.executable, "-m", "pytest", "-s", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path)]
    command = ["sh", "-c", 'trap "" INT QUIT HUP; exec "$@"', "sh", *argv, "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ignored = int(done.stdout.partition("ignored by a child: SigIgn:")[2].split()[0], 16)
    assert not ignored & 0b111, f"SIGHUP, SIGINT, SIGQUIT are the first three: {ignored:b}"
