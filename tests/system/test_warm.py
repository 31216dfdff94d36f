"""Forked Python programs are what executed ones would be: seen from inside, from /proc, and by how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.system import zygote
from orchestrator.system.linux import descendants
from orchestrator.system.resources import NODES
from tests.cli.test_lifecycle import await_gone, find, machine, network_namespaces
from tests.support.live import await_line

PARENT = [sys.executable, "-m", "tests.support.warm_parent"]

ABOUT = """
import json, os, signal, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "fds": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],
    "signals": {number: str(signal.getsignal(number)).split(" at ")[0] for number in signal.valid_signals()},
    "blocked": status["SigBlk"], "ignored": status["SigIgn"], "caught": status["SigCgt"],
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "environ": dict(os.environ),
    "name": __name__, "file": __file__, "package": __package__, "spec": str(__spec__ and __spec__.name),
    "main": sys.modules["__main__"].__dict__ is globals(),
    "comm": open("/proc/self/comm").read(), "cmdline": open("/proc/self/cmdline").read(),
    "shown": sorted(open("/proc/self/environ").read().split(chr(0))),
    "streams": [(s.encoding, s.errors, s.line_buffering) for s in (sys.stdin, sys.stdout, sys.stderr)],
    "leads_its_session": os.getsid(0) == os.getpid(),
}))
"""


def clean_environment() -> dict[str, str]:
    """Without what somebody wants of his interpreters: PYTHONUNBUFFERED, as in containers, means no fork."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(argv: list[str], cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | {"LC_ALL": "C.UTF-8", "PYTHONPATH": str(NODES.parent)} | extra
    return subprocess.run(
        argv,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def program(folder: Path, text: str, name: str = "prog.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def command_line(folder: Path, form: str) -> list[str]:
    path = program(folder, ABOUT)
    return {
        "script": [sys.executable, path, "one", "-two"],
        "script -P": [sys.executable, "-P", path],
        "module": [sys.executable, "-m", "prog", "one"],
        "module -P": [sys.executable, "-P", "-m", "prog"],
    }[form]


@pytest.mark.parametrize("how", ["popen", "spawn"])
@pytest.mark.parametrize("form", ["script", "script -P", "module", "module -P"])
def test_a_program_sees_what_it_would_see(tmp_path: Path, form: str, how: str) -> None:
    argv = command_line(tmp_path, form)
    search = {"PYTHONPATH": f"{NODES.parent}:{tmp_path}"}
    fresh: dict[str, Any] = json.loads(run(["setsid", "--wait", *argv], tmp_path, **search).stdout)
    forked: dict[str, Any] = json.loads(run([*PARENT, how, *argv], tmp_path, **search).stdout)
    assert forked == fresh


@pytest.mark.parametrize(
    "text",
    [
        "print('hello')",
        "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)",
        "raise SystemExit('so be it')",
        "raise SystemExit(None)",
        "def f():\n    raise ValueError('no')\nf()",
        "import os; print('never'); os._exit(3)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import os, signal; os.kill(os.getpid(), signal.SIGUSR1)",
        "raise KeyboardInterrupt",
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()",
        "import atexit; atexit.register(print, 'at exit')",
        "import os; os.close(1); print('nowhere')",
        "import os; print('x' * 10, end=''); os.close(1)",
        "this is no Python",
        "import missing_module",
        "import select, os; print(os.read(0, 1))",
    ],
)
def test_it_ends_as_it_would(tmp_path: Path, text: str) -> None:
    argv = [sys.executable, program(tmp_path, text)]
    fresh, forked = run(argv, tmp_path), run([*PARENT, "spawn", *argv], tmp_path)
    status = fresh.returncode if fresh.returncode >= 0 else 128 - fresh.returncode
    assert (forked.returncode, forked.stdout) == (status, fresh.stdout)
    assert bool(forked.stderr) == bool(fresh.stderr), forked.stderr + fresh.stderr
    if fresh.stderr:
        assert forked.stderr.splitlines()[-1] == fresh.stderr.splitlines()[-1]
    assert "become.py" not in forked.stderr or "SyntaxError" in forked.stderr


def test_a_script_that_is_not_there_is_told_in_the_interpreters_words(tmp_path: Path) -> None:
    argv = [sys.executable, str(tmp_path / "nothing.py")]
    fresh, forked = run(argv, tmp_path), run([*PARENT, "spawn", *argv], tmp_path)
    assert (forked.returncode, forked.stderr) == (fresh.returncode, fresh.stderr)


def test_modules_of_the_scripts_folder_come_first(tmp_path: Path) -> None:
    """Even where the parent has imported one of that name."""
    (tmp_path / "h11.py").write_text("mine = True")
    done = run([*PARENT, "popen", sys.executable, program(tmp_path, "import h11; print(h11.mine)")], tmp_path)
    assert done.stdout == "True\n", done.stderr


def test_what_it_imports_is_there_already(tmp_path: Path) -> None:
    """The point of it all: libraries of a bundled kind are in memory, and what kinds share; not its own folder's."""
    text = (
        "import sys; print(*(name in sys.modules for name in ('requests', 'h11', 'pyroute2', 'recorder', 'settings')))"
    )
    argv = [sys.executable, program(tmp_path, text)]
    assert run([*PARENT, "popen", *argv], tmp_path).stdout == "True True True True False\n"
    assert run(argv, tmp_path).stdout == "False False False False False\n"


def test_nothing_is_forked_unless_it_was_enabled() -> None:
    assert not zygote.applies([sys.executable, "-P", "-m", "orchestrator.observe.probe"], {})


@pytest.mark.parametrize(
    "argv",
    [
        ["python3", "prog.py"],
        [sys.executable, "-c", "pass"],
        [sys.executable],
        [sys.executable, "-X", "dev", "prog.py"],
    ],
)
def test_other_command_lines_are_executed(monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    monkeypatch.setattr(zygote, "_fresh", zygote._Fresh([], {"PYTHONHASHSEED": "0"}))
    assert zygote.applies([sys.executable, "prog.py"], {"PYTHONPATH": "/x", "HOME": "/"})
    assert not zygote.applies(argv, {})


def test_a_variable_for_the_interpreter_needs_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zygote, "_fresh", zygote._Fresh([], {"PYTHONHASHSEED": "0"}))
    assert zygote.applies([sys.executable, "prog.py"], {"PYTHONHASHSEED": "0"})
    assert not zygote.applies([sys.executable, "prog.py"], {"PYTHONHASHSEED": "1"})
    assert not zygote.applies([sys.executable, "prog.py"], {"PYTHONUNBUFFERED": "1"})


# -- whole runs -------------------------------------------------------------------------------------------------------


def simctl(tmp_path: Path, *arguments: str, begin: list[str] | None = None) -> subprocess.Popen[str]:
    argv = [*(begin or [*PARENT, "simctl"]), "run", *arguments, "-r", "netns", "-o", str(tmp_path / "runs")]
    return subprocess.Popen(argv, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.netns
def test_a_run_gives_the_same_verdicts(tmp_path: Path) -> None:
    process = simctl(tmp_path, "session-close")
    stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr + stdout
    (folder,) = (tmp_path / "runs").iterdir()
    assert {path.read_text() for path in (folder / "logs").iterdir()} == {""}


@pytest.mark.netns
def test_a_program_that_does_not_start_is_shown_with_its_log(tmp_path: Path) -> None:
    compose = "services:\n  server: {image: simctl/origin, command: [--httpKeepAliveTimeout=soon]}\n"
    (tmp_path / "compose.yaml").write_text(compose)
    (tmp_path / "story.yaml").write_text("name: story\ntopology: compose.yaml\nsteps: [{wait: 10ms}]\n")
    process = simctl(tmp_path, str(tmp_path / "story.yaml"))
    _, stderr = process.communicate(timeout=90)
    assert process.returncode == 3, stderr
    assert "soon" in stderr and "Traceback" not in stderr


WHO = """
name: who
topology: {compose}
steps:
  - name: self
    exec:
      node: server
      command: [sh, -c, "p=$(pgrep -of server.py); grep -h -e ^Cap -e ^NoNew -e ^Uid /proc/1/status /proc/$p/status;
        grep -c pydantic /proc/$p/maps; true"]
"""


@pytest.mark.netns
def test_a_program_has_no_more_rights_than_an_executed_one(tmp_path: Path) -> None:
    scenario = tmp_path / "who.yaml"
    scenario.write_text(WHO.format(compose=NODES.parent / "compose" / "client-server.yaml"))
    told = []
    for folder, begin in (("warm", None), ("cold", [sys.executable, "-m", "orchestrator"])):
        process = simctl(tmp_path / folder, str(scenario), "--allow-exec", begin=begin)
        _, stderr = process.communicate(timeout=90)
        assert process.returncode == 0, stderr
        (log,) = (tmp_path / folder).glob("runs/*/logs/*self*")
        *rights, pydantic = log.read_text().splitlines()[-15:]
        told.append(rights)
        assert (pydantic != "0") == (folder == "warm"), "a fork has what its parent has imported"
    assert told[0] == told[1]
    assert sum(line.startswith("CapEff") for line in told[0]) == 2, "of init and of its program"


@pytest.mark.netns
@pytest.mark.parametrize(
    "victim",
    ["simctl", "probe", *(pytest.param(each, marks=pytest.mark.slow) for each in ("spawner", "supervisor", "init"))],
)
def test_whichever_process_is_killed_nothing_stays(tmp_path: Path, victim: str) -> None:
    before = machine()
    with simctl(tmp_path, "idle-close") as process:
        try:
            await_line(process, "idle:")
            family = descendants(process.pid)
            namespaces = network_namespaces(family)
            os.kill(process.pid if victim == "simctl" else find(process.pid, victim), signal.SIGKILL)
            process.communicate(timeout=60)
        finally:
            process.kill()
        await_gone(family, namespaces)
    assert machine() == before
