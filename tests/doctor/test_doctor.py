"""simctl doctor tells the truth, on this machine and on poorer ones, and leaves nothing behind."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.doctor import checks as doctor
from orchestrator.runtimes.check import Check
from orchestrator.system import linux

Found = dict[str, Check]


def by_name(found: list[Check]) -> Found:
    assert len({check.name for check in found}) == len(found)
    return {check.name: check for check in found}


def elsewhere(prepare: Callable[[], object]) -> tuple[list[str], Found]:
    """What doctor finds in a forked child that `prepare` made poorer; the runtimes and the checks."""
    import docker  # noqa: F401 - an unprivileged child may not be able to read the libraries
    import pyroute2  # noqa: F401

    doctor.checks()
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        answer: dict[str, Any] = {}
        try:
            prepare()
            found = doctor.checks()
            fields = [[c.name, c.ok, c.found, c.costs, c.get] for c in found]
            answer = {"runtimes": doctor.runtimes(found), "checks": fields}
        except BaseException as error:
            answer = {"error": repr(error)}
        finally:
            os.write(write_end, json.dumps(answer).encode())
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        answer = json.load(pipe)
    os.waitpid(pid, 0)
    assert "error" not in answer, answer["error"]
    return answer["runtimes"], by_name([Check(*fields) for fields in answer["checks"]])


@pytest.mark.netns
def test_here_a_lab_can_be_made() -> None:
    found = by_name(doctor.checks())
    for name in ("linux", "wiring", "socket tables"):
        assert found[name].ok, found[name]
    assert "netns" in doctor.runtimes(list(found.values()))


@pytest.mark.docker
def test_here_an_engine_answers() -> None:
    found = by_name(doctor.checks())
    assert found["docker engine"].ok, found["docker engine"]
    assert "docker" in doctor.runtimes(list(found.values()))


@pytest.mark.vm
def test_here_a_guest_can_run() -> None:
    found = by_name(doctor.checks())
    for name in ("qemu", "vm image", "vm memory"):
        assert found[name].ok, found[name]
    assert "vm" in doctor.runtimes(list(found.values()))


def test_looking_for_an_image_makes_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    image = by_name(doctor.checks())["vm image"]
    assert image.found.startswith("not built") and "built, " not in image.found
    assert list(tmp_path.iterdir()) == []


def test_every_lack_says_what_it_costs_and_how_to_get_it() -> None:
    for check in doctor.checks():
        for text in (check.found, check.costs, check.get):
            assert text.strip() and "\n" not in text, check


@pytest.mark.netns
@pytest.mark.skipif(not Path("/proc/config.gz").exists(), reason="the kernel does not show its configuration")
@pytest.mark.parametrize(("ability", "option"), [("netem", "NET_SCH_NETEM"), ("nftables", "NF_TABLES")])
def test_what_was_tried_agrees_with_the_kernel_s_configuration(ability: str, option: str) -> None:
    configuration = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode().splitlines()
    assert by_name(doctor.checks())[ability].ok is any(f"CONFIG_{option}={how}" in configuration for how in "ym")


def own_state() -> tuple[int, list[int], Path]:
    """Open files, children, network namespace."""
    return (
        len(list(Path("/proc/self/fd").iterdir())),
        linux.descendants(os.getpid()),
        Path("/proc/self/ns/net").readlink(),
    )


def test_it_leaves_nothing_behind() -> None:
    doctor.checks()  # imports open files of their own the first time
    before = own_state()
    doctor.checks()
    assert own_state() == before


def forbid_user_namespaces() -> None:
    """In a user namespace of its own, whose root may forbid further ones."""
    linux.enter_new_user_namespace()
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


@pytest.mark.netns
def test_forbidden_user_namespaces_are_explained_by_the_setting() -> None:
    runtimes, found = elsewhere(forbid_user_namespaces)
    assert found["user namespaces"].ok is False
    assert "user.max_user_namespaces" in found["user namespaces"].get
    assert found["root"].ok is False and found["root"].found == "of a user namespace only"
    assert found["tracing"].ok is False
    assert "netns" in runtimes


def test_an_unprivileged_user(as_root: None) -> None:
    runtimes, found = elsewhere(lambda: os.setresuid(65534, 65534, 65534))
    assert found["root"].ok is False and "65534" in found["root"].found
    assert found["tracing"].ok is False
    assert "docker" not in runtimes
    assert ("netns" in runtimes) is bool(found["user namespaces"].ok)


def test_without_the_right_to_make_namespaces_nothing_runs(as_root: None) -> None:
    setpriv = shutil.which("setpriv")
    assert setpriv
    command = [setpriv, "--bounding-set=-sys_admin", sys.executable, "-m", "orchestrator", "doctor", "--json"]
    # An engine would do it for us, and so would QEMU.
    environment = os.environ | {"DOCKER_HOST": "unix:///nowhere", "PATH": "/nowhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    answer = json.loads(done.stdout)
    root = next(check for check in answer["checks"] if check["name"] == "root")
    assert (done.returncode, answer["runtimes"], root["ok"], done.stderr) == (3, [], False, "")


@pytest.mark.netns
def test_a_machine_without_any_tool(simctl: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    done = simctl("doctor", "--json", env={"PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    answer = json.loads(done.stdout)
    found = {check["name"]: check for check in answer["checks"]}
    assert (done.returncode, answer["runtimes"], done.stderr) == (0, ["netns"], "")
    assert found["docker engine"]["ok"] is False
    assert found["docker images"]["ok"] is None
    assert found["tcpdump"]["get"] == "install what Debian calls tcpdump"


@pytest.mark.netns
def test_the_table_fits_80_columns_and_holds_no_colour_codes(
    simctl: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = simctl("doctor", env={"COLUMNS": ""})
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("Scenarios run here on: netns")


def test_a_folder_without_room_or_rights_is_found(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o444)
    assert by_name(doctor.checks(runs=file))["disk for runs"].ok is False
    assert by_name(doctor.checks(runs=tmp_path / "not" / "yet"))["disk for runs"].ok is True


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"kernel.unprivileged_userns_clone": "0"}, "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            {"kernel.apparmor_restrict_unprivileged_userns": "1", "user.max_user_namespaces": "96365"},
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"kernel.unprivileged_userns_clone": "0", "user.max_user_namespaces": "0"},
            "sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000",
        ),
        ({"user.max_user_namespaces": "96365"}, "no setting forbids them"),
        ({}, "no setting forbids them"),
    ],
)
def test_advice_names_the_setting_that_forbids(settings: dict[str, str], advice: str) -> None:
    assert doctor.userns_advice(settings).startswith(advice)
