"""Which files a user means: a path, a folder, a bundled name; and the topology that a scenario names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InputError, Place
from orchestrator.scenario.loader import find_scenario, load_scenario
from orchestrator.system import resources


def lab(folder: Path) -> Path:
    """A folder with a scenario, its topology, and things that are no scenarios."""
    (folder / "compose").mkdir()
    (folder / "compose" / "lab.yaml").write_text("services: {}\n")
    (folder / "deep").mkdir()
    (folder / ".hidden").mkdir()
    text = "name: a\ntopology: compose/lab.yaml\nsteps: [{wait: 1s}]\n"
    (folder / "b.yaml").write_text(text)
    (folder / "a.yml").write_text(text)
    (folder / "deep" / "broken.yaml").write_text("steps:\n\t- nope")
    (folder / ".hidden" / "x.yaml").write_text(text)
    (folder / "steps.txt").write_text(text)
    return folder


def test_a_folder_means_all_scenarios_below_it(tmp_path: Path) -> None:
    folder = lab(tmp_path)
    assert find_scenario(str(folder)) == [folder / "a.yml", folder / "b.yaml", folder / "deep" / "broken.yaml"]


def test_a_folder_without_scenarios(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scenario in this folder"):
        find_scenario(str(lab(tmp_path) / "compose"))


def test_a_file_is_itself_whatever_it_holds(tmp_path: Path) -> None:
    file = lab(tmp_path) / "compose" / "lab.yaml"
    assert find_scenario(str(file)) == [file]


def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: list[str]) -> Path:
    root = tmp_path / "bundled"
    for name in names:
        file = root / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("steps:\n")
    monkeypatch.setattr(resources, "SCENARIOS", root)
    monkeypatch.chdir(tmp_path)
    return root


def test_bundled_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = bundle(monkeypatch, tmp_path, ["idle-close", "proxy/stale", "proxy/retry", "deep/retry"])
    assert find_scenario("idle-close") == [root / "idle-close.yaml"]
    assert find_scenario("stale") == find_scenario("proxy/stale") == [root / "proxy" / "stale.yaml"]
    assert find_scenario("proxy") == [root / "proxy" / "retry.yaml", root / "proxy" / "stale.yaml"]
    with pytest.raises(InputError) as caught:
        find_scenario("retry")
    assert caught.value.hint == "say which: deep/retry or proxy/retry"


def test_unknown_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle(monkeypatch, tmp_path, ["idle-close", "proxy/stale"])
    with pytest.raises(InputError) as caught:
        find_scenario("idle-clsoe")
    assert caught.value.hint == "did you mean idle-close?"
    assert caught.value.detail == ["bundled: idle-close, proxy/stale"]
    for name in ("", "zzz", "a\0b", "a" * 5000):
        with pytest.raises(InputError, match="no scenario file, folder or bundled scenario"):
            find_scenario(name)
    with pytest.raises(InputError, match=r"zzz\.yaml: no such file"):
        find_scenario("zzz.yaml")


def test_a_missing_topology_is_named_at_its_place(tmp_path: Path) -> None:
    file = lab(tmp_path) / "b.yaml"
    file.write_text("name: a\ntopology: compose/lob.yaml\nsteps: [{wait: 1s}]\n")
    with pytest.raises(InputError) as caught:
        load_scenario(file)
    assert caught.value.place == Place(file, 2, 11)
    assert "no such file" in caught.value.message
    assert caught.value.hint == "did you mean compose/lab.yaml?"


def test_the_topology_is_found_from_the_scenario_not_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = lab(tmp_path)
    text = (folder / "b.yaml").read_text().replace("compose/", "../compose/")
    (folder / "deep" / "c.yaml").write_text(text)
    monkeypatch.chdir(folder)
    assert load_scenario(Path("deep/c.yaml")).topology_path == Path("compose/lab.yaml")


def test_a_symbolic_link_in_the_path_is_followed(tmp_path: Path) -> None:
    folder = lab(tmp_path)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "link").symlink_to(folder / "deep")
    (folder / "deep" / "c.yaml").write_text((folder / "b.yaml").read_text().replace("compose/", "../compose/"))
    found = load_scenario(folder / "elsewhere" / "link" / "c.yaml").topology_path
    assert found.samefile(folder / "compose" / "lab.yaml")


names = st.text(st.characters(exclude_characters="/."), max_size=20)
"""Not `/`: a folder is searched to its bottom."""


@settings(deadline=None)
@given(name=names)
def test_any_name_gives_paths_or_an_input_error(name: str) -> None:
    try:
        assert find_scenario(name)
    except InputError as error:
        assert error.message
