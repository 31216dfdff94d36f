"""The client node `curl`: the curl command, unmodified, which takes commands on standard input.

A command is one curl process per worker, with all URLs of that worker: connections live as long as the process. What
happened is taken from what curl prints with --verbose and --write-out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "base"))

from commands import Command, CommandError
from curltransfer import Connection, Outcome, Transfer
from exchange import Exchange, check_request
from knobs import KnobError, Knobs
from pacing import Numbers, in_threads
from serving import Report, main_of_client
from socketoptions import read_source

CURL = "/usr/bin/curl"
_PER = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RESULT = "simctl-result "
_PRINTED = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2}\.[0-9]{6}) ([*<>{}]) (.*)")
"""What curl prints with --verbose and --trace-time: no such line begins with _RESULT, whatever a server sends."""


class Curl:
    """Curl processes. A named session is a name and nothing else: nothing of a process outlives it."""

    schemes = ("http",)
    options = ("timeout.connect", "timeout.total")
    paces = False

    def __init__(self, knobs: Knobs) -> None:
        self._options = _socket_options(knobs)
        self._proxy = proxy_options(knobs)

    def open(self) -> None:
        return None

    def close(self, session: None) -> None:
        return None

    def check(self, command: Command) -> None:
        check_request(command)
        rate(command.interval)

    def carry_out(self, command: Command, session: None, report: Report) -> None:
        workers = min(command.concurrency, command.count)
        numbers = Numbers(command.count)
        in_threads(
            workers, lambda worker: self._work(command, len(range(worker, command.count, workers)), numbers, report)
        )

    def _work(self, command: Command, count: int, numbers: Numbers, report: Report) -> None:
        with tempfile.NamedTemporaryFile() as body:
            body.write(command.body or b"")
            body.flush()
            options = config(command, count, body.name, sockets=self._options, proxy=self._proxy)
            with _start() as curl:
                assert curl.stdin is not None and curl.stderr is not None
                with suppress(BrokenPipeError):
                    curl.stdin.write(options.encode("latin-1"))
                with suppress(BrokenPipeError):
                    curl.stdin.close()
                complaints: list[str] = []
                for exchanges in read(curl.stderr, complaints, len(command.body or b"")):
                    _report(exchanges, command, numbers, report)
                    count -= 1
        for _ in range(count):  # it ended before it came to these
            text = " ".join(complaints) or f"curl ended with {curl.returncode}"
            _report([Exchange(error={"name": "CurlError", "text": text})], command, numbers, report)


def _start() -> subprocess.Popen[bytes]:
    argv = [CURL, "--disable", "--config", "-"]  # --disable: no .curlrc
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, env={**os.environ, "TZ": "UTC"}, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe)


def _report(exchanges: list[Exchange], command: Command, numbers: Numbers, report: Report) -> None:
    n = numbers.take()
    assert n is not None
    for exchange in exchanges:
        report(n, exchange.event(command))


def proxy_options(knobs: Knobs) -> list[tuple[str, str | None]]:
    """Which proxy, if any; None as the value of an option that has none. Raises KnobError."""
    proxies = knobs.endpoints("PROXY")
    tunnel = knobs.truth("PROXY_TUNNEL", False)
    if len(proxies) > 1 or (tunnel and not proxies):
        raise KnobError(f"PROXY: expected one proxy, such as proxy:8080, not {len(proxies)}")
    if not proxies:
        return [("noproxy", "*")]  # whatever the environment says
    return [("proxy", "http://{}:{}".format(*proxies[0])), *([("proxytunnel", None)] if tunnel else [])]


def _socket_options(knobs: Knobs) -> list[str]:
    """Lines of a file of options. Raises KnobError."""
    lines = [] if knobs.truth("TCP_KEEPALIVE", True) else ["no-keepalive"]
    if knobs.given("TCP_KEEPALIVE_TIME"):
        if lines:
            raise KnobError("TCP_KEEPALIVE_TIME: it is of no effect without TCP_KEEPALIVE=true")
        lines.append(f"keepalive-time = {knobs.whole_seconds('TCP_KEEPALIVE_TIME', 0, at_most=32767)}")
    address, port = read_source(knobs) or ("", 0)
    lines += [f'interface = "host!{address}"'] if address else []
    return [*lines, *([f"local-port = {port}"] if port else [])]


def config(
    command: Command,
    count: int,
    body: str,
    *,
    sockets: Sequence[str] = (),
    proxy: Sequence[tuple[str, str | None]] = (),
) -> str:
    """A file of options (curl(1), --config), in which a value is a quoted string and never an option."""
    lines = ["silent", "show-error", "verbose", "trace-time", "globoff", "path-as-is", *_method(command)]
    options: list[tuple[str, str | None]] = [
        *proxy,
        ("proto", "=http"),
        ("connect-timeout", f"{command.seconds('connect'):.3f}"),
        ("max-time", f"{command.seconds('total'):.3f}"),
    ]
    # A value that is empty would take the header away: curl's way to send one that is, is a semicolon.
    options += [("header", f"{name}: {value}" if value else f"{name};") for name, value in command.headers.items()]
    options += [("data-binary", f"@{body}")] if command.body is not None else []
    options += [("rate", rate(command.interval))] if command.interval else []
    options += [("write-out", f"%{{stderr}}\n{_RESULT}%{{json}}\n")]
    lines += sockets
    lines += [name if value is None else f"{name} = {_quoted(value)}" for name, value in options]
    lines += [f'url = {_quoted(command.url)}\noutput = "/dev/null"'] * count
    return "\n".join(lines) + "\n"


def _method(command: Command) -> list[str]:
    if command.method == "HEAD" and command.body is None:
        return ["head"]
    plain = "GET" if command.body is None else "POST"
    return [] if command.method == plain else [f"request = {_quoted(command.method)}"]


def _quoted(value: str) -> str:
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
    return f'"{text}"'


def rate(interval: float) -> str:
    """--rate for a pause of so many seconds. Raises CommandError where curl has none: it counts transfers per unit."""
    for unit, seconds in _PER.items():
        times = seconds / interval if interval else 1.0
        if times >= 1 and abs(times - round(times)) < 1e-9 * times:
            return f"{round(times)}/{unit}"
    raise CommandError(
        f"interval: curl's --rate makes a whole number of transfers per second, minute, hour or day, not one in "
        f"{interval:g}s"
    )


def read(lines: Iterable[bytes], complaints: list[str], body: int = 0) -> Iterator[list[Exchange]]:
    """The exchanges of each transfer, from what one process prints on standard error as long as it runs.

    To `complaints` is added what it says of its own accord. `body`: bytes of each request's body.
    """
    clock, at = Clock(), 0.0
    connections: dict[int, Connection] = {}
    transfer: Transfer | None = None
    for raw in lines:
        line = raw.decode("latin-1").rstrip("\r\n")
        if line.startswith("curl: "):
            complaints.append(line)
        elif line.startswith(_RESULT):
            if transfer is None:
                transfer = Transfer(connections)
                transfer.begins(at := time.monotonic())
            yield transfer.ends(_outcome(json.loads(line.removeprefix(_RESULT)), body), at)
            transfer = None
        elif printed := _PRINTED.match(line):
            at = clock.monotonic(int(printed[1]) * 3600 + int(printed[2]) * 60 + float(printed[3]))
            if transfer is None:
                transfer = Transfer(connections)
                transfer.begins(at)
            _take(transfer, printed[4], printed[5], at)


def _take(transfer: Transfer, kind: str, line: str, at: float) -> None:
    if kind == "*":
        transfer.says(line, at)
    elif kind == ">":
        transfer.sends(line)
    elif kind == "<":
        transfer.receives(line)


class Clock:
    """The clock of --trace-time: a time of day, whose fraction of a second is that of CLOCK_MONOTONIC."""

    _first: tuple[float, float] | None = None

    def monotonic(self, time_of_day: float) -> float:
        """Seconds. The first must be read in the second in which it was printed; no transfer takes a day."""
        if self._first is None:
            now = time.monotonic()
            self._first = time_of_day, now - (now - time_of_day) % 1
        return self._first[1] + (time_of_day - self._first[0]) % 86400


def _outcome(result: dict[str, Any], body: int) -> Outcome:
    """Of what --write-out prints with %{json}."""
    local = f"{result['local_ip']}:{result['local_port']}" if result["local_port"] else None
    peer = f"{result['remote_ip']}:{result['remote_port']}" if result["remote_port"] else None
    size, unsent = int(result["size_download"]), int(result["size_upload"]) < body
    return Outcome(result["exitcode"], result["errormsg"] or "", local, peer, size, unsent)


if __name__ == "__main__":
    if not Path(CURL).exists():
        print(f"curl: there is no {CURL} here: install the Debian package curl", file=sys.stderr)
        sys.exit(127)
    sys.exit(main_of_client("curl", Curl))
