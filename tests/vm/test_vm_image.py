"""The guest's root file system as an engine makes it, where there is no mmdebstrap that could be used."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from orchestrator.errors import EnvironmentFailure
from orchestrator.vm.enginedebian import write_archive
from orchestrator.vm.recipe import CACHE, LIBRARIES, Recipe

pytestmark = [pytest.mark.docker, pytest.mark.images("host"), pytest.mark.slow]

PREPARE = "import os, known; open(os.environ['XDG_CACHE_HOME'] + '/prepared', 'w').write(known.HOW)"


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    folder = tmp_path / "dist-packages"
    folder.mkdir()
    (folder / "known.py").write_text("HOW = 'in the guest'\n")
    return folder


def test_an_engine_makes_it_with_packages_libraries_and_what_kinds_prepare(tmp_path: Path, libraries: Path) -> None:
    recipe = Recipe(("busybox-static", "python3"), (), (), {"origin": ("{python}", "-c", PREPARE)}, {})
    said: list[str] = []
    output = io.BytesIO()
    write_archive(recipe, libraries, tmp_path / "debian", output, said.append)
    output.seek(0)
    with tarfile.open(fileobj=output) as archive:
        names = set(archive.getnames())
        prepared = archive.extractfile(f"{CACHE}/prepared".lstrip("/"))
        assert prepared is not None and prepared.read() == b"in the guest"
    assert {"usr/bin/python3", f"{LIBRARIES}/known.py".lstrip("/")} <= names
    assert not any(name.startswith("opt/prepare") for name in names), "what was only for the preparation is gone"
    assert any("by the engine" in line for line in said)


def test_what_the_engine_cannot_install_is_told_with_its_log(tmp_path: Path, libraries: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="the engine could not make") as caught:
        write_archive(Recipe(("no-such-package",), (), (), {}, {}), libraries, tmp_path / "debian", io.BytesIO(), print)
    assert any("Unable to locate package no-such-package" in line for line in caught.value.detail)
