"""From a fresh machine to a working checkout: the verbs of the Makefile, setup scripts, what tests require."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from orchestrator.kinds.registry import load_kinds

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
VERBS = re.findall(r"^([a-z][a-z-]*):.*## ", MAKEFILE, re.MULTILINE)
PROMISED = {"help", "setup", "demo", "check", "pure", "test", "test-all", "lint", "format", "bench", "images", "clean"}


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "MAKEFLAGS", "DOCKER_HOST")}
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=env | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


# -- verbs -----------------------------------------------------------------------------------------------------------


def test_the_makefile_has_the_promised_verbs_and_help_lists_them() -> None:
    assert set(VERBS) >= PROMISED
    listed = run("make").stdout
    for verb in VERBS:
        assert re.search(rf"^  {verb}\s+\S", listed, re.MULTILINE), verb


@pytest.mark.parametrize("verb", VERBS)
def test_make_can_plan_every_verb(verb: str) -> None:
    done = run("make", "--dry-run", verb)
    assert done.returncode == 0, done.stderr


def test_every_make_command_of_the_readme_exists() -> None:
    named = set(
        re.findall(r"\bmake ([a-z][a-z-]*)", re.sub(r"apt(-get)? install.*", "", (ROOT / "README.md").read_text()))
    )
    assert {"demo", "test"} <= named <= set(VERBS)


@pytest.mark.netns
def test_the_scenario_in_the_readme_holds(
    tmp_path: Path, simctl: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    found = re.search(r"```yaml\n(name: mine\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found
    (tmp_path / "mine.yaml").write_text(found[1])
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    done = simctl("run", "mine.yaml", "--runtime", "netns")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_calls_lint_and_the_test_command_of_the_readme_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make lint", "exec make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_hooks_before_a_commit_are_the_quick_part_of_check() -> None:
    """In the words of the Makefile, and with no tool that would have to be fetched."""
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    linted = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert linted
    commands = [line.removeprefix("\t@$(BIN)/") for line in linted[1].splitlines()]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in local["hooks"]] == commands


def test_clean_removes_what_git_ignores() -> None:
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    removed = set(MAKEFILE.partition("\nclean:")[2].split())
    assert ignored - removed == {"*.pyc", ".cache"}


@pytest.mark.parametrize("script", [*sorted(path.name for path in (ROOT / "tools").glob("*.sh")), "../.ci/run"])
def test_scripts_parse_and_stop_at_errors(script: str) -> None:
    path = ROOT / "tools" / script
    assert run("bash", "-n", path).returncode == 0
    assert "set -euo pipefail" in path.read_text()


# -- tools/setup.sh --------------------------------------------------------------------------------------------------

NEEDED = "bash dirname grep mktemp tail rm id pgrep sleep python3 sed sort chmod"
WANTED = "ip ss netstat tcpdump nsenter ps docker-compose java javac qemu-system-x86_64 mmdebstrap mke2fs mn brctl"


def fake(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH in which everything is there, and apt-get only writes down what it was told."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in f"{NEEDED} {WANTED}".split():
        found = shutil.which(name)
        if found and name != "python3":
            (folder / name).symlink_to(found)
        else:
            fake(folder, name, "exit 0")
    fake(folder, "python3", "exit 0")  # asked only whether an engine answers: it does
    fake(folder, "id", "echo 0")
    fake(folder, "dpkg", "exit 0")
    fake(folder, "apt-cache", "exit 0")
    fake(folder, "apt-get", f'echo "$@" >>{folder}/told')
    return folder


def told(tools: Path) -> list[str]:
    return (tools / "told").read_text().splitlines() if (tools / "told").exists() else []


def setup(tools: Path, ci: str = "") -> subprocess.CompletedProcess[str]:
    """The script in a checkout with one node kind: it asks for javac."""
    script = tools.parent / "checkout" / "tools" / "setup.sh"
    kind = tools.parent / "checkout" / "nodes" / "jetty" / "node.yaml"
    for copy, path in ((script, "tools/setup.sh"), (kind, "nodes/jetty/node.yaml")):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy)
    return run(script, "--for-tests", PATH=str(tools), TMPDIR=str(tools), CI=ci)


def test_the_script_finds_every_need_of_every_node_kind() -> None:
    """It reads node.yaml with sed: there is no Python library yet when it runs."""
    lines = [line for line in (ROOT / "tools" / "setup.sh").read_text().splitlines() if "<(sed" in line]
    packages, wheels = (run("bash", "-c", line.partition("<(")[2].rpartition(")")[0]).stdout.split() for line in lines)
    needs = [need for kind in load_kinds().values() for need in kind.needs]
    assert set(zip(packages[::2], packages[1::2], strict=True)) == {(str(n), n.package) for n in needs if n.package}
    assert set(wheels) == {need.wheel for need in needs if need.wheel}


@pytest.mark.java
def test_where_all_is_there_nothing_is_installed(tools: Path) -> None:
    done = setup(tools, ci="true")
    assert (done.returncode, told(tools), done.stderr) == (0, [], "setup: all that tests need is here\n")


@pytest.mark.java
def test_root_installs_what_is_missing_in_one_go_and_says_so(tools: Path) -> None:
    for name in ("tcpdump", "javac"):
        (tools / name).unlink()
    done = setup(tools)
    update, install = told(tools)
    assert "tests need tcpdump: apt-get install -y tcpdump" in done.stderr
    assert "update" in update.split()
    assert install.split()[-2:] == ["tcpdump", "openjdk-17-jdk-headless"]
    assert list(tools.glob("simctl-apt*")) == []


@pytest.mark.java
def test_a_wheel_that_is_missing_is_installed_where_simctl_is(tools: Path) -> None:
    setup(tools)
    checkout = tools.parent / "checkout"
    (checkout / "nodes" / "jetty" / "node.yaml").write_text("needs:\n  - {wheel: some-server==1.2}\n")
    (checkout / ".venv" / "bin").mkdir(parents=True)
    fake(checkout / ".venv" / "bin", "python", f'case "$*" in *pip*) echo "$@" >>{tools}/told ;; *) exit 1 ;; esac')
    done = run(checkout / "tools" / "setup.sh", "--for-tests", PATH=str(tools), TMPDIR=str(tools), CI="true")
    assert done.returncode == 0, done.stderr
    assert "tests need some-server==1.2" in done.stderr
    assert [line.split()[-1] for line in told(tools)] == ["some-server==1.2"]
    assert told(tools)[0].startswith("-m pip install")


@pytest.mark.java
def test_where_there_is_no_openjdk_17_the_default_one_is_taken(tools: Path) -> None:
    (tools / "javac").unlink()
    fake(tools, "apt-cache", "exit 100")
    setup(tools)
    assert told(tools)[-1].split()[-1] == "default-jdk-headless"


def test_an_installation_that_fails_is_shown(tools: Path) -> None:
    (tools / "tcpdump").unlink()
    fake(tools, "apt-get", "echo E: no such luck; exit 100")
    done = setup(tools)
    assert done.returncode == 3
    assert "E: no such luck" in done.stderr
    assert "apt-get could not install:" in done.stderr


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 3)])
def test_others_are_told_the_packages(tools: Path, ci: str, status: int) -> None:
    (tools / "tcpdump").unlink()
    fake(tools, "id", "echo 1000")
    done = setup(tools, ci)
    assert (done.returncode, told(tools)) == (status, [])
    assert re.search(r"missing on this machine .*: .*\btcpdump\b", done.stderr)


@pytest.mark.docker
def test_a_running_engine_is_found() -> None:
    assert run(ROOT / "tools" / "setup.sh", "--engine-answers").returncode == 0


def test_an_engine_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    done = run(ROOT / "tools" / "setup.sh", "--engine-answers", DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 1


def test_wrong_usage_of_setup_names_the_right_one() -> None:
    done = run(ROOT / "tools" / "setup.sh", "--everything")
    assert done.returncode == 2
    assert "--for-tests" in done.stderr


# -- tools/venv.sh ---------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a checkout as venv.sh touches."""
    folder = tmp_path / "checkout"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "venv.sh", folder / "tools")
    return folder


@pytest.fixture
def debian_python(tmp_path: Path) -> Path:
    """An interpreter without ensurepip, as Debian's python3 without python3-venv."""
    folder = tmp_path / "python"
    folder.mkdir()
    fake(folder, "python3", f'case "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"')
    return folder


def package() -> str:
    return f"python{sys.version_info.major}.{sys.version_info.minor}-venv"


def test_without_ensurepip_users_are_told_debian_s_package(checkout: Path, debian_python: Path) -> None:
    fake(debian_python, "id", "echo 1000")
    done = run("tools/venv.sh", cwd=checkout, PATH=f"{debian_python}:{os.environ['PATH']}", PYTHON="")
    assert done.returncode == 3
    assert f"install {package()} " in done.stderr
    assert not (checkout / ".venv").exists()


def test_without_ensurepip_root_installs_debian_s_package(checkout: Path, debian_python: Path) -> None:
    fake(debian_python, "id", "echo 0")
    fake(debian_python, "apt-get", f'echo "$@" >>{debian_python}/told; case "$*" in *install*) exit 100;; esac')
    done = run("tools/venv.sh", cwd=checkout, PATH=f"{debian_python}:{os.environ['PATH']}", PYTHON="")
    assert done.returncode != 0
    assert f"apt-get install -y {package()}" in done.stderr
    assert told(debian_python)[-1].split()[-1] == package()


def test_a_python_that_is_too_old_is_passed_over(checkout: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    fake(old, "python3", 'case "$*" in *version_info*) exit 1;; *--version) echo Python 3.9.2;; esac')
    fake(old, "python3.14", f'case "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"')
    fake(old, "id", "echo 1000")
    done = run("tools/venv.sh", cwd=checkout, PATH=f"{old}:{os.environ['PATH']}", PYTHON="")
    assert f"{old}/python3.14 cannot make virtual environments" in done.stderr


# -- requirements of tests -------------------------------------------------------------------------------------------


def session(folder: Path, test: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One test in a pytest session of its own, with our conftest."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "test_it.py").write_text(test)
    options: list[str | Path] = ["-c", ROOT / "pyproject.toml", "--rootdir", folder, "-p", "no:cacheprovider"]
    return run(sys.executable, "-m", "pytest", *options, folder / "test_it.py", cwd=folder, **environment)


NEEDS_DOCKER = "import pytest\n@pytest.mark.docker\ndef test_it() -> None: pass\n"


def test_what_is_missing_skips_with_a_reason(tmp_path: Path) -> None:
    done = session(tmp_path, NEEDS_DOCKER, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 0, done.stdout
    assert re.search(r"SKIPPED .*docker: no Docker engine", done.stdout)


def test_with_ci_true_what_is_missing_fails(tmp_path: Path) -> None:
    done = session(tmp_path, NEEDS_DOCKER, DOCKER_HOST=f"unix://{tmp_path}/none.sock", CI="true")
    assert done.returncode == 1
    assert "with CI=true this is not skipped" in done.stdout


@pytest.mark.slow
def test_a_process_that_outlives_the_tests_fails_the_session(tmp_path: Path) -> None:
    """Also one that is a child of nobody here any more."""
    test = (
        "import subprocess\ndef test_it() -> None: subprocess.run(['setsid', '--fork', 'sleep', '987'], check=True)\n"
    )
    done = session(tmp_path, test, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 1
    assert "1 passed" in done.stdout
    left = re.search(r"process (\d+): sleep 987", done.stdout)
    assert left, done.stdout
    assert not Path("/proc", left[1]).exists() or Path("/proc", left[1], "cmdline").read_bytes() == b""
