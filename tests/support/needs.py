"""Makes what the selected tests need, before they begin: `python -m tests.support.needs [PYTEST ARGUMENT ...]`.

A test has a time limit, and a first build takes longer than that: images of node kinds, the virtual machine, what a
kind prepares once (a compiler). So tests say by marker what they need (`images`, `kinds`, `java`, `vm`), this asks
pytest which of them are selected, and makes that. Nothing else: what no selected test uses is not built.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.errors import SimctlError
from orchestrator.kinds.prepare import prepare
from orchestrator.kinds.registry import kind, missing
from orchestrator.system import usercache
from tests.support.components import lack

OF_JAVA = "jetty"
"""What the marker `java` stands for."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a set of tests needs made: names of node kinds, sorted; `images` may have `probe` among them."""

    images: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    machine: bool = False
    """Whether one of them runs in a virtual machine."""


def of(items: Iterable[pytest.Item]) -> Needs:
    """What these tests say that they need."""
    images: set[str] = set()
    kinds: set[str] = set()
    machine = False
    for item in items:
        images |= named(item, "images")
        kinds |= named(item, "kinds") | ({OF_JAVA} if item.get_closest_marker("java") else set())
        machine |= item.get_closest_marker("vm") is not None
    return Needs(tuple(sorted(images)), tuple(sorted(kinds)), machine)


def named(item: pytest.Item, marker: str) -> set[str]:
    """All arguments of a test's markers of this name."""
    return {str(name) for mark in item.iter_markers(marker) for name in mark.args}


class _Collector:
    def __init__(self) -> None:
        self.needs = Needs()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.needs = of(session.items)


def selected(arguments: Sequence[str]) -> Needs:
    """What the tests need that pytest would run with these arguments. Raises SystemExit where it cannot say."""
    collector, said = _Collector(), io.StringIO()
    with contextlib.redirect_stdout(said):
        status = pytest.main(["--collect-only", "-qq", *arguments], plugins=[collector])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        sys.exit(f"{said.getvalue()}needs: pytest cannot collect the tests")
    return collector.needs


def make(needs: Needs) -> list[str]:
    """Make what can be made on this machine; returns what could not, in words."""
    failed = []
    if needs.images and lack("docker") is None and not _simctl("images", "build", *needs.images):
        failed.append("the images could not be built: tests on docker will fail")
    if needs.machine and lack("vm") is None and not _simctl("vm", "build"):
        failed.append("the virtual machine could not be made: tests on vm will fail")
    for name in needs.kinds:
        try:
            if not missing(found := kind(name)):
                prepare([found], lambda text: print(text, file=sys.stderr))
        except SimctlError as error:
            failed.append("\n".join([str(error), *error.detail]))
    return failed


def _simctl(*arguments: str) -> bool:
    return subprocess.run([sys.executable, "-m", "orchestrator", *arguments], check=False).returncode == 0


def made(docker: bool) -> set[str]:
    """What stands ready here, by names that change with the sources it was made from. `docker`: images too."""
    cache = usercache.location()
    found = {str(path) for path in cache.glob("*/*") if _OF_SOURCES.search(path.name)}
    return found | _images() if docker else found


_OF_SOURCES = re.compile(r"^(?!partial-).*[0-9a-f]{12}$")
"""What is kept in the cache by the hash of what it was made from: vm/image-HASH, go/HASH, prepared/KIND-HASH-HASH."""


def _images() -> set[str]:
    """Those of this checkout's node kinds. Images of other checkouts have other names."""
    from orchestrator.kinds.registry import kind_names
    from orchestrator.runtimes.docker import images

    wanted = images.references([*kind_names(), images.PROBE]).values()
    return set(wanted) - set(images.missing_images([*kind_names(), images.PROBE]))


def main() -> int:
    failed = make(selected(sys.argv[1:]))
    for words in failed:
        print(words, file=sys.stderr)
    return 3 if failed and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    sys.exit(main())
