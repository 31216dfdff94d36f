"""`simctl run --capture`: what is in the files, held against the recording of the same run."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.history.build import history_of
from orchestrator.history.model import History
from orchestrator.recording.folder import RunFolder
from orchestrator.tcp.states import TcpState
from tests.conftest import Simctl
from tests.support.components import require
from tests.support.pcapreader import ACK, FIN, RST, SYN, Contents, Segment, read, segments, tcpdump

pytestmark = pytest.mark.netns

SLACK = 0.5
"""Seconds. The wall clock is slewed against the monotonic one, and a busy machine may stop a sampler, or a node that
reports, between its look at the clock and what it looks at. A wrong zero would be off by years."""

TWO_NETWORKS = """
services:
  inner: {image: simctl/requests, networks: [back]}
  outer: {image: simctl/requests, networks: [front]}
  server:
    image: simctl/origin
    networks: [front, back]
    environment: {KEEPALIVE_TIMEOUT: 300ms}
networks: {front: {internal: true}, back: {internal: true}}
"""

SCENARIO = """
name: two-networks
topology: compose.yaml
steps:
  - name: idle
    request: {from: inner, url: "http://server:8080/", session: kept, count: 3}
  - name: expire
    wait: 900ms
  - name: short
    request: {from: outer, url: "http://server:8080/bytes/200000", count: 20}
  - name: refused
    request: {from: outer, url: "http://server:9/", count: 2}
  - name: settle
    wait: 200ms
expect:
  - that: the idle server closes first
    at: end
    server: {first_fin: 1..}
"""


@dataclass(frozen=True)
class Captured:
    """A run, and what its files hold by network."""

    folder: Path
    history: History
    files: dict[str, Contents]

    def segments(self) -> list[Segment]:
        return [segment for contents in self.files.values() for segment in segments(contents)]


@pytest.fixture(
    scope="module",
    params=[
        "netns session-close",
        "netns two-networks",
        pytest.param("docker session-close", marks=[pytest.mark.docker, pytest.mark.images("origin", "requests")]),
    ],
)
def captured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Captured:
    runtime, _, name = request.param.partition(" ")
    require(runtime)
    folder = tmp_path_factory.mktemp(name)
    if name == "two-networks":
        (folder / "compose.yaml").write_text(TWO_NETWORKS)
        (folder / "scenario.yaml").write_text(SCENARIO)
        name = str(folder / "scenario.yaml")
    argv = [sys.executable, "-m", "orchestrator", "run", name, "-r", runtime, "-q", "--capture", "-o", folder / "runs"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (run,) = (folder / "runs").iterdir()
    files = {path.stem: read(path.read_bytes()) for path in (run / "captures").iterdir()}
    assert all(path.suffix == ".pcapng" for path in (run / "captures").iterdir())
    return Captured(run, history_of(RunFolder.open(run)), files)


def by_connection(found: list[Segment]) -> dict[frozenset[str], list[Segment]]:
    connections: dict[frozenset[str], list[Segment]] = defaultdict(list)
    for segment in found:
        connections[frozenset({segment.local, segment.peer})].append(segment)
    return connections


def test_one_file_for_each_network(captured: Captured) -> None:
    names = {network: sorted(contents.interface_names()) for network, contents in captured.files.items()}
    if "lab" in names:
        assert names == {"lab": ["client:eth0", "server:eth0"]}
    else:
        assert set(names) == {"front", "back"}
        assert [name.partition(":")[0] for name in names["front"]] == ["outer", "server"]
        assert [name.partition(":")[0] for name in names["back"]] == ["inner", "server"]
        server = [name for found in names.values() for name in found if name.startswith("server:")]
        assert sorted(server) == ["server:eth0", "server:eth1"]


def test_the_interface_of_a_frame_names_its_sender(captured: Captured) -> None:
    found = captured.segments()
    assert found
    for segment in found:
        assert segment.sender == captured.history.addresses[segment.local.partition(":")[0]]
    for contents in captured.files.values():
        assert contents.names.items() <= captured.history.addresses.items()
        assert set(contents.names.values()) == {name.partition(":")[0] for name in contents.interface_names()}


def test_every_frame_is_there_once(captured: Captured) -> None:
    counts = Counter(packet.data for contents in captured.files.values() for packet in contents.packets)
    # Two ARP requests can be the same to the last bit, and they are not what is asked here.
    assert [frame for frame, count in counts.items() if count > 1 and frame[12:14] == b"\x08\x00"] == []


def test_flags_agree_with_the_kernels_counters(captured: Captured) -> None:
    """Every SYN but the retransmitted is an ActiveOpens of its sender, every RST an OutRsts."""
    for node in captured.history.nodes:
        counters = {name: readings[-1][1] for name, readings in captured.history.counters[node].items()}
        sent = [segment for segment in captured.segments() if segment.sender == node]
        syns = {(each.local, each.seq, each.has(ACK)) for each in sent if each.has(SYN)}
        assert sum(not ack for _, _, ack in syns) == counters["ActiveOpens"]
        assert sum(ack for _, _, ack in syns) == counters["PassiveOpens"]
        assert sum(each.has(RST) for each in sent) == counters["OutRsts"]


def test_who_sent_the_first_fin(captured: Captured) -> None:
    wire = by_connection(captured.segments())
    closers = set()
    for connection in captured.history.connections:
        if connection.closing.first_closer is None:
            continue
        socket = connection.client or connection.server
        assert socket is not None
        ends = [each for each in wire[frozenset({socket.local, socket.peer})] if each.flags & (FIN | RST)]
        assert ends[0].sender == connection.closing.first_closer
        closers.add(connection.closing.first_closer)
    assert closers == ({"client"} if "lab" in captured.files else {"server", "outer"})


def test_flags_agree_with_the_states(captured: Captured) -> None:
    """A state that a sample saw has its reason on the wire, and before it."""
    wire = by_connection(captured.segments())
    seen: Counter[TcpState] = Counter()
    for socket in captured.history.sockets:
        found = wire[frozenset({socket.local, socket.peer})]
        for interval in socket.intervals:
            if interval.state is TcpState.LISTEN:
                continue
            before = [each for each in found if each.t <= interval.last + SLACK]
            mine = any(each.has(FIN) for each in before if each.local == socket.local)
            theirs = any(each.has(FIN) for each in before if each.local == socket.peer)
            match interval.state:
                case TcpState.ESTABLISHED:
                    assert any(each.has(SYN) for each in before)
                case TcpState.CLOSE_WAIT:
                    assert theirs
                case TcpState.FIN_WAIT2:
                    assert mine
                case TcpState.TIME_WAIT:
                    assert mine
                    assert theirs
            seen[interval.state] += 1
    assert seen[TcpState.TIME_WAIT] > 0
    assert seen[TcpState.ESTABLISHED] > 0


def test_times_are_on_the_runs_clock(captured: Captured) -> None:
    """A request that opens a connection has sent its SYN between its begin and its end."""
    wire = by_connection(captured.segments())
    opening = [request for request in captured.history.requests if request.get("nth") == 1 and request.get("local")]
    assert opening
    for request in opening:
        first = wire[frozenset({request["local"], request["peer"]})][0]
        assert first.has(SYN)
        assert request["t0"] - SLACK <= first.t <= request["t"] + SLACK


def test_payload_is_whole(captured: Captured) -> None:
    answered = [request for request in captured.history.requests if request.get("status") == 200]
    wanted = 200_000 * sum("/bytes/" in request["url"] for request in answered)
    servers = sum(segment.payload for segment in captured.segments() if segment.sender == "server")
    assert servers > wanted + 50 * len(answered)


def test_the_file_and_the_recording_tell_the_losses(captured: Captured) -> None:
    for network, contents in captured.files.items():
        assert contents.dropped() == 0
        assert len(contents.statistics) == len(contents.interfaces)
        note = f"capture: {len(contents.packets)} frames in captures/{network}.pcapng, none dropped by the kernel"
        assert note in captured.history.notes


def test_tcpdump_reads_them(captured: Captured) -> None:
    for network, contents in captured.files.items():
        path = captured.folder / "captures" / f"{network}.pcapng"
        assert len(tcpdump(path)) == len(contents.packets)
        fins = [each for each in segments(contents) if each.has(FIN)]
        assert len(tcpdump(path, "tcp[tcpflags] & tcp-fin != 0")) == len(fins)


def test_no_capture_without_the_flag(simctl: Simctl, tmp_path: Path) -> None:
    done = simctl("run", "session-close", "-r", "netns", "-q", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "runs").rglob("*.pcapng")) == []
    assert list((tmp_path / "runs").glob("*/captures")) == []
    assert "capture" not in done.stdout


def test_rootless_in_a_user_namespace(tmp_path: Path) -> None:
    argv = ["unshare", "--user", "--map-user=1000", "--map-group=1000", sys.executable, "-m", "orchestrator"]
    argv += ["run", "session-close", "-r", "netns", "--capture", "-o", str(tmp_path / "runs")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (file,) = (tmp_path / "runs").glob("*/captures/lab.pcapng")
    first = next(each for each in segments(read(file.read_bytes())) if each.flags & (FIN | RST))
    assert first.sender == "client"
