"""Images: built exactly when their sources changed; Debian made here without leaving anything; errors that help."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from orchestrator.engine import client as dockerengine
from orchestrator.engine import debian
from orchestrator.errors import EnvironmentFailure
from orchestrator.runtimes.docker import images
from orchestrator.system import resources

if TYPE_CHECKING:
    from docker import APIClient

_PATIENCE = 60.0


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """A library with the real base and two kinds of our own."""
    nodes = tmp_path / "nodes"
    shutil.copytree(resources.NODES / "base", nodes / "base")
    for kind in ("one", "two"):
        (nodes / kind / "parts").mkdir(parents=True)
        (nodes / kind / "Dockerfile").write_text("ARG BASE=simctl/base\nFROM ${BASE}\nCOPY . /simctl/kind/\n")
        (nodes / kind / "parts" / "program.py").write_text("print(1)\n")
    return nodes


# -- what an image is called -----------------------------------------------------------------------------------------


def names(nodes: Path) -> list[str]:
    return list(images.references(["one", "two"], nodes=nodes).values())


def test_a_reference_says_kind_and_content(nodes: Path) -> None:
    one, two = names(nodes)
    assert one.startswith("simctl/one:")
    assert two.startswith("simctl/two:")
    assert len(one.partition(":")[2]) == 12


def test_a_change_in_a_kind_changes_that_kind(nodes: Path) -> None:
    one, two = names(nodes)
    seen = {one}
    program = nodes / "one" / "parts" / "program.py"
    program.write_text("print(2)\n")
    seen.add(names(nodes)[0])
    program.rename(program.with_name("renamed.py"))
    seen.add(names(nodes)[0])
    program.with_name("renamed.py").chmod(0o755)
    seen.add(names(nodes)[0])
    (nodes / "one" / "more").touch()
    seen.add(names(nodes)[0])
    assert len(seen) == 5
    assert names(nodes)[1] == two


def test_a_change_in_the_base_changes_all(nodes: Path) -> None:
    before = names(nodes)
    (nodes / "base" / "init.py").write_text("print('another init')\n")
    assert not set(before) & set(names(nodes))


def test_what_is_no_source_changes_nothing(nodes: Path) -> None:
    before = names(nodes)
    (nodes / "one" / "__pycache__").mkdir()
    (nodes / "one" / "__pycache__" / "program.cpython-311.pyc").touch()
    os.utime(nodes / "one" / "Dockerfile", (0, 0))
    (nodes / "one" / "parts" / "program.py").chmod(0o600)
    assert names(nodes) == before


def test_a_kind_without_a_dockerfile(nodes: Path) -> None:
    (nodes / "one" / "Dockerfile").unlink()
    with pytest.raises(EnvironmentFailure, match=r"node kind one has no image: there is no .*one/Dockerfile"):
        names(nodes)


def test_every_bundled_kind_has_an_image() -> None:
    kinds = [path.parent.name for path in resources.NODES.glob("*/node.yaml")]
    assert set(images.references(kinds)) == set(kinds) != set()


# -- the package archive ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("deb http://ftp.de.example/debian bookworm main\n", "http://ftp.de.example/debian"),
        ("deb [arch=amd64] http://mirror.example:3142/debian/ bookworm main\n", "http://mirror.example:3142/debian"),
        ("Types: deb\nURIs: http://deb.example/debian\nSuites: bookworm\n", "http://deb.example/debian"),
        ("# deb http://commented.example/debian bookworm main\n", None),
        ("deb https://secure.example/debian bookworm main\n", None),
        ("deb http://security.example/debian-security bookworm-security main\n", None),
        ("deb http://archive.ubuntu.example/ubuntu noble main\n", None),
        ("deb cdrom:[Debian 12]/ bookworm main\ndeb-src http://src.example/debian x\n", None),
        ("deb http://user:secret@private.example/debian bookworm main\n", None),
        ("", None),
    ],
)
def test_which_mirror(sources: str, mirror: str | None) -> None:
    assert debian.plain_mirror(["", sources]) == mirror


# -- mmdebstrap leaves nothing --------------------------------------------------------------------------------------

_BOOTSTRAP = """\
import sys
from pathlib import Path
from orchestrator.engine import debian
debian.plain_mirror = lambda sources: sys.argv[2]
with debian._bootstrapped(Path(sys.argv[1]), "amd64", print):
    pass
"""


@pytest.fixture
def mmdebstrap() -> None:
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        if os.environ.get("CI") == "true":
            pytest.fail("needs root and mmdebstrap")
        pytest.skip("needs root and mmdebstrap")


def mentioning(path: Path) -> list[int]:
    """Pids of processes whose command line names the path."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(path) in " ".join(process.info["cmdline"] or [])
    ]


@pytest.mark.usefixtures("mmdebstrap")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_mmdebstrap_leaves_no_process_and_no_mount(tmp_path: Path, number: signal.Signals) -> None:
    """Interrupted while an archive keeps it waiting; what a kill leaves of the folder, the next one removes."""
    root = tmp_path / "debian"
    with socket.socket() as archive:
        archive.bind(("127.0.0.1", 0))
        archive.listen()
        archive.settimeout(_PATIENCE)
        mirror = f"http://127.0.0.1:{archive.getsockname()[1]}/debian"
        with subprocess.Popen(
            [sys.executable, "-c", _BOOTSTRAP, str(root), mirror], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            connection, _ = archive.accept()  # mmdebstrap asks, and gets no answer
            assert len(mentioning(root)) > 1
            process.send_signal(number)
            process.communicate(timeout=_PATIENCE)
            connection.close()
    deadline = time.monotonic() + _PATIENCE
    while mentioning(root):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert str(root) not in Path("/proc/self/mounts").read_text()
    assert root.exists() == (number == signal.SIGKILL)


@pytest.mark.usefixtures("mmdebstrap")
def test_an_archive_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        monkeypatch.setattr(debian, "plain_mirror", lambda sources: f"http://127.0.0.1:{port}/debian")
        with (
            pytest.raises(EnvironmentFailure, match=f"mmdebstrap of bookworm from http://127.0.0.1:{port}") as caught,
            debian._bootstrapped(tmp_path / "debian", "amd64", print),
        ):
            pytest.fail("there is nothing to unpack")
    assert caught.value.detail
    assert not (tmp_path / "debian").exists()


def test_no_mmdebstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EnvironmentFailure, match="mmdebstrap") as caught:
        debian._check_tools()
    assert "apt-get install gpgv mmdebstrap" in (caught.value.hint or "")


# -- with an engine --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client() -> APIClient:
    return dockerengine.connect()


def inspect(client: APIClient, image: str) -> dict[str, Any]:
    found: dict[str, Any] = client.inspect_image(image)  # type: ignore[no-untyped-call]
    return found


@pytest.fixture
def kind(nodes: Path, client: APIClient) -> Iterator[str]:
    """A kind that nobody else has; its images are removed afterwards."""
    kind = f"test-{uuid.uuid4().hex[:8]}"
    (nodes / "one").rename(nodes / kind)
    yield kind
    for image in client.images(f"simctl/{kind}"):
        for tag in image["RepoTags"]:
            client.remove_image(tag, force=True)


@pytest.mark.docker
@pytest.mark.images("host")  # for the Debian that it stands on
@pytest.mark.timeout(400)
def test_built_once_and_again_when_the_sources_change(nodes: Path, kind: str, client: APIClient) -> None:
    said: list[str] = []
    missing = images.missing_images([kind], client=client, nodes=nodes)
    first = images.ensure_images([kind], progress=said.append, client=client, nodes=nodes)
    assert missing == [first[kind]]
    assert [line for line in said if kind in line][-1].startswith(f"image {first[kind]}: built in ")
    labels = inspect(client, first[kind])["Config"]["Labels"]
    assert labels[images.CONTENT_LABEL].startswith(first[kind].partition(":")[2])

    said.clear()
    assert images.missing_images([kind], client=client, nodes=nodes) == []
    assert images.ensure_images([kind], progress=said.append, client=client, nodes=nodes) == first
    assert said == []

    (nodes / kind / "parts" / "program.py").write_text("print(2)\n")
    second = images.ensure_images([kind], progress=said.append, client=client, nodes=nodes)
    assert second != first
    assert said
    latest = inspect(client, f"simctl/{kind}:latest")["Id"]
    assert latest == inspect(client, second[kind])["Id"] != inspect(client, first[kind])["Id"]

    said.clear()
    images.build([kind], progress=said.append, client=client, nodes=nodes)
    assert said == []


@pytest.mark.docker
@pytest.mark.images("host")  # for the Debian that it stands on
@pytest.mark.timeout(400)
def test_a_build_that_fails_shows_its_last_lines(nodes: Path, kind: str, client: APIClient) -> None:
    loop = "for i in $(seq 30); do echo line $i; done"
    (nodes / kind / "Dockerfile").write_text(f"ARG BASE=simctl/base\nFROM ${{BASE}}\nRUN {loop}; exit 3\n")
    with pytest.raises(
        EnvironmentFailure, match=f"cannot build the image simctl/{kind}:.*returned a non-zero code: 3"
    ) as caught:
        images.ensure_images([kind], progress=print, client=client, nodes=nodes)
    assert len(caught.value.detail) == 15
    assert "line 30" in caught.value.detail
    assert images.missing_images([kind], client=client, nodes=nodes)


@pytest.mark.docker
@pytest.mark.images("host")  # for the Debian that it stands on
@pytest.mark.timeout(400)
def test_a_dockerfile_with_a_mistake(nodes: Path, kind: str, client: APIClient) -> None:
    (nodes / kind / "Dockerfile").write_text("FORM simctl/base\n")
    with pytest.raises(EnvironmentFailure, match=f"cannot build the image simctl/{kind}:.*(?i:unknown instruction)"):
        images.ensure_images([kind], progress=print, client=client, nodes=nodes)


@pytest.mark.docker
@pytest.mark.images("host")  # for the Debian that it stands on
@pytest.mark.timeout(400)
def test_one_simctl_builds_at_a_time(
    nodes: Path, kind: str, client: APIClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    waiting = threading.Event()

    def progress(text: str) -> None:
        if "waiting for another simctl" in text:
            waiting.set()

    (tmp_path / "simctl").mkdir()
    with (tmp_path / "simctl" / "images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        arguments = {"progress": progress, "client": client, "nodes": nodes}
        builder = threading.Thread(target=images.build, args=([kind],), kwargs=arguments)
        builder.start()
        assert waiting.wait(_PATIENCE)
        assert images.missing_images([kind], client=client, nodes=nodes)
    builder.join(_PATIENCE * 5)
    assert images.missing_images([kind], client=client, nodes=nodes) == []


@pytest.mark.docker
@pytest.mark.images("host")  # for the Debian that it stands on
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("mmdebstrap")
def test_debian_is_made_here(client: APIClient, tmp_path: Path) -> None:
    """The whole way without a registry, under a tag of its own."""
    tag = f"test-{uuid.uuid4().hex[:8]}"
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    said: list[str] = []
    with debian._bootstrapped(tmp_path / "debian", architecture.stdout.strip(), said.append) as archive:
        debian._import(client, archive, tag, said.append)
    try:
        assert not (tmp_path / "debian").exists()
        assert inspect(client, f"simctl/debian:{tag}")["Size"] < 120e6
        assert len(said) == 3
    finally:
        client.remove_image(f"simctl/debian:{tag}")
