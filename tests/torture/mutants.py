"""Files that are a little wrong: scenarios and topologies, bytes and trees; and recordings. Whatever comes in, one
message comes out: no traceback, no control character, and the memory that a small file deserves."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.cli.output import Output
from orchestrator.errors import SimctlError
from orchestrator.recording.folder import RunFolder
from orchestrator.run.judge import judge_folder, stored_report
from orchestrator.run.options import Options
from orchestrator.run.prepare import prepare
from orchestrator.text.safe import harmless
from tests.torture.hostilenodes import CONTROL

SCALARS: Sequence[Any] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        10**30,
        1e308,
        float("inf"),
        "",
        " ",
        "\0",
        "\x1b]0;x\x07",
        "${",
        "${A",
        "$A",
        "${A:?}",
    ),
    *("5s", "-5s", "1e9s", "..", "start .. end", "end .. start", "0..", "x" * 5000, "é\u202e", [], {}, [[]], {"": {}}),
)


def mutate(value: Any, chance: random.Random) -> Any:
    """The tree with one thing changed."""
    places = list(_places(value, ()))
    keys = chance.choice(places)
    copy = json.loads(json.dumps(value, default=str))
    if not keys:
        return chance.choice(SCALARS)
    parent = copy
    for key in keys[:-1]:
        parent = parent[key]
    _change(parent, keys[-1], chance)
    return copy


def _places(value: Any, keys: tuple[Any, ...]) -> Any:
    yield keys
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*keys, key))


def _change(parent: Any, key: Any, chance: random.Random) -> None:
    match chance.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[chance.choice(["x", "\x1b[2J", "", "from", "at", "services", str(key) + "s"])] = parent.pop(key)
        case 2 if isinstance(parent, list):
            parent.extend([parent[key]] * chance.choice([1, 3, 500]))
        case 3 if isinstance(parent, dict):
            parent |= {f"more{number}": chance.choice(SCALARS) for number in range(chance.choice([1, 3, 500]))}
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
    return _borne(lambda: prepare(folder / "scenario.yaml", Options()))


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
