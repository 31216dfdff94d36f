"""Runs hostile nodes by the real command, and says what is wrong with how simctl bears them."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.torture import hostile

HERE = Path(__file__).parent
MEMORY = 400 << 20
"""Bytes that simctl may need at most; a node that floods it took 1.2 GB once. On vm it is QEMU's memory that counts."""
DISK = 300 << 20
PATIENCE = 90.0

COMPOSE = """
services:
  client:
    image: simctl/requests
    depends_on: [server]
    networks: [lab]
    {client}
  server:
    image: simctl/origin
    networks: [lab]
    {server}
networks: {{lab: {{internal: true}}}}
"""

SCENARIO = """
name: hostile
topology: compose.yaml
steps:
  - {wait: 500ms}
  - {name: load, request: {from: client, url: "http://server:8080/", count: 3, timeout: 2s, within: 4s}}
  - {wait: 300ms}
expect:
  - {that: nothing is left, at: end, client: {CLOSE_WAIT: 0}}
"""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One mode: what is wrong, empty when nothing is; and how the command ended."""

    mode: str
    wrong: tuple[str, ...]
    status: int
    said: str


def play(mode: str, runtime: str, folder: Path) -> Outcome:
    """Run one mode in a folder of its own, then ask for the report of what was recorded."""
    folder.mkdir(parents=True)
    shutil.copy(HERE / "hostile.py", folder)
    program = f'entrypoint: [python3, /opt/hostile.py, "{mode}"]\n    volumes: [".:/opt:ro"]'
    by_client = mode in hostile.CLIENT
    compose = COMPOSE.format(client=program if by_client else "", server="" if by_client else program)
    (folder / "compose.yaml").write_text(compose)
    (folder / "scenario.yaml").write_text(SCENARIO)
    begun = time.monotonic()
    command = ("run", "scenario.yaml", "-r", runtime, "--allow-exec", "--ready-timeout", "20s", "-o", "runs")
    status, said, most = _simctl(folder, *command)
    wrong = [*_looks(status, said), *([] if most < MEMORY or runtime == "vm" else [f"simctl took {most >> 20} MiB"])]
    if time.monotonic() - begun > PATIENCE:
        wrong.append(f"it took {time.monotonic() - begun:.0f} s")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > DISK:
        wrong.append(f"it left {size >> 20} MiB on the disk")
    for run in sorted((folder / "runs").glob("*-hostile")):
        for form in ("text", "json"):
            again, shown, _ = _simctl(folder, "report", str(run), "--format", form)
            wrong += [f"report as {form}: {problem}" for problem in _looks(again, shown)]
    return Outcome(mode, tuple(wrong), status, said)


def _looks(status: int, said: str) -> Iterator[str]:
    if status not in (0, 1, 2, 3):
        yield f"exit status {status}"
    if "Traceback" in said:
        yield "a traceback"
    if found := CONTROL.search(said):
        yield f"a control character {found[0]!r}"


def _simctl(folder: Path, *arguments: str) -> tuple[int, str, int]:
    """Exit status, output and errors together, and the most memory that it had, bytes."""
    with (folder / "output.txt").open("w+b") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("simctl"), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"COLUMNS": "80"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read(1 << 20).decode(errors="replace")
    return process.returncode, said, used.ru_maxrss << 10
