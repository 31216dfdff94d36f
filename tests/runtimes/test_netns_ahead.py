"""What is there before a lab, as in a frozen guest: a probe, its trace instance, nodes without a name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.labs import compose_file
from orchestrator.history.build import build_history
from orchestrator.history.model import History
from orchestrator.kinds.registry import load_kinds
from orchestrator.lab.lab import Lab, LabFolder, LabSettings
from orchestrator.observe.trace.tracefs import RECORDS
from orchestrator.recording.reader import read_events
from orchestrator.runtimes.netns.runtime import _NODES_AHEAD, NetnsRuntime
from orchestrator.system.linux import descendants
from orchestrator.topology.compose.file import load_topology

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("as_root")]

KINDS = load_kinds()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[NetnsRuntime]:
    """It stands by, with its logs in `logs`."""
    before = set(descendants(os.getpid()))
    (tmp_path / "logs").mkdir()
    made = NetnsRuntime(KINDS)
    made.stand_by(tmp_path / "logs")
    yield made
    made.stop()
    assert set(descendants(os.getpid())) <= before, "nothing of it is left"


def lab(runtime: NetnsRuntime, folder: Path, nodes: int, settings: LabSettings) -> Lab:
    topology = load_topology(compose_file(folder, nodes, "simctl/host"), {}, kinds=KINDS)
    return Lab(topology, runtime, KINDS, LabFolder(folder / "events.jsonl", folder / "logs", folder / "ss"), settings)


def instances() -> set[Path]:
    """Records of the trace instances that processes of ours have: simctl-PID-START."""
    ours = set(descendants(os.getpid()))
    return {record for record in RECORDS.glob("simctl-*") if int(record.name.split("-")[1]) in ours}


def recorded(folder: Path) -> History:
    return build_history(read_events(folder / "events.jsonl"))


def test_a_lab_takes_what_waits_and_makes_what_it_lacks(runtime: NetnsRuntime, tmp_path: Path) -> None:
    (ready,) = instances()
    with lab(runtime, tmp_path, _NODES_AHEAD + 2, LabSettings()) as up:
        assert instances() == {ready}, "the lab has the instance that was there"
        assert len({Path(f"/proc/{pid}/ns/net").readlink() for pid in up.pids.values()}) == _NODES_AHEAD + 2
        for name, pid in up.pids.items():
            assert f" {name}\n" in Path(f"/proc/{pid}/root/etc/hosts").read_text()
        up.sample(on=True)
        up.mark("start", "end")
        up.finish("done")
    history = recorded(tmp_path)
    assert history.exact, history.notes
    assert not ready.exists(), "it is removed when the probe ends"


def test_what_no_lab_takes_goes_with_the_runtime(runtime: NetnsRuntime) -> None:
    (ready,) = instances()
    runtime.stop()
    assert not ready.exists()


def test_a_lab_that_is_left_up_has_a_whole_recording(runtime: NetnsRuntime, tmp_path: Path) -> None:
    with lab(runtime, tmp_path, 2, LabSettings(left_up=True)) as up:
        up.sample(on=True)
        up.mark("start", "end")
        up.finish("done")
    try:
        assert recorded(tmp_path).exact
        assert (tmp_path / "events.jsonl").read_text().splitlines()[-1].startswith('{"t":')
        assert all(Path(f"/proc/{pid}").is_dir() for pid in up.pids.values()), "they end with their machine"
    finally:
        up._cleanup.close()
