"""CONTRIBUTING.md and CHANGELOG.md: what they name exists."""

from __future__ import annotations

import re
import tomllib

import pytest

from orchestrator.system.resources import ROOT

pytestmark = pytest.mark.pure

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", CONTRIBUTING + CHANGELOG)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_verbs_exist() -> None:
    verbs = set(re.findall(r"make ([a-z][a-z-]*)", CONTRIBUTING))
    known = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"check", "pure", "test", "test-all", "bench"} <= verbs <= known


def test_every_marker_is_explained() -> None:
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    for marker in markers:
        assert f"`{re.split(r'[(:]', marker)[0]}" in CONTRIBUTING, marker


def test_the_changelog_has_the_form_that_it_says() -> None:
    """Versions or dates, newest first; below each what was added, changed, removed or fixed."""
    heads = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert all(re.fullmatch(r"(\[?\d+\.\d+\.\d+\]? - )?\d{4}-\d\d-\d\d", head) for head in heads[1:])
    dates = [head[-10:] for head in heads[1:]]
    assert dates == sorted(dates, reverse=True)
    kinds = set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_no_address_of_a_package_mirror() -> None:
    """apt, mmdebstrap and pip know their own default, or are told by the machine's settings."""
    mirror = re.compile(r"(deb|ftp|security|archive)\.(debian|ubuntu)\.(org|com)|pypi\.org/simple")
    folders = ("orchestrator", "nodes", "tools", "bench", "tests", ".ci", "scenarios", "compose")
    text = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    sources = [path for path in [*text, ROOT / "Makefile"] if path.suffix != ".pyc" and path.name != "test_papers.py"]
    named = [str(path) for path in sources if mirror.search(path.read_text(errors="replace"))]
    assert named == []
