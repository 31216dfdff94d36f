"""What each verb does, in which order, by a context that only notes what it is asked for."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestrator.errors import EnvironmentFailure, InputError
from orchestrator.fabric.addresses import Virtual
from orchestrator.history.moves import TAKEN
from orchestrator.runtimes.base import ExecResult
from orchestrator.scenario.loader import parse_scenario
from orchestrator.scenario.step import Step
from orchestrator.scenario.steps import STEPS
from orchestrator.scenario.steps.base import Effect
from orchestrator.scenario.steps.signal import SIGNALS
from orchestrator.text.yamlsource import parse_yaml

NETWORKS = {"front": ["client", "proxy"], "back": ["proxy", "server-1", "server-2"]}


@dataclass
class Noting:
    """A lab in which the service `server` has two replicas, and each command ends with `status`."""

    step: str = "now"
    status: int = 0
    befell: int | None = None
    holder: str = "proxy"
    stubborn: Sequence[str] = ()
    """Nodes that do not end when they are asked to."""
    done: list[tuple[Any, ...]] = field(default_factory=list)
    undo: dict[str, Callable[[], None]] = field(default_factory=dict)

    def nodes(self, name: str) -> Sequence[str]:
        return ["server-1", "server-2"] if name == "server" else [] if name in NETWORKS else [name]

    def members(self, network: str) -> Sequence[str]:
        return NETWORKS[network]

    def command(self, nodes: Sequence[str], do: str, within: float | None = None, **fields: Any) -> None:
        self.done.append(("command", *nodes, do, fields))

    def wait(self, seconds: float) -> None:
        self.done.append(("wait", seconds))

    def await_step(self, name: str) -> None:
        self.done.append(("await_step", name))

    def running(self, nodes: Sequence[str], *, noted: bool = True) -> Sequence[str]:
        return nodes

    def signal(self, node: str, number: int, *, alone: bool = False) -> None:
        self.done.append(("signal", node, number, *(["alone"] if alone else [])))

    def still_running(self, nodes: Sequence[str], seconds: float) -> Sequence[str]:
        self.done.append(("still_running", *nodes, seconds))
        return self.stubborn

    def start_programs(self, nodes: Sequence[str], knobs: Mapping[str, str], *, may_fail: bool) -> None:
        self.done.append(("start_programs", *nodes, dict(knobs), may_fail))

    def reload(self, node: str, knobs: Mapping[str, str]) -> None:
        self.done.append(("reload", node, dict(knobs)))

    def note(self, text: str) -> None:
        self.done.append(("note", text))

    def expect_end(self, node: str) -> None:
        self.done.append(("expect_end", node))

    def await_end(self, node: str, seconds: float, after: str) -> None:
        self.done.append(("await_end", node, after))

    def run_command(self, node: str, command: Sequence[str], seconds: float) -> ExecResult:
        self.done.append(("run_command", node, *command, seconds))
        return ExecResult(self.status, "said\n")

    def keep(self, name: str, text: str) -> None:
        self.done.append(("keep", name, text))

    def fault(self, name: str, action: str, node: str, **settings: Any) -> int | None:
        self.done.append(("fault", name, action, node, settings))
        if name == "address" and action == "apply":
            self.holder = node
        return self.befell

    def addresses(self, node: str) -> Sequence[str]:
        return [f"address of {node}"]

    def virtual(self, name: str) -> Virtual:
        return Virtual("198.18.0.9", "lab", self.holder)

    def choose(self, name: str, node: str | None) -> str:
        return "proxy" if node is None else node

    def set_hosts(self, node: str, names: Mapping[str, Sequence[str]] | None) -> None:
        self.done.append(("set_hosts", node, None if names is None else dict(names)))

    def later(self, name: str, undo: Callable[[], None]) -> None:
        self.undo[name] = undo

    def heal(self, name: str) -> None:
        self.undo.pop(name)()

    def record(self, node: str, effect: Effect, **detail: Any) -> None:
        self.done.append(("record", node, effect.recorded, detail))


def perform(step: dict[str, Any], context: Noting | None = None) -> list[tuple[Any, ...]]:
    context = context or Noting()
    Step.model_validate(step).action.perform(context)
    return context.done


def test_between_its_two_lines_a_node_is_surely_off() -> None:
    down = perform({"link": {"node": "client", "up": False, "network": "lab"}})
    assert [what[0] for what in down] == ["fault", "record"]
    assert down[0] == ("fault", "partition", "apply", "client", {"network": "lab"})
    up = perform({"link": {"node": "client", "up": True}})
    assert [what[0] for what in up] == ["record", "fault"]
    assert up[1] == ("fault", "partition", "heal", "client", {"network": None})


def test_between_its_two_lines_a_rule_is_surely_there() -> None:
    """It is taken back by `for`, or by the step that heals it."""
    context = Noting()
    perform({"drop": {"from": "server", "flags": "FIN"}}, context)
    assert [what[0] for what in context.done] == ["fault", "record"]
    _, name, action, node, settings = context.done[0]
    assert (name, action, node) == ("packets", "apply", "server-1")
    assert (settings["rule"], settings["sources"], settings["targets"]) == ("now", ["server-1", "server-2"], None)
    perform({"heal": "now"}, context)
    assert [what[0] for what in context.done[2:]] == ["record", "fault"]
    assert context.done[3] == ("fault", "packets", "heal", "server-1", settings)
    lasting = perform({"reject": {"to": "client", "for": "2s"}})
    assert [what[0] for what in lasting] == ["fault", "record", "wait", "record", "fault"]


def test_between_its_two_lines_nobody_has_the_address() -> None:
    """And whoever had it gets it back by the step that heals it."""
    context = Noting()
    perform({"move": {"address": "vip", "to": "client"}}, context)
    assert [what[:4] for what in context.done] == [
        ("fault", "address", "heal", "proxy"),
        ("record", "proxy", "address given up", {"about": "vip", "address": "198.18.0.9"}),
        ("record", "client", TAKEN, {"about": "vip", "address": "198.18.0.9"}),
        ("fault", "address", "apply", "client"),
    ]
    perform({"heal": "now"}, context)
    assert [what[:4] for what in context.done[4::3]] == [
        ("fault", "address", "heal", "client"),
        ("fault", "address", "apply", "proxy"),
    ]
    assert perform({"move": {"address": "vip", "to": "proxy"}}) == [
        ("note", "proxy had the address vip already: the step now moved nothing")
    ]


def test_a_network_is_lost_to_what_joins_it_with_the_other() -> None:
    fault, *_ = perform({"partition": {"between": ["front", "back"]}})
    assert fault[4] == {
        "rule": "now", "sources": ["proxy"], "targets": ["server-1", "server-2"], "both_ways": True, "network": "back",
    }  # fmt: skip


def test_names_get_their_earlier_meaning_back() -> None:
    context = Noting()
    perform({"hosts": {"node": "server", "set": {"api": "client", "db": []}}}, context)
    perform({"heal": "now"}, context)
    assert [what for what in context.done if what[0] == "set_hosts"] == [
        ("set_hosts", "server-1", {"api": ["client"], "db": []}),
        ("set_hosts", "server-2", {"api": ["client"], "db": []}),
        ("set_hosts", "server-1", None),
        ("set_hosts", "server-2", None),
    ]


def test_a_step_that_closed_nothing_says_so() -> None:
    found = perform({"destroy": {"node": "client", "peer": "server", "port": 80}}, Noting(befell=0))
    peers = ["address of server-1", "address of server-2"]
    assert [what[2] for what in found if what[0] == "record"] == ["destroying", "destroyed"], "around what it does"
    assert found[1] == ("fault", "destroy", "apply", "client", {"peers": peers, "port": 80})
    assert found[-1] == ("note", "the step now closed nothing: client had no connections of port 80 with server")
    assert "note" not in [what[0] for what in perform({"destroy": {"node": "client"}}, Noting(befell=2))]


@pytest.mark.parametrize(
    ("verb", "number", "word"), [("stop", signal.SIGTERM, "stopped"), ("kill", signal.SIGKILL, "killed")]
)
def test_an_end_is_expected_before_it_is_caused(verb: str, number: int, word: str) -> None:
    """And all replicas are told before one is waited for."""
    nodes = ("server-1", "server-2")
    expected: list[tuple[Any, ...]] = []
    for node in nodes:
        expected += [("expect_end", node), ("record", node, word, {}), ("signal", node, number)]
    done = [what for what in perform({verb: "server"}) if what[0] != "still_running"]
    assert done == [*expected, *(("await_end", node, "being killed") for node in nodes)]


def test_who_does_not_end_within_its_grace_is_killed_and_that_is_told() -> None:
    done = perform({"stop": {"node": "server", "grace": "5s"}}, Noting(stubborn=["server-2"]))
    assert done[6:] == [
        ("still_running", "server-1", "server-2", 5.0),
        ("note", "server-2 did not end within 5s of SIGTERM, so it was killed"),
        ("expect_end", "server-2"),
        ("record", "server-2", "killed", {}),
        ("signal", "server-2", signal.SIGKILL),
        ("await_end", "server-1", "being killed"),
        ("await_end", "server-2", "being killed"),
    ]


def test_all_replicas_end_before_one_is_started_again() -> None:
    done = perform({"restart": {"node": "server", "set": {"KEEPALIVE_TIMEOUT": "2s"}, "may_fail": True}})
    knobs = {"KEEPALIVE_TIMEOUT": "2s"}
    assert done[-3:] == [
        ("record", "server-1", "started again", knobs),
        ("record", "server-2", "started again", knobs),
        ("start_programs", "server-1", "server-2", knobs, True),
    ]


def test_a_signal_goes_to_the_main_program_and_may_end_it() -> None:
    assert perform({"signal": {"node": "client", "signal": "SIGUSR2"}}) == [
        ("record", "client", "signal USR2", {}),
        ("signal", "client", signal.SIGUSR2, "alone"),
    ]
    assert perform({"signal": {"node": "client", "signal": "term"}})[0] == ("expect_end", "client")


def test_numbers_of_signals_are_those_of_this_machine() -> None:
    assert {name: signal.Signals[f"SIG{name}"] for name in SIGNALS} == SIGNALS


@pytest.mark.parametrize(
    ("verb", "number", "word"), [("pause", signal.SIGSTOP, "paused"), ("resume", signal.SIGCONT, "resumed")]
)
def test_a_program_that_hangs_or_goes_on(verb: str, number: int, word: str) -> None:
    assert perform({verb: "client"}) == [("signal", "client", number), ("record", "client", word, {})]


def test_a_client_gets_what_the_file_says() -> None:
    ((_, node, do, fields),) = perform({"request": {"from": "client", "url": "http://server/", "interval": "50ms"}})
    assert (node, do, fields["url"], fields["interval"], fields["count"]) == (
        "client",
        "request",
        "http://server/",
        0.05,
        1,
    )
    assert "from" not in fields
    assert "from_" not in fields
    assert perform({"close": {"from": "client", "session": "pool"}}) == [
        ("command", "client", "close", {"session": "pool"})
    ]


def test_a_client_gets_the_pace_that_the_file_says_and_no_more() -> None:
    def fields(more: dict[str, Any]) -> dict[str, Any]:
        ((*_, found),) = perform({"request": {"from": "client", "url": "http://server/", **more}})
        names = ("count", "concurrency", "rate", "duration", "interval", "interval_most", "seed")
        return {name: found[name] for name in names if name in found}

    plain = {"count": 1, "concurrency": 1, "interval": 0}
    assert fields({}) == plain
    assert fields({"rate": 10, "duration": "2.5s"}) == {
        "count": 25, "concurrency": 1000, "interval": 0, "rate": 10.0, "duration": 2.5,
    }  # fmt: skip
    assert fields({"rate": 10, "count": 3, "concurrency": 2}) == plain | {"count": 3, "concurrency": 2, "rate": 10.0}
    assert fields({"duration": "1m"}) == plain | {"count": 1_000_000, "duration": 60.0}
    assert fields({"duration": "1m", "count": 5}) == plain | {"count": 5, "duration": 60.0}
    assert fields({"interval": "1s..2s"}) == plain | {"interval": 1.0, "interval_most": 2.0, "seed": "now"}


def test_a_step_in_the_background_is_awaited() -> None:
    assert perform({"await": "slow"}) == [("await_step", "slow")]


def test_time_passes() -> None:
    step = Step.model_validate({"wait": "1m30s"})
    assert step.action.seconds == 90.0
    assert perform({"wait": "1m30s"}) == [("wait", 90.0)]


def test_output_is_kept_even_of_a_command_that_fails() -> None:
    context = Noting(status=3)
    with pytest.raises(EnvironmentFailure, match="step now: ls in server-1 ended with status 3") as caught:
        perform({"exec": {"node": "server", "command": ["ls", 1]}}, context)
    assert caught.value.detail == ["said"]
    assert context.done == [
        ("run_command", "server-1", "ls", "1", 30.0),
        ("keep", "exec-now-server-1.txt", "said\n"),
        ("record", "server-1", "exec", {"step": "now", "status": 3}),
    ]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"request": {"from": "client", "url": "http://server/"}}, "1 request from client"),
        ({"request": {"from": "client", "url": "http://server/", "count": 2}}, "2 requests from client"),
        ({"wait": "2s"}, "wait 2s"),
        ({"await": "slow"}, "await slow"),
        ({"background": True, "wait": "2s"}, "wait 2s, in the background"),
        ({"at": "start + 1s", "wait": "2s"}, "wait 2s, in the background"),
        (
            {"request": {"from": "client", "url": "http://server/", "rate": 5, "count": 2}},
            "2 requests, 5 a second, from client",
        ),
        (
            {"request": {"from": "client", "url": "http://server/", "duration": "5s"}},
            "requests for 5s from client",
        ),
        ({"close": {"from": "client", "session": "pool"}}, "close session pool of client"),
        ({"stop": "server"}, "stop server"),
        ({"stop": {"node": "server", "grace": "1s"}}, "stop server"),
        ({"kill": "server"}, "kill server"),
        ({"start": "server"}, "start server"),
        ({"restart": {"node": "server"}}, "restart server"),
        ({"reload": "server"}, "reload server"),
        ({"signal": {"node": "server", "signal": "HUP"}}, "SIGHUP to server"),
        ({"pause": "server"}, "pause server"),
        ({"resume": "server"}, "resume server"),
        ({"link": {"node": "server", "up": False, "network": "lab"}}, "link of server in lab down"),
        ({"exec": {"node": "server", "command": ["ss", "-tan"]}}, "exec in server: ss -tan"),
        ({"flush": "nat"}, "flush nat"),
        (
            {"destroy": {"node": "client", "peer": "server", "port": 80}},
            "destroy connections of port 80 with server in client",
        ),
        ({"move": {"address": "vip", "to": "lb-2"}}, "move vip to lb-2"),
        ({"hosts": {"node": "client", "set": {"api": "server", "db": []}}}, "hosts of client: api, db"),
        ({"partition": {"between": ["front", "back"], "for": "2s"}}, "partition between front and back for 2s"),
    ],
)
def test_progress_says_it_in_a_few_words(step: dict[str, Any], said: str) -> None:
    assert Step.model_validate({"name": "now", **step}).describe() == f"now: {said}"


def test_what_a_verb_records_is_what_it_says_that_it_may() -> None:
    """EFFECTS, by which reports understand a recording, is made of what verbs say."""
    steps: dict[str, list[dict[str, Any]]] = {
        "link": [{"node": "a", "up": up} for up in (True, False)],
        "request": [{"from": "a", "url": "http://b/"}],
        "raw": [{"from": "a", "to": "b:1", "do": []}],
        "close": [{"from": "a", "session": "s"}],
        "exec": [{"node": "a", "command": ["true"]}],
        "signal": [{"node": "a", "signal": name} for name in SIGNALS],
        "drop": [{"from": "a", "for": "1s"}],
        "reject": [{"from": "a", "for": "1s"}],
        "partition": [{"between": ["a", "b"], "for": "1s"}],
        "impair": [{"from": "a", "delay": "1s", "for": "1s"}],
        "mtu": [{"node": "a", "bytes": 1000, "for": "1s"}],
        "destroy": [{"node": "a"}],
        "move": [{"address": "vip", "to": "a"}],
        "hosts": [{"node": "a", "set": {"api": "b"}}],
    }
    for kind in STEPS:
        values: list[Any] = steps.get(kind.verb, ["1s" if kind.verb == "wait" else "a"])
        context = Noting(stubborn=["a"], undo={"a": lambda: None})
        done = [what for value in values for what in perform({kind.verb: value}, context)]
        recorded = {what[2] for what in done if what[0] == "record"}
        assert recorded == {effect.recorded for effect in kind.effects}, kind.verb


def test_an_argument_with_a_nul_is_refused_where_it_stands() -> None:
    text = 'name: x\ntopology: t.yaml\nsteps:\n  - exec: {node: a, command: [sh, "a\\0b"]}\n'
    with pytest.raises(InputError, match="contains a NUL") as told:
        parse_scenario(parse_yaml(text, "x.yaml"))
    assert str(told.value.place).startswith("x.yaml:4:")
