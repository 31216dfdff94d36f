"""The step `link`: what it cuts, what it leaves alone, and what a scenario may say of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.fabric.faults.partition import pinned
from orchestrator.fabric.wiring import Leg
from orchestrator.run.options import Options
from orchestrator.run.prepare import prepare
from tests.conftest import Simctl
from tests.support.node_process import CLIENT, ORIGIN
from tests.support.vanishing import GET, pair, passed, write


@pytest.mark.netns
def test_the_nodes_own_view_does_not_change(simctl: Simctl, tmp_path: Path) -> None:
    """Interfaces, carrier, addresses, routes; and a node reaches itself."""
    looks = [
        f"{{name: {name}-{what}, exec: {{node: {node}, command: [ip, {what}]}}}}"
        for name in ("before", "cut")
        for node in ("client", "server")
        for what in ("address", "route")
    ]
    half = len(looks) // 2
    looks = [look.replace("name: ", f"name: {number}-", 1) for number, look in enumerate(looks)]
    looks = [f"{{name: s{look[len('{name: ') :]}" for look in looks]
    myself = "import urllib.request as u; u.urlopen('http://server:8080/', timeout=5).read()"
    scenario = write(
        tmp_path,
        pair("net.ipv4.tcp_retries2: 3"),
        [
            f"{{name: load, request: {GET}}}",
            *looks[:half],
            "{name: vanish, link: {node: server, up: false}}",
            *looks[half:],
            f'{{name: self, exec: {{node: server, command: ["{sys.executable}", -c, "{myself}"]}}}}',
        ],
    )
    done = simctl("run", scenario, "-r", "netns", "--allow-exec", "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    (logs,) = (tmp_path / "runs").glob("*/logs")
    for what in ("address", "route"):
        for node in ("client", "server"):
            before, cut = sorted(logs.glob(f"exec-s*-{what}-{node}.txt"))
            assert before.read_text() == cut.read_text() != ""
    assert "LOWER_UP" in next(logs.glob("exec-s*-address-server.txt")).read_text()


@pytest.mark.netns
def test_one_network_of_several(simctl: Simctl, tmp_path: Path) -> None:
    topology = """\
services:
  client: {image: simctl/requests, networks: [front, back]}
  server:
    image: simctl/origin
    networks: {front: {aliases: [in-front]}, back: {aliases: [behind]}}
networks: {front: {internal: true}, back: {internal: true}}
"""

    def get(name: str, host: str) -> str:
        return f'{{name: {name}, request: {{from: client, url: "http://{host}:8080/", timeout: 500ms}}}}'

    scenario = write(
        tmp_path,
        topology,
        [
            get("both-1", "in-front"),
            get("both-2", "behind"),
            "{name: vanish, link: {node: server, network: back, up: false}}",
            get("still", "in-front"),
            get("lost", "behind"),
            "{name: again, link: {node: server, up: false}}",
            get("lost-too", "in-front"),
            "{name: return, link: {node: server, network: back, up: true}}",
            get("back", "behind"),
            get("lost-still", "in-front"),
            "{name: whole, link: {node: server, up: true}}",
            get("front", "in-front"),
        ],
        [
            f"{{that: {step} is lost, over: {step}.start .. {step}.end, client: {{errors: {{ConnectTimeout: 1}}}}}}"
            for step in ("lost", "lost-too", "lost-still")
        ]
        + [
            f"{{that: {step} arrives, over: {step}.start .. {step}.end, client: {{requests: 1, errors: 0}}}}"
            for step in ("both-1", "both-2", "still", "back", "front")
        ],
    )
    passed(simctl("run", scenario, "-r", "netns", "--format", "json"))


@pytest.mark.netns
def test_one_replica_comes_back_and_the_other_does_not(simctl: Simctl, tmp_path: Path) -> None:
    topology = (
        "services:\n  client: {image: simctl/requests, networks: [lab]}\n"
        "  server: {image: simctl/origin, networks: [lab], deploy: {replicas: 2}}\nnetworks: {lab: {internal: true}}\n"
    )
    scenario = write(
        tmp_path,
        topology,
        [
            "{name: vanish, link: {node: server, up: false}}",
            "{name: back, link: {node: server-1, up: true}}",
            '{name: one, request: {from: client, url: "http://server-1:8080/", timeout: 2s}}',
            '{name: two, request: {from: client, url: "http://server-2:8080/", timeout: 500ms}}',
        ],
        [
            "{that: server-1 is back, over: one.start .. one.end, client: {requests: 1, errors: 0}}",
            "{that: server-2 is not, over: two.start .. two.end, client: {errors: {ConnectTimeout: 1}}}",
        ],
    )
    passed(simctl("run", scenario, "-r", "netns", "--format", "json"))


@pytest.mark.netns
def test_power_loss_sends_no_fin(simctl: Simctl, tmp_path: Path) -> None:
    """Cut off and then killed: the dead node's kernel sends its FIN into the void. Restored, the FIN arrives."""
    scenario = write(
        tmp_path,
        pair("net.ipv4.tcp_retries2: 15"),
        [
            f"{{name: load, request: {GET}}}",
            "{name: idle, wait: 500ms}",
            "{name: vanish, link: {node: server, up: false}}",
            "{name: unplugged, kill: server}",
            "{name: silence, wait: 1s}",
            "{name: back, link: {node: server, up: true}}",
            "{name: settle, wait: 5s}",
        ],
        [
            "{that: the FIN does not arrive, at: silence.end, client: {ESTABLISHED: 1}, server: {FIN_WAIT1: 1}}",
            "{that: sent again it does, eventually: back.start .. settle.end, client: {CLOSE_WAIT: 1}}",
        ],
    )
    passed(simctl("run", scenario, "-r", "netns", "--format", "json"))


# -- pure ------------------------------------------------------------------------------------------------------------

LEGS = [
    Leg(f"n{number}", f"eth{network}", f"net{network}", f"198.18.{network}.{number + 2}", 24)
    for number in range(4)
    for network in range(2)
]


@given(st.frozensets(st.sampled_from(LEGS)))
def test_entries_are_permanent_exactly_between_those_that_cannot_reach_each_other(cut: frozenset[Leg]) -> None:
    found = pinned(LEGS, cut)
    for one in LEGS:
        for other in LEGS:
            apart = one.network == other.network and one != other and (one in cut or other in cut)
            assert ((one, other) in found) == apart


@pytest.mark.parametrize(
    ("link", "says", "hint"),
    [
        ("{node: sever, up: false}", "no node is called sever", "did you mean server?"),
        ("{node: server, network: lap, up: false}", "server is not on a network lap", "did you mean lab?"),
        ("{node: server, network: other, up: true}", "server is not on a network other", "known: lab"),
        ("{node: server}", "`up` is missing in link", "cuts it off"),
        ("{node: server, up: 0}", "`up`: expected true or false, not the number 0", None),
        ('{node: server, up: "no"}', "`up`: expected true or false, not the text 'no'", None),
        ("{node: server, up: true, down: true}", "unknown key down in link", "known: node, up, network"),
        ("server", "`link`: expected a mapping", None),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, link: str, says: str, hint: str | None) -> None:
    path = write(tmp_path, pair(), [f"{{name: vanish, link: {link}}}"])
    with pytest.raises(InputError) as caught:
        prepare(path, Options())
    (problem, *_) = caught.value.problems or [caught.value]
    assert says in problem.message
    assert hint is None or hint in (problem.hint or "")
    assert problem.place is not None
    assert problem.place.line == 4


@pytest.mark.parametrize("argv", [CLIENT, ORIGIN])
def test_a_wrong_keepalive_knob_is_refused(argv: list[str]) -> None:
    done = subprocess.run(
        argv, env={"TCP_KEEPALIVE": "maybe"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"{argv[-1].split('/')[-2]}: TCP_KEEPALIVE: expected true or false, not 'maybe'"
    ]
