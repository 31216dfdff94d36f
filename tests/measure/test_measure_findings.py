"""What a measurement means: pure functions from what the prober saw to findings, rows and one sentence of advice."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.measure.findings import Findings, Limit, Silence, Truth, advertised, compare, evaluate, pool_expiry
from orchestrator.measure.words import advice, document, rows, verdict
from orchestrator.text.durations import measured

WAITED = 120.0


def answer(**other: Any) -> dict[str, Any]:
    usual = {"status": 200, "version": "HTTP/1.1", "persistent": True, "says_close": False, "keep_alive": None}
    return usual | {"first_byte": 0.001} | other


def end(how: str, after: float, said: int | None = None) -> dict[str, Any]:
    return {"how": how, "after": after, "said": said}


def messages(
    *idle: float | None, limit: dict[str, Any] | None = None, reaction: str = "rst", keep_alive: str | None = None
) -> list[dict[str, Any]]:
    """A prober's report. `idle`: after how many seconds each connection was closed; None, not at all."""
    one = {"answered": 1100, "announced": False, "stopped": "asked", "end": None} | (limit or {})
    found: list[dict[str, Any]] = [
        {
            "say": "farewell",
            "connect": 0.001,
            "answer": answer(persistent=False, says_close=True),
            "end": end("fin", 0.0),
        },
        {"say": "requests", "first": answer(keep_alive=keep_alive), **one},
    ]
    for after in idle:
        met = None if after is None else {"how": reaction, "after": 0.0001}
        ended = end("none", WAITED) if after is None else end("fin", after)
        found.append(
            {"say": "idle", "connect": 0.001, "answer": answer(keep_alive=keep_alive), "end": ended, "reaction": met}
        )
    found.append({"say": "silent", "connect": 0.002, "end": end("fin", 60.0, 408)})
    return [*found, {"say": "done", "connections": 6, "requests": 1107, "late": 0.003}]


def found(*idle: float | None, **more: Any) -> Findings:
    return evaluate(messages(*idle, **more), asked=1100, waited=WAITED)


def table(findings: Findings) -> dict[str, str]:
    return dict(rows(findings))


def test_what_is_usual() -> None:
    findings = found(5.003, 5.001, 5.002)
    assert table(findings) == {
        "idle timeout after a response": "5.001 s .. 5.003 s (3 connections)",
        "before the first request": "60.000 s (1 connection); it says 408 before",
        "requests per connection": "none seen in 1100",
        "Keep-Alive header": "none",
        "Connection: close from the client": "answered with Connection: close; the server closes first, by FIN after "
        "less than 0.1 ms",
        "way of closing": "FIN, closed: what comes after it meets a RST",
        "a request after the FIN": "end of file, and a RST",
    }
    assert advice(findings) == "a client pool should let idle connections expire below 4.9 s"


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ({"answered": 1, "announced": True, "stopped": "closed"}, "the server keeps no connections and says so"),
        ({"answered": 1, "stopped": "closed"}, "the server closes after every response without saying so"),
        ({"answered": 7, "stopped": "closed"}, "should give a connection up after 7, and when it was idle for 4.9 s"),
        ({"answered": 7, "announced": True, "stopped": "closed"}, "expire below 4.9 s"),
    ],
)
def test_the_advice_follows_from_the_limit(limit: dict[str, Any], sentence: str) -> None:
    assert sentence in advice(found(5.003, limit=limit))


def test_a_close_at_once_is_no_timer() -> None:
    """A connection that gets one response only is closed within microseconds; that is not its idle timeout."""
    findings = found(0.0004, 0.0005, limit={"answered": 1, "stopped": "closed"})
    assert (findings.idle, findings.at_once) == (Silence(), True)
    assert table(findings)["idle timeout after a response"] == "none: no connection is kept"


def test_what_was_not_closed_is_told_beside_what_was() -> None:
    findings = found(5.0, None)
    assert table(findings)["idle timeout after a response"] == "5.000 s, 1 not closed within 120 s (2 connections)"
    all_open = found(None, None)
    assert table(all_open)["idle timeout after a response"] == "not closed within 120 s (2 connections)"
    assert advice(all_open) == "no idle connection was closed within 120 s: a client pool may keep them for so long"


def test_nothing_seen_is_no_advice() -> None:
    broken = [{"say": "broken", "of": "idle", "text": "connection reset"}]
    findings = evaluate([*messages(), *broken], asked=1100, waited=WAITED)
    assert not findings.decided
    assert table(findings)["not measured"] == "idle: connection reset"
    assert advice(findings) == "no advice: no connection could be seen being idle"


@pytest.mark.parametrize(
    ("reaction", "words"),
    [("rst", "FIN, closed"), ("nothing", "FIN, half closed: what comes after it meets no RST within 1 s")],
)
def test_the_reaction_tells_closed_from_half_closed(reaction: str, words: str) -> None:
    assert table(found(5.0, reaction=reaction))["way of closing"].startswith(words)


@pytest.mark.parametrize(
    ("said", "closed", "truth"),
    [
        (5, (5.001, 5.004), Truth.TRUE),
        (5, (4.999,), Truth.TRUE),  # the server's timer began before its response was here
        (5, (4.9, 5.1), Truth.LESS),
        (5, (5.01, 6.0), Truth.TRUE),  # a coarse timer: the promise is kept
        (5, (5.2, 6.0), Truth.MORE),
        (300, (), Truth.UNKNOWN),
        (5, (), Truth.MORE),
    ],
)
def test_what_is_said_beside_what_is_seen(said: float, closed: tuple[float, ...], truth: Truth) -> None:
    silence = Silence(closed=closed, open=0 if closed else 3)
    assert compare(said, silence, accuracy=0.005, waited=WAITED) is truth


@pytest.mark.parametrize(
    ("text", "limit", "timeout", "most", "truth"),
    [
        ("timeout=5, max=100", Limit(100, 1100, True, True, False), 5, 100, Truth.TRUE),
        ("timeout=5, max=100", Limit(101, 1100, True, True, False), 5, 100, Truth.TRUE),  # Apache
        ("max=100,timeout=5", Limit(50, 1100, True, True, False), 5, 100, Truth.LESS),
        ('timeout="5", max=10', Limit(1100, 1100, False, False, False), 5, 10, Truth.MORE),
        ("timeout=5, max=2000", Limit(1100, 1100, False, False, False), 5, 2000, Truth.UNKNOWN),
        ("timeout=x", None, None, None, Truth.UNKNOWN),
        ("timeout=5", None, 5, None, Truth.UNKNOWN),
    ],
)
def test_a_keep_alive_field_is_read_and_checked(
    text: str, limit: Limit | None, timeout: float | None, most: int | None, truth: Truth
) -> None:
    told = advertised(text, Silence(closed=(5.0,)), limit, accuracy=0.005, waited=WAITED)
    assert (told.timeout, told.max, told.max_truth) == (timeout, most, truth)
    assert told.timeout_truth is (Truth.UNKNOWN if timeout is None else Truth.TRUE)


def test_flag_and_truth_are_set_beside_each_other() -> None:
    node = found(6.001, 6.002, keep_alive="timeout=5")
    assert table(node)["Keep-Alive header"] == "timeout=5: timeout is not true"
    assert advice(node) == (
        "Keep-Alive says 5 s, truth is 6 s: a client pool should let idle connections expire below 5.9 s"
    )
    assert advice(node, configured=30.0).startswith("configured are 30 s, truth is 6 s: ")
    assert [verdict(node, configured) for configured in (5, 6, 7)] == [Truth.MORE, Truth.TRUE, Truth.LESS]


@given(st.floats(0.0001, 1e5), st.floats(0, 10), st.floats(0, 10))
def test_a_pool_that_obeys_is_earlier_than_the_server(least: float, late: float, latency: float) -> None:
    report = messages(least, least * 2)
    report[0]["connect"], report[-1]["late"] = latency, late
    findings = evaluate(report, asked=1100, waited=WAITED)
    expiry = pool_expiry(findings)
    assert expiry is not None
    assert expiry >= 0
    assert expiry == 0 or expiry + findings.accuracy < least
    assert float(f"{expiry:g}") == pytest.approx(expiry), "it can be told in few digits"


@given(st.floats(0.05, 1e4), st.floats(0.05, 1e4), st.floats(0, 1))
def test_a_claim_is_never_both_too_early_and_true(said: float, closed: float, accuracy: float) -> None:
    truth = compare(said, Silence(closed=(closed,)), accuracy=accuracy, waited=1e5)
    assert truth is not Truth.UNKNOWN
    assert (truth is Truth.LESS) == (closed < said - accuracy)
    assert truth is not Truth.MORE or closed > said


def test_the_document_can_be_read_back() -> None:
    told = document(found(5.0, None), target="http://a/", measured_from="b", configured=4.0)
    again = json.loads(json.dumps(told, allow_nan=False))
    assert again["idle"] == {"closed": [5.0], "open": 1, "ways": {"fin": 1}, "said": []}
    assert (again["configured_truth"], again["pool_expiry"], again["reactions"]) == ("more", 4.9, {"rst": 1})
    assert again["before"]["said"] == [408]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.00001, "less than 0.1 ms"), (0.0123, "12.3 ms"), (0.3, "0.300 s"), (61.23456, "61.235 s")]
)
def test_seconds(value: float, shown: str) -> None:
    assert measured(value) == shown
