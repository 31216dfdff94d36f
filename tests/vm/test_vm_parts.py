"""The parts of the runtime vm that need no virtual machine: what is packed is what is unpacked, and nothing escapes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import EnvironmentFailure
from orchestrator.kinds.registry import load_kinds
from orchestrator.vm import bundle, cache
from orchestrator.vm.bootfiles import initramfs
from orchestrator.vm.exchange import AREA, TEXT, Exchange, Full
from orchestrator.vm.qmp import Qmp, QmpClosed, QmpError, QmpTimeout
from orchestrator.vm.recipe import recipe

NAMES = st.text("abcXYZ019._- ", min_size=1, max_size=8).filter(lambda name: name.strip(".") != "")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
SIZES = st.integers(0, 5000) | st.sampled_from([4095, 4096, 1 << 20, (1 << 20) + 1])


def reader(data: bytes) -> Callable[[int], bytes]:
    position = 0

    def read(count: int) -> bytes:
        nonlocal position
        position += count
        return data[position - count : position]

    return read


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    made = Exchange.create()
    yield made
    made.close()


# -- bundles and the exchange ----------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(), st.integers() | st.text()), st.dictionaries(PATHS, SIZES, max_size=4))
def test_what_goes_through_the_exchange_arrives(
    tmp_path_factory: pytest.TempPathFactory, facts: dict[str, Any], sizes: Mapping[str, int]
) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    names = [name for name in sizes if not any(other.startswith(f"{name}/") for other in sizes)]
    contents = {name: bytes(number % 251 for number in range(sizes[name])) for name in names}
    for name, content in contents.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(content)
    made = Exchange.create()
    try:
        made.put(bundle.pack(facts, bundle.tree(folder / "in")))
        assert bundle.unpack(made.reader(), folder / "out") == facts
    finally:
        made.close()
    assert {name: path.read_bytes() for name, path in bundle.tree(folder / "out")} == contents


def test_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "in" / "ss" / "start").mkdir(parents=True)
    (tmp_path / "in" / "ss" / "start" / "client.txt").write_text("x")
    (tmp_path / "in" / "ss" / "load.start").symlink_to("start", target_is_directory=True)
    packed = b"".join(bundle.pack({}, bundle.tree(tmp_path / "in")))
    bundle.unpack(reader(packed), tmp_path / "out")
    assert (tmp_path / "out" / "ss" / "load.start").is_symlink()
    assert (tmp_path / "out" / "ss" / "load.start" / "client.txt").read_text() == "x"


@pytest.mark.parametrize(
    "files",
    [
        [{"path": "../escaped", "size": 0, "mode": 0o644}],
        [{"path": "/escaped", "size": 0, "mode": 0o644}],
        [{"path": "a/../../escaped", "size": 0, "mode": 0o644}],
        [{"path": "link", "link": "../.."}],
        [{"path": "link", "link": "/etc"}],
        [{"path": "a/link", "link": "../../x"}],
        [{"size": 3}],
    ],
)
def test_nothing_leaves_the_folder(tmp_path: Path, files: list[dict[str, object]]) -> None:
    head = json.dumps({"facts": {}, "files": files}).encode()
    with pytest.raises(bundle.BundleError):
        bundle.unpack(reader(len(head).to_bytes(8, "little") + head), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_file_never_goes_through_a_link(tmp_path: Path) -> None:
    files = [{"path": "logs", "link": "other"}, {"path": "logs", "size": 0, "mode": 0o644}]
    head = json.dumps({"facts": {}, "files": files}).encode()
    with pytest.raises(OSError, match="exists"):
        bundle.unpack(reader(len(head).to_bytes(8, "little") + head), tmp_path)


@pytest.mark.parametrize("data", [b"", bytes(64), b"\xff" * 64, (4).to_bytes(8, "little") + b"null"])
def test_what_is_no_bundle_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(bundle.BundleError):
        bundle.unpack(reader(data), tmp_path)


def test_a_result_that_does_not_fit_is_said(exchange: Exchange) -> None:
    small = Exchange(exchange.descriptor, AREA + 8192)
    small.put([b"x" * 8192])
    with pytest.raises(Full):
        small.put([b"x" * 8193])


@given(st.lists(st.text(max_size=3000), max_size=30))
def test_progress_arrives_line_by_line(lines: list[str]) -> None:
    made = Exchange.create()
    try:
        heard = b""
        for line in lines:
            made.say(line)
            heard += made.said(len(heard)).encode()
        assert heard == b"".join(line.replace("\n", " ").encode(errors="replace") + b"\n" for line in lines)
    finally:
        made.close()


def test_endless_progress_does_not_reach_the_result(exchange: Exchange) -> None:
    exchange.put([b"result"])
    for _ in range(AREA // 4096 + 2):
        exchange.say("x" * 4095)
    assert len(exchange.said(0)) <= AREA - TEXT
    assert exchange.reader()(6) == b"result"


# -- what the kernel unpacks -------------------------------------------------------------------------------------------


def cpio(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Name -> mode and content, as the kernel's init/initramfs.c reads it."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, length = numbers[1], numbers[6], numbers[11]
        name = data[at + 110 : at + 109 + length].decode()
        begin = (at + 110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[begin : begin + size])
        at = (begin + size + 3) // 4 * 4


def test_the_initramfs_holds_modules_and_code(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "order").write_text("one\ntwo\n")
    for name in ("modules/one.ko", "modules/two.ko", "busybox"):
        (tmp_path / name).write_bytes(name.encode())
    initramfs(tmp_path, [("orchestrator/deep/code.py", b"code")], tmp_path / "initramfs")
    found = cpio((tmp_path / "initramfs").read_bytes())
    assert found["project/orchestrator/deep/code.py"] == (0o100644, b"code")
    assert found["project/orchestrator/deep"][0] == 0o40755
    assert found["modules/two.ko"] == (0o100644, b"modules/two.ko")
    assert found["init"][0] == 0o100755
    names = list(found)
    assert names.index("project/orchestrator") < names.index("project/orchestrator/deep")


def test_the_recipe_has_what_node_kinds_need_and_the_libraries_as_installed_here() -> None:
    import requests

    made = recipe(load_kinds())
    assert {"python3", "iproute2", "libjetty9-java"} <= set(made.packages)
    assert f"requests=={requests.__version__}" in made.requirements
    assert any(pin.startswith("urllib3==") for pin in made.constraints)
    assert not any(pin.startswith("pytest") for pin in made.constraints)
    assert made.key == recipe(load_kinds()).key
    assert made.key != recipe({name: kind for name, kind in load_kinds().items() if name != "jetty"}).key


# -- the cache ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache.folder()


def silent(text: str) -> None:
    pass


def test_made_once_however_many_ask(own_cache: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("whole")

    def ask() -> None:
        cache.make_once("image-1", make, space=1, progress=silent)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (own_cache / "image-1" / "file").read_text() == "whole"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_half_made_stays(own_cache: Path, error: type[BaseException]) -> None:
    def make(folder: Path) -> None:
        (folder / "half").write_text("")
        raise error

    with pytest.raises(error):
        cache.make_once("image-1", make, space=1, progress=silent)
    assert [path.name for path in own_cache.iterdir()] == ["lock"]


def test_what_a_killed_simctl_left_is_removed(own_cache: Path) -> None:
    (own_cache / "partial-1-x").mkdir()
    cache.make_once("image-1", lambda folder: None, space=1, progress=silent)
    assert sorted(path.name for path in own_cache.iterdir()) == ["image-1", "lock"]


def test_a_full_disk_is_said_before_anything_is_made(own_cache: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="GB free, and this needs"):
        cache.make_once("image-1", lambda folder: None, space=1 << 60, progress=silent)


# -- the monitor -------------------------------------------------------------------------------------------------------


@pytest.fixture
def monitor() -> Iterator[tuple[Qmp, socket.socket]]:
    ours, theirs = socket.socketpair()
    qmp = Qmp(ours)
    yield qmp, theirs
    qmp.close()
    theirs.close()


def test_events_between_question_and_answer_are_kept(monitor: tuple[Qmp, socket.socket]) -> None:
    qmp, theirs = monitor
    theirs.sendall(b'{"event": "STOP"}\n{"return": {"running": false}}\n{"event": "RESUME"}\n')
    assert qmp.command("query-status") == {"running": False}
    assert json.loads(theirs.recv(1000)) == {"execute": "query-status", "arguments": {}}
    assert [qmp.event(1)["event"] for _ in range(2)] == ["STOP", "RESUME"]


def test_what_qemu_refuses_is_told_in_its_words(monitor: tuple[Qmp, socket.socket]) -> None:
    qmp, theirs = monitor
    theirs.sendall(b'{"error": {"class": "GenericError", "desc": "no such thing"}}\n')
    with pytest.raises(QmpError, match="cont: no such thing"):
        qmp.command("cont")


def test_a_silent_and_a_dead_qemu_are_two_things(monitor: tuple[Qmp, socket.socket]) -> None:
    qmp, theirs = monitor
    with pytest.raises(QmpTimeout):
        qmp.command("cont", timeout=0.05)
    theirs.close()
    with pytest.raises(QmpClosed):
        qmp.event(1)
