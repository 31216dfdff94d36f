"""What a node kind wants to be done once, and which version of its software it has."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator import __version__
from orchestrator.errors import EnvironmentFailure
from orchestrator.kinds.prepare import prepare
from orchestrator.kinds.registry import Kind, kind
from orchestrator.kinds.versions import NOT_HERE, versions
from tests.conftest import Simctl

pytestmark = pytest.mark.processes


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def asking(*command: str) -> Kind:
    return kind("host").model_copy(update={"prepare": command})


def test_it_is_done_once_and_told(cache: Path) -> None:
    made = cache / "made"
    one = asking("{python}", "-c", f"open({str(made)!r}, 'a').write('x')")
    told: list[str] = []
    for _ in range(2):
        prepare([one, kind("host")], told.append)
    assert made.read_text() == "x"
    assert told == ["node kind host: prepared, once"]


def test_what_fails_says_why_in_its_own_words_and_is_tried_again(cache: Path) -> None:
    broken = asking(sys.executable, "-c", "import sys; sys.exit('there is no compiler')")
    for _ in range(2):
        with pytest.raises(EnvironmentFailure, match="status 1") as failure:
            prepare([broken], lambda text: None)
        assert failure.value.detail == ["there is no compiler"]
    with pytest.raises(EnvironmentFailure, match="could not be prepared"):
        prepare([asking("/nowhere/javac")], lambda text: None)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFailure, match="cannot make the folder"):
        prepare([asking("true")], lambda text: None)


def test_versions_are_those_of_package_distribution_or_simctl() -> None:
    nowhere = kind("nginx").needs[0].model_copy(update={"package": "no-such-package"})
    strange = kind("nginx").model_copy(update={"kind": "strange", "needs": (nowhere,)})
    found = versions([kind("requests"), kind("origin"), strange])
    assert found["requests"][0].isdigit()
    assert (found["origin"], found["strange"]) == (__version__, NOT_HERE)


@pytest.mark.kinds("nginx", "redis")
def test_a_version_is_the_software_s_own_not_debian_s(simctl: Simctl) -> None:
    found = versions([kind("nginx"), kind("redis")])
    assert all(set(version) <= set("0123456789.") for version in found.values()), found
    assert f"  nginx {found['nginx']}  " in simctl("nodes").stdout
    assert "KEEPALIVE_TIMEOUT=75s" in simctl("nodes", "nginx").stdout
