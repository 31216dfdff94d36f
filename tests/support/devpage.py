"""A page below docs/dev whose example is carried out: its files and its changes go into a copy of simctl.

A file is a fenced block after a paragraph that ends with its path in backticks and a colon. A block of the language
`diff` changes such a file instead: its lines with `+` are put in after those that stand before them.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestrator.system import resources

_BLOCK = re.compile(r"`([\w./-]+)`:\n\n```(\w+)\n(.*?)```", re.DOTALL)
_SHELL = re.compile(r"```\n(simctl .*?)```", re.DOTALL)
_COPIED = ("orchestrator", "nodes", "compose", "scenarios", "tools", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Change:
    """Lines to be added after the lines `after`."""

    after: str
    added: list[str]

    def apply(self, text: str) -> str:
        assert text.count(self.after) == 1, f"{self.after!r} is not there, or more than once"
        return text.replace(self.after, self.after + "".join(self.added))


class DevPage:
    """`files`: path -> content; `changes`: path -> what is added to it."""

    def __init__(self, path: Path) -> None:
        text = path.read_text()
        blocks = _BLOCK.findall(text)
        self.files = {name: content for name, language, content in blocks if language != "diff"}
        self.changes = {name: _change(content) for name, language, content in blocks if language == "diff"}
        self._commands = [line for block in _SHELL.findall(text) for line in block.splitlines()]

    def command(self, begin: str) -> list[str]:
        """The arguments of the one command of the page that begins so."""
        (line,) = [line for line in self._commands if line.startswith(begin)]
        return shlex.split(line)[1:]


def _change(diff: str) -> Change:
    lines = diff.splitlines(keepends=True)
    before = [line[1:] for line in lines[: next(i for i, line in enumerate(lines) if line.startswith("+"))]]
    return Change("".join(before), [line[1:] for line in lines if line.startswith("+")])


class Copy:
    """A copy of simctl in a folder, in which the page's example can be made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__", "_bundled")
        for name in _COPIED:
            source = resources.ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=ignored)
            else:
                shutil.copy(source, folder / name)
        self._environment = {**os.environ, "PYTHONPATH": str(folder), "SIMCTL_STATE": str(folder / "s")}

    def take(self, page: DevPage) -> None:
        for name, content in page.files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert not path.exists(), f"{name} is there already"
            path.write_text(content)
        for name, change in page.changes.items():
            path = self.folder / name
            path.write_text(change.apply(path.read_text()))

    def simctl(self, *arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "orchestrator", *map(str, arguments)], status)

    def check(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a tool of the development environment in the copy."""
        return self._run([sys.executable, "-m", module, *arguments], 0)

    def _run(self, command: list[str], status: int) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == status, f"{shlex.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done
