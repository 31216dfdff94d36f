"""Reading scenarios: each mistake gives one plain message at the line and column where it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InputError, Place
from orchestrator.exitcodes import ExitCode
from orchestrator.scenario.facts import FACTS
from orchestrator.scenario.loader import load_scenario, parse_scenario
from orchestrator.scenario.model import Scenario
from orchestrator.scenario.steps.request import Request
from orchestrator.scenario.values import Moment, Range
from orchestrator.system import resources
from orchestrator.text.yamlsource import parse_yaml

HEAD = "name: demo\ntopology: lab.yaml\n"
STEPS = 'steps:\n  - name: load\n    request: {from: client, url: "http://server/"}\n'
EXPECT = HEAD + STEPS + "expect:\n"
"""Ends with line 6."""


def parse(text: str) -> Scenario:
    return parse_scenario(parse_yaml(text, "s.yaml"))


def problems(text: str) -> list[InputError]:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value.problems


def test_the_bundled_example() -> None:
    loaded = load_scenario(resources.SCENARIOS / "idle-close.yaml")
    assert loaded.topology_path == resources.COMPOSE / "client-server.yaml"
    assert [step.verb for step in loaded.scenario.steps] == ["request", "wait", "request"]
    assert loaded.scenario.expect[1].when == ("at", Moment("idle", "end"))
    assert loaded.scenario.expect[1].nodes["client"].named() == {
        "CLOSE_WAIT": Range(1, 1),
        "recv_q": {"CLOSE_WAIT": Range(1, 1)},
    }


def test_what_yaml_reads_as_numbers_is_text_in_variables_and_headers() -> None:
    scenario = parse(
        HEAD
        + "set: {PORT: 8080, LEAK: true, T: 5s}\n"
        + "steps:\n  - request: {from: c, url: 'http://s/', headers: {X: 1}, body: 5}\n"
    )
    assert scenario.set == {"PORT": "8080", "LEAK": "true", "T": "5s"}
    request = scenario.steps[0].action
    assert isinstance(request, Request)
    assert (request.headers, request.body) == ({"X": "1"}, "5")


def test_steps_without_a_name_are_named_by_verb_and_position() -> None:
    scenario = parse(HEAD + "steps:\n  - wait: 1s\n  - name: x\n    kill: server\n  - wait: 0\n")
    assert [step.name for step in scenario.steps] == ["wait-1", "x", "wait-3"]


STEP = HEAD + "steps:\n  - "
"""Ends in line 4, before column 5."""
FACT = EXPECT + "  - that: x\n    "
"""Ends in line 8, before column 5."""


@pytest.mark.parametrize(
    ("text", "line", "column", "says", "hint"),
    [
        # the file
        (f"titel: x\n{HEAD}{STEPS}", 1, 1, "unknown key titel in the scenario", "did you mean title?"),
        (f"topology: t.yaml\n{STEPS}", 1, 1, "`name` is missing in the scenario", "name: letters"),
        (f"name: a b\ntopology: t\n{STEPS}", 1, 7, "`name`: the text 'a b' does not fit", "letters, digits"),
        (f"name: {'a' * 81}\ntopology: t\n{STEPS}", 1, 7, "`name`: must have at most 80 characters", None),
        (f"name: 5\ntopology: t\n{STEPS}", 1, 7, "`name`: expected text, not the number 5", 'quote it: "5"'),
        (f"name: a\ntopology: ''\n{STEPS}", 2, 11, "`topology`: must not be empty", None),
        (f"{HEAD}set: {{A: [1]}}\n{STEPS}", 3, 10, "`A`: expected text, not a list", None),
        (f"{HEAD}set: 5\n{STEPS}", 3, 6, "`set`: expected a mapping, not the number 5", "write"),
        (f"{HEAD}set: {{A: }}\n{STEPS}", 3, 7, "`A` has no value", "write one, or remove it"),
        (f"{HEAD}source: psf/requests\n{STEPS}", 3, 9, "`source`: expected a list, not the text", "write `[a, b]`"),
        (f"{HEAD}steps: []\n", 3, 8, "`steps`: must not be empty", None),
        (f"{HEAD}steps: load\n", 3, 8, "`steps`: expected a list, not the text 'load'", "write"),
        # steps
        (f"{STEP}load\n", 4, 5, "`steps`: expected a mapping, not the text 'load'", "write"),
        (f"{STEP}\n", 4, 4, "an empty item", "write one"),
        (f"{STEP}name: x\n", 4, 5, "a step has exactly one verb, this one has none", "the verbs: request, raw, wait"),
        (f"{STEP}wait: 1s\n    stop: a\n", 5, 5, "this one has wait and stop", "the verbs"),
        (f"{STEP}wiat: 1s\n", 4, 5, "unknown key wiat in a step", "did you mean wait?"),
        (f"{STEP}wait: 8\n", 4, 11, "`wait`: a duration needs a unit: write 8s or 8ms", None),
        (f"{STEP}wait: soon\n", 4, 11, "expected a duration such as 8s, 500ms or 2m, not the text 'soon'", None),
        (f"{STEP}{{wait: 1s, name: end}}\n", 4, 22, "cannot name a step", None),
        (f"{STEP}{{wait: 1s, name: a b}}\n", 4, 22, "cannot name a step", None),
        (f"{STEP}{{wait: 1s, name: x}}\n  - {{wait: 1s, name: x}}\n", 5, 22, "two steps are named x", "x.end"),
        (f"{STEP}{{wait: 1s, name: wait-2}}\n  - {{wait: 1s}}\n", 5, 5, "two steps are named wait-2", "wait-2.end"),
        (f"{STEP}request: {{from: c}}\n", 4, 5, "`url` is missing in request", "url: absolute"),
        (f"{STEP}request: {{from: c, url: /}}\n", 4, 29, "expected an absolute URL", None),
        (f"{STEP}request: {{from: c, url: 'https://s/'}}\n", 4, 29, "http:// instead of https://", None),
        (f"{STEP}request: {{from: c, url: 'http://s:x/'}}\n", 4, 29, "expected an absolute URL", None),
        (f"{STEP}request: {{from: c, url: 'http://s/', count: 0}}\n", 4, 49, "must be at least 1, not 0", None),
        (f"{STEP}request: {{from: c, url: 'http://s/', count: '5'}}\n", 4, 49, "a whole number", "remove the quotes"),
        (f"{STEP}request: {{from: c, url: 'http://s/', count: yes}}\n", 4, 49, "a whole number, not true", None),
        (f"{STEP}request: {{from: c, url: 'http://s/', timeout: 0}}\n", 4, 51, "must be above 0, not 0", None),
        (f"{STEP}request: {{from: c, url: 'http://s/', method: get}}\n", 4, 50, "does not fit", "in capitals"),
        (f"{STEP}request: {{form: c, from: c, url: 'http://s/'}}\n", 4, 15, "unknown key form in request", "from?"),
        (f"{STEP}close: {{from: c}}\n", 4, 5, "`session` is missing in close", "session: name"),
        (f"{STEP}exec: {{node: c, command: ls -l}}\n", 4, 30, "`command`: expected a list", "write"),
        (f"{STEP}exec: {{node: c, command: []}}\n", 4, 30, "`command`: must not be empty", None),
        (f"{STEP}close: {{from: c, session: a b}}\n", 4, 31, "`session`: the text 'a b' is no name", None),
        # expectations
        (f"{EXPECT}  - client: {{TIME_WAIT: 1}}\n", 7, 5, "`that` is missing in an expectation", "that: the sentence"),
        (f"{EXPECT}  - that: 5\n    client: {{TIME_WAIT: 1}}\n", 7, 11, "`that`: expected text", 'quote it: "5"'),
        (f"{EXPECT}  - that: x\n", 7, 5, "at least one node with facts", "for one"),
        (f"{FACT}client: {{}}\n", 8, 5, "the node client has no facts", "for one"),
        (f"{FACT}client: 3\n", 8, 13, "expected facts of the node client, a mapping, not the number 3", "for one"),
        (f"{FACT}client:\n", 8, 5, "`client` has no value", "write one"),
        (f"{FACT}client: {{TIME_WAIT: }}\n", 8, 14, "`TIME_WAIT` has no value", "write one"),
        (f"{FACT}client: {{CLOSEWAIT: 1}}\n", 8, 14, "unknown fact CLOSEWAIT of the node client", "CLOSE_WAIT?"),
        (f"{FACT}client: {{zzz: 1}}\n", 8, 14, "unknown fact zzz of the node client", "known: SYN_SENT"),
        (f"{FACT}client: {{TIME_WAIT: x}}\n", 8, 25, "`TIME_WAIT`: expected a count such as 100, 9..11", None),
        (f"{FACT}client: {{TIME_WAIT: 5..3}}\n", 8, 25, "its low end is above its high end", None),
        (f"{FACT}client: {{TIME_WAIT: -1}}\n", 8, 25, "not the number -1", None),
        (f"{FACT}client: {{recv_q: 1}}\n", 8, 22, "`recv_q`: expected a mapping, not the number 1", "write"),
        (f"{FACT}client: {{recv_q: {{}}}}\n", 8, 22, "`recv_q`: must not be empty", None),
        (f"{FACT}client: {{recv_q: {{TIMEWAIT: 1}}}}\n", 8, 23, "unknown state TIMEWAIT", "mean TIME_WAIT?"),
        (f"{FACT}client: {{counters: {{ListenDrop: 1}}}}\n", 8, 25, "unknown counter ListenDrop", "mean ListenDrops?"),
        (f"{FACT}client: {{duration: {{p59: 1s}}}}\n", 8, 25, "unknown percentile p59", "p99?"),
        (f"{FACT}client: {{duration: {{p50: 1}}}}\n", 8, 30, "`p50`: a duration needs a unit: write 1s or 1ms", None),
        (f"{FACT}client: {{duration: 3}}\n", 8, 24, "`duration`: a duration needs a unit: write 3s or 3ms", None),
        (f"{FACT}client: {{bytes: {{send: 1}}}}\n", 8, 22, "unknown direction send", "mean sent?"),
        (f"{FACT}client: {{bytes: 1}}\n", 8, 21, "`bytes`: expected a mapping, not the number 1", "{key: value}"),
        (
            f"{FACT}client: {{keepalive_probes: {{lost: 1}}}}\n",
            8,
            33,
            "unknown kind of probes lost",
            "sent, unanswered",
        ),
        (f"{FACT}client: {{conntrack: {{TIMEWAIT: 1}}}}\n", 8, 26, "unknown state of an entry TIMEWAIT", "TIME_WAIT?"),
        (f"{FACT}client: {{zero_windows: some}}\n", 8, 28, "`zero_windows`: expected a count such as 100", None),
        (f"{FACT}client: {{recv_q: {{CLOSING: x}}}}\n", 8, 32, "`CLOSING`: expected a count", None),
        (f"{FACT}client: {{errors: {{Reset: x}}}}\n", 8, 30, "`Reset`: expected a count", None),
        (f"{FACT}client: {{errors: x}}\n", 8, 22, "`errors`: expected a count", None),
        (f"{FACT}client: {{lasts: {{TIME_WAIT: 60}}}}\n", 8, 33, "`TIME_WAIT`: a duration needs a unit", None),
        (f"{FACT}client: {{closed_by: 1}}\n", 8, 25, "`closed_by`: expected a mapping", "write"),
        (f"{FACT}alwyas: start .. end\n    c: {{LISTEN: 1}}\n", 8, 5, "unknown key alwyas", "did you mean always?"),
        (f"{FACT}wehre: {{port: 1}}\n    c: {{LISTEN: 1}}\n", 8, 5, "unknown key wehre", "did you mean where?"),
        (f"{FACT}where: {{prot: 1}}\n    c: {{LISTEN: 1}}\n", 8, 13, "unknown key prot in where", "did you mean port?"),
        (f"{FACT}where: {{port: 70000}}\n    c: {{LISTEN: 1}}\n", 8, 19, "must be at most 65535, not 70000", None),
        (f"{FACT}at: load\n    c: {{LISTEN: 1}}\n", 8, 9, "`at`: expected a moment such as load.end", None),
        (f"{FACT}over: load.end\n    c: {{resets: 1}}\n", 8, 11, "`over`: expected a window such as", None),
        (f"{FACT}for: 3s\n    c: {{LISTEN: 1}}\n", 8, 5, "`for` goes with `eventually` only", None),
        (
            f"{FACT}at: end\n    over: start .. end\n    c: {{resets: 1}}\n",
            9,
            5,
            "at most one when, not at and over",
            None,
        ),
        # what the kinds forbid
        (f"{FACT}over: start .. end\n    c: {{LISTEN: 1}}\n", 9, 9, "LISTEN is a gauge, so `over`", "use `at` or"),
        (f"{FACT}always: start .. end\n    c: {{resets: 1}}\n", 9, 9, "resets is a counter", "use `over` or `at`"),
        (f"{FACT}at: end\n    c: {{lasts: {{LISTEN: 1s}}}}\n", 9, 9, "lasts is a duration", "use `over`"),
        (f"{FACT}never: start .. end\n    c: {{LISTEN: 1}}\n", 9, 17, "LISTEN must be 0, not 1", "`always`"),
        (f"{FACT}never: start .. end\n    c: {{send_q: {{LISTEN: 0}}}}\n", 9, 9, "send_q is a queue", "use `at` or"),
    ],
)
def test_one_mistake(text: str, line: int, column: int, says: str, hint: str | None) -> None:
    found = problems(text)
    assert [str(problem) for problem in found[1:]] == []
    assert found[0].place == Place(Path("s.yaml"), line, column)
    assert says in found[0].message
    assert (found[0].hint is None) == (hint is None)
    assert (hint or "") in (found[0].hint or "")


def test_all_mistakes_are_reported_at_once_and_in_order() -> None:
    text = f"{HEAD}titel: x\nsteps:\n  - wait: 8\n  - {{}}\nexpect:\n  - that: y\n    client: {{X: 1, TIME_WAIT: y}}\n"
    found = problems(text)
    assert [(problem.place.line, problem.place.column) for problem in found if problem.place] == [
        (3, 1),
        (5, 11),
        (6, 5),
        (9, 14),
        (9, 31),
    ]


def test_never_fits_every_gauge_and_zero_only() -> None:
    assert parse(f"{FACT}never: start .. end\n    c: {{LISTEN: 0, others: 0}}\n").expect[0].when is not None


@pytest.mark.parametrize("when", ["at: end", "always: start .. end", "eventually: start .. end", "over: start .. end"])
@pytest.mark.parametrize("fact", FACTS)
def test_the_kind_decides_which_when_is_legal(fact: str, when: str) -> None:
    kind = FACTS[fact].kind
    value = {
        "recv_q": "{LISTEN: 0}",
        "send_q": "{LISTEN: 0}",
        "lasts": "{LISTEN: 1s}",
        "closed_by": "{idle: 1}",
        "counters": "{TW: 1}",
        "keepalive_probes": "{sent: 1}",
        "bytes": "{sent: 1}",
        "duration": "1s",
        "statuses": "{200: 1}",
    }
    legal = {"gauge": "at always eventually", "queue": "at always eventually", "counter": "at over", "duration": "over"}
    text = f"{FACT}{when}\n    c: {{{fact}: {value.get(fact, '1')}}}\n"
    if when.split(":")[0] in legal[kind.value].split():
        assert parse(text).expect[0].nodes["c"].named().keys() == {fact}
    else:
        assert "does not fit" in problems(text)[0].message
