"""Installed from a wheel, outside of the checkout: everything that the command needs travels with the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from orchestrator.system import resources

_CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.timeout(180)


def check(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run, expect success, return what it printed."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    check(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, _CHECKOUT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel in it and nothing else; the libraries are those of the interpreter."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-index"]
    check(*pip, "--target", folder, wheel, cwd=folder)
    return folder


class Installed:
    """The command as it was installed, run in a folder of its own."""

    def __init__(self, root: Path, cwd: Path) -> None:
        self.root = root
        self.cwd = cwd
        self.environment = {**os.environ, "PYTHONPATH": str(root)}

    def __call__(self, *arguments: str) -> str:
        return check(self.root / "bin" / "simctl", *arguments, cwd=self.cwd, env=self.environment)


@pytest.fixture
def simctl(installed: Path, tmp_path: Path) -> Installed:
    return Installed(installed, tmp_path)


def test_the_wheel_holds_the_library_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    bundled = {name.removeprefix("orchestrator/_bundled/") for name in names if "/_bundled/" in name}
    sources = {
        path.relative_to(resources.ROOT).as_posix()
        for folder in (resources.COMPOSE, resources.NODES, resources.SCENARIOS)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert bundled == sources
    assert {"nodes/base/init.py", "nodes/jetty/Dockerfile", "nodes/jetty/src/simctl/Main.java"} <= bundled
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"orchestrator"}
    assert [name for name in names if name.endswith("LICENSE")]


def test_it_is_the_wheel_that_runs(simctl: Installed) -> None:
    """The interpreter of the tests has the checkout installed as well."""
    where = check(
        sys.executable, "-c", "import orchestrator; print(orchestrator.__file__)",
        cwd=simctl.cwd, env=simctl.environment,
    )  # fmt: skip
    assert Path(where.strip()).is_relative_to(simctl.root)


def test_what_is_bundled_is_found_by_name(simctl: Installed) -> None:
    assert "idle-close" in simctl("scenarios")
    assert "\n  origin " in simctl("nodes")
    assert json.loads(simctl("schema"))["title"]
    where = simctl("validate", "idle-close")
    assert str(simctl.root / "orchestrator" / "_bundled" / "scenarios" / "idle-close.yaml") in where
    assert ": ok (2 nodes" in where
    assert not list(simctl.cwd.iterdir())


@pytest.mark.netns
def test_a_bundled_scenario_runs_by_name(simctl: Installed) -> None:
    assert simctl("run", "session-close", "--runtime", "netns").startswith("PASS")
    (run,) = (simctl.cwd / "runs").iterdir()
    scenario = (run / "scenario.yaml").read_text()
    assert scenario == (resources.SCENARIOS / "session-close.yaml").read_text()
    assert simctl("verify", f"runs/{run.name}").startswith("PASS")


@pytest.mark.netns
def test_a_package_of_that_name_in_the_current_folder_is_never_run(simctl: Installed) -> None:
    """Neither by the command nor by the processes that it starts: they may be root's."""
    stranger = simctl.cwd / "orchestrator"
    for package in (stranger, stranger / "observe", stranger / "runtimes"):
        package.mkdir()
        (package / "__init__.py").write_text("raise SystemExit('a stranger ran')")
    assert simctl("run", "session-close", "--runtime", "netns").startswith("PASS")
