"""The runtime vm where something is missing, breaks, hangs or is too small: one clear message each, nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import EnvironmentFailure
from orchestrator.kinds.registry import load_kinds
from orchestrator.recording.folder import RunFolder
from orchestrator.run.options import Options
from orchestrator.run.virtual.execute import VirtualMachine
from orchestrator.topology.compose.file import load_topology
from orchestrator.vm import cache, emulator, snapshot
from orchestrator.vm.exchange import Exchange
from orchestrator.vm.image import ROOTFS
from orchestrator.vm.machine import QEMU, Machine
from orchestrator.vm.snapshot import ensure_snapshot
from tests.conftest import Simctl
from tests.support.refusals import assert_refused

TWO_NODES = "services: {client: {image: simctl/requests}, server: {image: simctl/origin}}\n"


def scenario(folder: Path, *command: str, topology: str = TWO_NODES) -> Path:
    """One that runs a command in the client."""
    (folder / "topology.yaml").write_text(topology)
    path = folder / "made.yaml"
    steps = [{"name": "does", "exec": {"node": "client", "command": command, "timeout": "2h"}}]
    path.write_text(json.dumps({"name": "made", "topology": "topology.yaml", "steps": steps}))
    return path


def silent(text: str) -> None:
    pass


# -- what is not there -------------------------------------------------------------------------------------------------


def test_without_a_way_to_make_the_image_the_packages_are_named(simctl: Simctl, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / QEMU).write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / QEMU).chmod(0o755)
    env = {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "DOCKER_HOST": "unix:///nowhere"}
    done = simctl("run", "session-close", "-r", "vm", env=env)
    assert_refused(done, 3)
    assert "making the guest's root file system needs" in done.stderr
    assert "mmdebstrap" in done.stderr.partition("hint:")[2] and "Docker engine" in done.stderr
    assert [path.name for path in (tmp_path / "cache" / "simctl" / "vm").iterdir()] == ["lock"]
    assert not (tmp_path / "runs").exists(), "no run has begun"


def test_a_foreign_image_is_refused_before_anything_is_made(simctl: Simctl, tmp_path: Path) -> None:
    path = scenario(tmp_path, "true", topology=TWO_NODES.replace("simctl/origin", "nginx"))
    done = simctl("run", path, "-r", "vm", env={"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert_refused(done, 2)
    assert "topology.yaml:1:" in done.stderr and "the image nginx runs under docker only" in done.stderr
    assert not (tmp_path / "cache").exists()


def test_too_little_memory_is_said_before_the_guest_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(emulator, "available_memory", lambda: 100 << 20)
    exchange = Exchange.create()
    with pytest.raises(EnvironmentFailure, match="100 MB are available, 512 MB are needed"):
        emulator.Emulator(Machine("none", tmp_path, tmp_path), exchange, fresh=True, progress=silent).__enter__()
    exchange.close()


# -- the cache: what is used stays, what is old goes -------------------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache.folder()


def obtain(name: str) -> cache.Held:
    return cache.obtain(name, lambda folder: (folder / "file").touch(), space=1, progress=silent)


def test_what_is_held_is_not_removed(own_cache: Path) -> None:
    first, second = obtain("snapshot-1"), obtain("snapshot-1")
    first.close()
    assert not cache.remove(own_cache / "snapshot-1")
    assert (second.path / "file").exists()
    second.close()
    assert cache.remove(own_cache / "snapshot-1")
    assert sorted(path.name for path in own_cache.iterdir()) == ["lock"]


def test_prune_leaves_what_a_run_uses(own_cache: Path, simctl: Simctl) -> None:
    held = obtain("snapshot-used")
    obtain("snapshot-free").close()
    obtain("image-old").close()
    done = simctl("vm", "prune", env={"XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]})
    assert done.returncode == 0, done.stderr
    assert f"kept {held.path}: it is in use" in done.stdout
    assert sorted(path.name for path in own_cache.iterdir()) == ["lock", "snapshot-used"]


def used(name: str, when: int, checkout: str = "own") -> None:
    """Has been made, and was used then, and not before, by that checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "_CHECKOUT", checkout)
        obtain(name).close()
    for path in (cache.folder() / name / f"used-by-{checkout}", cache.folder() / name):
        os.utime(path, (when, when))


def kept(*, each: int = 2, total: int = 1 << 30) -> set[str]:
    cache.keep_newest("snapshot", each=each, total=total)
    return {path.name.removeprefix("snapshot-") for path in cache.entries("snapshot")}


def test_a_new_one_takes_the_place_of_the_oldest(own_cache: Path) -> None:
    for number in range(5):
        used(f"snapshot-{number}", number)
    held = obtain("snapshot-0")
    os.utime(held.path, (0, 0))
    os.utime(held.path / f"used-by-{cache._CHECKOUT}", (0, 0))
    assert kept() == {"4", "3", "0"}
    held.close()


def test_one_checkout_does_not_push_out_what_another_uses(own_cache: Path) -> None:
    used("snapshot-theirs", 0, "other")
    for number in range(1, 5):
        used(f"snapshot-{number}", number)
    assert kept() == {"theirs", "4", "3"}


def test_what_two_checkouts_share_stays_as_long_as_one_of_them_wants_it(own_cache: Path) -> None:
    used("snapshot-shared", 0, "other")
    used("snapshot-shared", 1)
    for number in range(2, 5):
        used(f"snapshot-{number}", number)
    assert kept() == {"shared", "4", "3"}
    for number in range(5, 7):
        used(f"snapshot-{number}", number, "other")
    assert kept() == {"6", "5", "4", "3"}


def test_all_checkouts_together_have_a_bound(own_cache: Path) -> None:
    for number in range(4):
        used(f"snapshot-{number}", number, f"checkout-{number}")
        (own_cache / f"snapshot-{number}" / "file").write_bytes(bytes(1 << 20))
        os.utime(own_cache / f"snapshot-{number}", (number, number))
    assert kept(total=5 << 19) == {"3", "2"}


def test_what_an_older_simctl_made_goes_when_it_is_old(own_cache: Path) -> None:
    for number in range(4):
        used(f"snapshot-{number}", number)
        (own_cache / f"snapshot-{number}" / "used-by-own").unlink()
        os.utime(own_cache / f"snapshot-{number}", (number, number))
    used("snapshot-new", 9)
    assert kept() == {"new", "3", "2"}


def test_what_was_removed_before_it_could_be_held_is_made_again(own_cache: Path) -> None:
    made = 0

    def make(folder: Path) -> None:
        nonlocal made
        made += 1

    cache.obtain("snapshot-1", make, space=1, progress=silent).close()
    cache.remove(own_cache / "snapshot-1")
    assert cache.obtain("snapshot-1", make, space=1, progress=silent).path.is_dir()
    assert made == 2


def test_an_image_that_was_made_again_has_no_snapshot_yet(tmp_path: Path) -> None:
    """A guest that has read the one before would find nonsense in it."""
    (tmp_path / ROOTFS).write_text("blocks")
    before = snapshot._key(sys.executable, tmp_path, [])
    assert snapshot._key(sys.executable, tmp_path, []) == before
    os.utime(tmp_path / ROOTFS, (1, 1))
    assert snapshot._key(sys.executable, tmp_path, []) != before


# -- what breaks inside ------------------------------------------------------------------------------------------------


@pytest.mark.vm
def test_a_panic_shows_the_last_lines_of_the_console(simctl: Simctl, tmp_path: Path) -> None:
    path = scenario(tmp_path, "sh", "-c", "umount /proc/sysrq-trigger; echo c >/proc/sysrq-trigger")
    done = simctl("run", path, "-r", "vm", "-q", "-o", tmp_path / "runs", timeout=110)
    assert_refused(done, 3)
    assert "the guest broke down" in done.stderr
    assert "Kernel panic - not syncing: sysrq triggered crash" in done.stderr


@pytest.fixture(scope="module")
def machine() -> Machine:
    return ensure_snapshot(load_kinds(), silent)


def run_in(machine: Machine, tmp_path: Path, *command: str, silence: float = emulator.SILENCE) -> None:
    path = scenario(tmp_path, *command)
    data: dict[str, Any] = json.loads(path.read_text())
    folder = RunFolder.create(tmp_path / "runs", "made")
    virtual = VirtualMachine(machine, silent, silence=silence)
    virtual.run(data, load_topology(tmp_path / "topology.yaml", {}, kinds=load_kinds()), Options(), folder)


@pytest.mark.vm
def test_a_guest_that_gives_no_sign_hangs(machine: Machine, tmp_path: Path) -> None:
    """It computes for ever; its next sign of life comes after more real time than we grant it."""
    with pytest.raises(EnvironmentFailure, match="the guest hangs: it gave no sign for") as caught:
        run_in(machine, tmp_path, "python3", "-c", "while True: pass", silence=1.0)
    assert caught.value.hint is not None and "--runtime netns" in caught.value.hint


@pytest.mark.vm
def test_a_qemu_that_may_not_have_its_memory_says_so(tmp_path: Path, machine: Machine) -> None:
    command = [sys.executable, "-m", "orchestrator", "run", "session-close", "-r", "vm", "-q"]
    limited = ["sh", "-c", 'ulimit -v 900000; exec "$@"', "sh", *command, "-o", str(tmp_path / "runs")]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=60, check=False)
    assert_refused(done, 3)
    assert "QEMU ended when it was to start" in done.stderr
    assert "Cannot allocate memory" in done.stderr


@pytest.mark.vm
@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("size", ["16k", "32k"])
def test_a_full_disk_under_the_recording(tmp_path: Path, machine: Machine, size: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [sys.executable, "-m", "orchestrator", "run", "session-close", "-r", "vm", "-q", "-o", str(disk)]
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" || exit 99; shift 2; exec "$@"'
    small = ["unshare", "--mount", "sh", "-c", script, "sh", f"size={size}", str(disk), *command]
    done = subprocess.run(small, capture_output=True, text=True, timeout=60, check=False)
    assert_refused(done, 3)
    assert "No space left on device" in done.stderr
    assert "--output" in done.stderr


@pytest.mark.vm
@pytest.mark.usefixtures("as_root")
def test_a_full_disk_under_the_cache(tmp_path: Path, machine: Machine) -> None:
    """The image is there, and there is no room for a snapshot."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        'mount -t tmpfs -o size=64m tmpfs "$1" || exit 99; mkdir -p "$1/simctl/vm"; ln -s "$2" "$1/simctl/vm/"; '
        'export XDG_CACHE_HOME="$1"; shift 2; exec "$@"'
    )
    command = [sys.executable, "-m", "orchestrator", "run", "session-close", "-r", "vm", "-q", "-o", str(tmp_path)]
    small = ["unshare", "--mount", "sh", "-c", script, "sh", str(disk), str(machine.image.resolve()), *command]
    done = subprocess.run(small, capture_output=True, text=True, timeout=60, check=False)
    assert_refused(done, 3)
    assert "GB free, and this needs" in done.stderr
    assert "XDG_CACHE_HOME" in done.stderr
