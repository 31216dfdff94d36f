"""Files that are a little wrong: scenarios and topologies, bytes and trees; and recordings. Whatever comes in, one
message comes out: no traceback, no control character, and the memory that a small file deserves."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.cli.output import Output
from orchestrator.errors import InputError, SimctlError
from orchestrator.recording.folder import RunFolder
from orchestrator.run.judge import judge_folder, stored_report
from orchestrator.run.options import Options
from orchestrator.run.prepare import prepare
from orchestrator.scenario.loader import bundled_scenarios
from orchestrator.scenario.schedule import least_seconds
from orchestrator.text.safe import harmless
from tests.torture.hostilenodes import CONTROL

SCALARS: Sequence[Any] = (
    *(None, True, False, 0, -0.0, -1, 1, 10**30, 2**31, 2**63, 1e308, 1e-320, float("inf"), float("nan")),
    *("", " ", "\0", "\x1b]0;x\x07", "${", "${A", "$A", "${A:?}", "é\u202e", "\ud800", "x" * 5000, "9" * 5000),
    *("5s", "-5s", "1e9s", "0.0000001ms", "9" * 400 + "h", "9" * 400 + ".5s", "1s\n", "١s"),
    *("..", "start .. end", "end .. start", "0..", "9" * 400 + "..", "start + 5s", "load.end - 1h", "a.b.c"),
    *("30%", "0%", "101%", "nan%", "1e-300%", "1_0%", "0.001kbit", "999999.999gbit", "1e9GB", "-1KiB", "0.5", "0x10"),
    *("client", "server-1", "front", "a:0", "a:99999", "[::1]:80", "255.255.255.255", "0.0.0.0", "127.0.0.1"),
    *("http://[", "http://a:99999/", "http://a\r\nX: y/", "postgresql://server-1/", "tcp://x"),
    *([], {}, [[]], [None], {"": {}}, {"size": -1}, {"size": "9" * 400 + "GB"}, {"connect": "0s"}, ["SYN"] * 3),
)

FRAGMENTS = (
    *("\n", "\r\n", "\t", "\0", "\x1b[2J", '"', "'", "\\", ";", "#", "{", "}", "$", "%s", "{0}", "../", "/", "é"),
    *(" } \n flush ruleset \n", "; drop; accept", " 8080\nqdisc del dev lo root\n", "\n127.0.0.1 server", "*", " or 1"),
    *("\n  server evil 127.0.0.1:22", ";}\nlua_code;", "\n[www]\nuser = root", "${HOME}", "%REQ(X)%", "`id`", "$(id)"),
)
"""What steers programs that a text could reach: nft, tc, ip, ss, hosts files, configurations, shells, terminals."""


def mutate(value: Any, chance: random.Random) -> Any:
    """The tree with one thing changed."""
    places = list(_places(value, ()))
    keys = chance.choice(places)
    changed = copy.deepcopy(value)
    if not keys:
        return chance.choice(SCALARS)
    parent = changed
    for key in keys[:-1]:
        parent = parent[key]
    _change(parent, keys[-1], chance, _at(changed, chance.choice(places)))
    return changed


def _at(tree: Any, keys: tuple[Any, ...]) -> Any:
    for key in keys:
        tree = tree[key]
    return tree


def _places(value: Any, keys: tuple[Any, ...]) -> Any:
    yield keys
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*keys, key))


def _change(parent: Any, key: Any, chance: random.Random, other: Any) -> None:
    """`other` is what stands elsewhere in the tree."""
    match chance.randrange(10):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[chance.choice(["x", "\x1b[2J", "", "from", "at", "services", str(key) + "s"])] = parent.pop(key)
        case 2 if isinstance(parent, list):
            parent.extend([parent[key]] * chance.choice([1, 3, 500]))
        case 3 if isinstance(parent, dict):
            parent |= {f"more{number}": chance.choice(SCALARS) for number in range(chance.choice([1, 3, 500]))}
        case 4 if isinstance(parent, list):
            chance.shuffle(parent)
        case 5:
            parent[key] = copy.deepcopy(other)
        case 6 | 7 if isinstance(parent[key], str):
            at = chance.randrange(len(parent[key]) + 1)
            parent[key] = parent[key][:at] + chance.choice(FRAGMENTS) + parent[key][at:]
        case 8 if isinstance(parent, dict):
            parent[str(key) + chance.choice(FRAGMENTS)] = parent.pop(key)
        case _:
            parent[key] = chance.choice(SCALARS)


def spoil(text: str, chance: random.Random) -> bytes:
    """The text with some bytes changed, cut or doubled."""
    raw = bytearray(text.encode())
    for _ in range(chance.choice([1, 1, 3])):
        at = chance.randrange(max(1, len(raw)))
        match chance.randrange(4):
            case 0:
                raw[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del raw[at : at + chance.choice([1, 10, 1000])]
            case 2:
                raw[at:at] = raw[at : at + chance.choice([1, 10, 300])]
            case _:
                raw[at:at] = chance.choice(
                    [b"&a ", b"*a", b"<<: ", b"- ", b": ", b"{", b"[", b"\t", b"!!python/name:x "]
                )
    return bytes(raw)


def exhibits() -> list[Path]:
    """The scenarios of which mutants are made: half of them of the museum."""
    bundled = sorted(bundled_scenarios().values())
    return [*bundled, *[MUSEUM] * len(bundled)]


_LONGEST = 1000
"""Characters of a message."""

MUSEUM = Path(__file__).with_name("museum") / "scenario.yaml"
"""Every verb and every fact once; a test holds that."""


def try_files(scenario: Path, folder: Path, chance: random.Random) -> str | None:
    """What is wrong with how one mutant of a scenario, or of its topology, is borne; None: nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = yaml.safe_load(scenario.read_text())
    topology = (scenario.parent / tree["topology"]).resolve()
    texts = {"scenario.yaml": scenario.read_text(), "compose.yaml": topology.read_text()}
    name = chance.choice(sorted(texts))
    if chance.random() < 0.5:
        raw = spoil(texts[name], chance)
    else:
        raw = yaml.safe_dump(mutate(yaml.safe_load(texts[name]), chance), allow_unicode=True).encode()
    for other, text in texts.items():
        (folder / other).write_bytes(raw if other == name else text.encode())
    made = (folder / "scenario.yaml").read_bytes()
    named = f"topology: {tree['topology']}".encode()
    (folder / "scenario.yaml").write_bytes(made.replace(named, b"topology: compose.yaml"))
    return _borne(lambda: _checked(folder / "scenario.yaml"))


def _checked(scenario: Path) -> None:
    """As `simctl validate` and the plan of a run read it; what is told of a mistake is told well."""
    try:
        prepared = prepare(scenario, Options(allow_exec=True))
    except InputError as error:
        for problem in error.problems:
            if problem.place is None or not problem.message.isprintable() or "Input should" in problem.message:
                raise ValueError(f"it is told badly: {problem}") from None
            if len(problem.message) > _LONGEST:
                raise ValueError(f"it is told at length: {problem.message[:200]}") from None
        return
    for step in prepared.scenario.steps:
        if not step.action.describe() or not 0 <= step.action.seconds < math.inf:
            raise ValueError(f"the step {step.name} has no description, or no time")
    least_seconds(prepared.scenario.steps)


def try_recording(run: Path, folder: Path, chance: random.Random) -> str | None:
    """The same of one mutant of a stored run."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run, folder)
    names = ["events.jsonl"] * 6 + ["scenario.yaml", "topology.yaml", "verdict.json", "env.json", "variables.json"]
    target = folder / chance.choice(names)
    if not target.exists():
        return None
    lines = target.read_text().splitlines(keepends=True)
    if target.name == "events.jsonl" and chance.random() < 0.7:
        at = chance.randrange(len(lines))
        lines[at] = json.dumps(mutate(json.loads(lines[at]), chance)) + "\n"
        target.write_text("".join(lines))
    else:
        target.write_bytes(spoil("".join(lines), chance))

    def read() -> None:
        opened = RunFolder.open(folder)
        for form in ("text", "json", "junit"):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                Output(form).print_reports([judge_folder(opened)], many=False)
                Output(form).print_reports([stored_report(opened)], many=False)
            if found := CONTROL.search(out.getvalue()):
                raise ValueError(f"a control character {found[0]!r} in {form}")

    return _borne(read)


def _borne(work: Callable[[], object]) -> str | None:
    try:
        work()
    except SimctlError as error:
        return None if error.message and not CONTROL.search(harmless(str(error))) else "no message"
    except Exception as error:  # whatever it is, it is what is looked for
        return f"{type(error).__name__}: {error}"
    return None


def a_recording(folder: Path) -> Path:
    """The folder of a short run."""
    simctl = Path(sys.executable).with_name("simctl")
    command = [str(simctl), "run", "session-close", "-r", "netns", "-q", "-o", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.iterdir())
