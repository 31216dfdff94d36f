"""docs/dev/report-forms.md: its example, added to a copy of the package as the page says, prints a stored run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.recording.folder import RunFolder
from tests.support.builders import events
from tests.support.report_samples import FAILED, PASSED

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dev" / "report-forms.md").read_text()
SCENARIO = """\
name: idle-close
title: An idle Session
topology: compose.yaml
steps:
  - name: idle
    wait: 1s
expect:
  - that: it holds
    at: idle.end
    client: {TIME_WAIT: 0}
"""


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a copy of the package that has the page's form."""
    shutil.copytree(ROOT / "orchestrator", tmp_path / "orchestrator", ignore=shutil.ignore_patterns("__pycache__"))
    forms = tmp_path / "orchestrator" / "report" / "forms"
    (forms / "tap.py").write_text(block("python"))
    removed, added = (line[1:] for line in block("diff").splitlines())
    registry = (forms / "registry.py").read_text()
    assert registry.count(removed) == 1, "the page shows another line than the registry has"
    (forms / "registry.py").write_text(registry.replace(removed, added))
    return tmp_path


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    folder = RunFolder.create(tmp_path / "runs", "stored")
    lines = events("client:41000 > server:8080 | - E CW -\nserver:8080 > client:41000 | - E F2 F2")
    folder.events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder.scenario.write_text(SCENARIO)
    folder.write_verdicts([PASSED, FAILED])
    return folder.path


def simctl(package: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *map(str, arguments)],
        cwd=package, env=os.environ | {"PYTHONPATH": str(package)}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_the_page_s_form_prints_a_stored_run(package: Path, stored: Path) -> None:
    done = simctl(package, "report", stored, "--format", "tap")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "TAP version 13",
        "1..2",
        "ok 1 - idle-close: five requests share one connection",
        "not ok 2 - idle-close: the idle server closes first; the client does not look",
        "# server TIME_WAIT: 0 sockets in TIME_WAIT on server, expected 1",
    ]


def test_its_name_is_known_where_formats_are(package: Path) -> None:
    assert "text, json, junit or tap" in " ".join(simctl(package, "report", "--help").stdout.replace("│", " ").split())
    refused = simctl(package, "report", "x", "--format", "xml")
    assert "one of text, json, junit, tap" in refused.stderr


@pytest.mark.parametrize("form", ["text", "json", "junit"])
def test_every_form_prints_a_stored_run(stored: Path, form: str) -> None:
    done = simctl(ROOT, "report", stored, "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    assert "five requests share one connection" in done.stdout
