"""What a topology from anywhere may not do on this machine, and what it may."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.errors import EnvironmentFailure, InputError, Place
from orchestrator.kinds.needs import Need
from orchestrator.kinds.registry import Kind, Knob
from orchestrator.runtimes.netns.limits import check_nodes
from orchestrator.topology.model import Node, Volume
from tests.conftest import Simctl

PLACE = Place("compose.yaml", 2, 3)


def kind(name: str, *knobs: str, needs: tuple[Need, ...] = ()) -> Kind:
    return Kind(
        kind=name,
        role="server",
        title="",
        entrypoint=("true",),
        knobs={knob: Knob(default="", meaning="") for knob in knobs},
        needs=needs,
        folder=Path("/"),
    )


KINDS = {
    "plain": kind("plain"),
    "web": kind("web", "TIMEOUT"),
    "lost": kind("lost", needs=(Need(command="no-such-command-anywhere", package="nosuch"),)),
}


def node(
    kind: str | None = "plain",
    *,
    environment: Mapping[str, str] | None = None,
    entrypoint: tuple[str, ...] | None = None,
    volumes: tuple[Volume, ...] = (),
) -> Node:
    return Node("n", "n", "image", kind, PLACE, entrypoint=entrypoint, environment=environment or {}, volumes=volumes)


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (node(environment={"PYTHONPATH": "/tmp"}), "PYTHONPATH"),
        (node(environment={"TIMEOUT": "1s", "LD_PRELOAD": "/tmp/x.so"}), "LD_PRELOAD"),
        (node("web", environment={"PATH": "/tmp"}), "PATH"),
        (node(volumes=(Volume(Path("/tmp/x"), "/usr/bin/python3"),)), "/usr/bin/python3"),
        (node(entrypoint=("sh",)), "entrypoint"),
    ],
)
def test_what_takes_trust(one: Node, says: str) -> None:
    with pytest.raises(InputError) as caught:
        check_nodes([node(), one], KINDS, allow_exec=False)
    assert says in caught.value.message
    assert caught.value.place == PLACE
    assert "--allow-exec" in (caught.value.hint or "")
    check_nodes([one], KINDS, allow_exec=True)


def test_knobs_of_all_kinds_and_the_locale_are_harmless() -> None:
    check_nodes([node(environment={"TIMEOUT": "1s", "TZ": "UTC", "LANG": "C"})], KINDS, allow_exec=False)


@pytest.mark.parametrize("allow_exec", [False, True])
def test_what_trust_does_not_help(allow_exec: bool) -> None:
    with pytest.raises(InputError, match="runs under docker only"):
        check_nodes([node(None)], KINDS, allow_exec=allow_exec)
    with pytest.raises(EnvironmentFailure, match="needs no-such-command-anywhere") as caught:
        check_nodes([node("lost")], KINDS, allow_exec=allow_exec)
    assert "nosuch" in (caught.value.hint or "")


@pytest.mark.netns
def test_a_file_brings_no_code_along(simctl: Simctl, tmp_path: Path) -> None:
    """Python imports sitecustomize from PYTHONPATH: the shortest way from a Compose file to a program of one's own."""
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'proof')!r}, 'w')")
    (tmp_path / "compose.yaml").write_text(
        f"services: {{client: {{image: simctl/requests, environment: {{PYTHONPATH: {tmp_path}}}}}}}"
    )
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("name: evil\ntopology: compose.yaml\nsteps: [{wait: 100ms}]\n")
    done = simctl("run", scenario, "-r", "netns")
    assert done.returncode == 2
    assert "compose.yaml:1:" in done.stderr
    assert not (tmp_path / "proof").exists()
    assert not (tmp_path / "runs").exists()
