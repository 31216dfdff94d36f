"""Does what a page of docs/dev says, in a copy of the checkout: its files are written, its lines are put in place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestrator.system.resources import ROOT

_BLOCK = re.compile(r"^<!-- (?P<what>file|line): (?P<where>[^\n]*?) -->\n```\w+\n(?P<text>.*?)^```$", re.M | re.S)
_PARTS = ("orchestrator", "nodes", "compose", "scenarios", "tools")


@dataclass(frozen=True)
class Copy:
    """A checkout of its own, after what a page says was done in it."""

    folder: Path

    def python(self, *argv: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Python with the copy's modules, in the copy. Whatever processes it starts have them too."""
        return subprocess.run(
            [sys.executable, *map(str, argv)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def simctl(self, *argv: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "orchestrator", *argv, timeout=timeout)


def follow(page: str, folder: Path) -> Copy:
    """A copy of this checkout below `folder` in which `docs/dev/PAGE` was followed to the letter."""
    copy = folder / "checkout"
    for part in _PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    blocks = list(_BLOCK.finditer((ROOT / "docs" / "dev" / page).read_text()))
    assert any(block["what"] == "line" for block in blocks), f"{page} registers nothing"
    for block in blocks:
        if block["what"] == "file":
            target = copy / block["where"]
            assert not target.exists(), f"{page}: {block['where']} is there already"
            target.write_text(block["text"])
        else:
            name, _, anchor = block["where"].partition(", before: ")
            text = (copy / name).read_text()
            assert text.count(f"{anchor}\n") == 1, f"{page}: {name} has no single line {anchor!r}"
            assert block["text"].count("\n") == 1, f"{page}: more than one line for {name}"
            (copy / name).write_text(text.replace(f"{anchor}\n", f"{block['text']}{anchor}\n"))
    return Copy(copy)
