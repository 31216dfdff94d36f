"""The knobs of nginx, Apache httpd, HAProxy and Varnish: what becomes of them, and what is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.kinds.registry import kind as node_kind
from orchestrator.system.resources import NODES
from tests.conftest import Simctl

PROXIES = ("nginx", "apache", "haproxy", "varnish")

pytestmark = [pytest.mark.netns, pytest.mark.kinds(*PROXIES)]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nginx", 'host not found in upstream "nobody:80"'),
        pytest.param("haproxy", "could not resolve address 'nobody'", marks=pytest.mark.slow),
        pytest.param("varnish", "Backend host '\"nobody\"' could not be resolved", marks=pytest.mark.slow),
    ],
)
def test_a_refused_configuration_is_told_in_the_words_of_the_program(
    simctl: Simctl, tmp_path: Path, kind: str, words: str
) -> None:
    (tmp_path / "compose.yaml").write_text(
        f"services: {{proxy: {{image: simctl/{kind}, environment: {{UPSTREAM: 'nobody:80'}}, networks: [lab]}}}}\n"
        "networks: {lab: {internal: true}}\n"
    )
    (tmp_path / "scenario.yaml").write_text("name: refused\ntopology: compose.yaml\nsteps: [{wait: 1s}]\n")
    done = simctl("run", "scenario.yaml", "-r", "netns")
    assert done.returncode == 3, done.stdout
    assert words in done.stderr
    assert "compose.yaml:1:" in done.stderr


SHARED = {"TCP_KEEPALIVE", "TCP_KEEPALIVE_TIME", "TCP_KEEPALIVE_INTERVAL", "TCP_KEEPALIVE_PROBES"}
"""Knobs that nodes/base/socketoptions.py reads for the programs that import it."""


def configuration(kind: str, **knobs: str) -> str:
    """What the program of that kind would be told, command line and file; it is not started."""
    shown = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import run
from knobs import Knobs
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    print("\\n".join(run.command(Knobs(), folder)).replace(name, "FOLDER"))
    for path in folder.iterdir():
        print(path.read_text().replace(name, "FOLDER") if path.is_file() else path.name)
"""
    argv = [sys.executable, "-c", shown, str(NODES / kind)]
    done = subprocess.run(argv, env=knobs, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", PROXIES)
def test_the_knobs_and_defaults_of_node_yaml_are_those_of_the_program(kind: str) -> None:
    knobs = node_kind(kind).knobs
    text = (NODES / kind / "run.py").read_text()
    told = set(re.findall(r"""["']((?:MAX_|TCP_)?[A-Z]{4,}(?:_[A-Z]+)*)["']""", text))
    told |= SHARED if re.search("^from socketoptions import .*keepalive", text, re.MULTILINE) else set()
    assert told == set(knobs)
    defaults = {name: knob.default for name, knob in knobs.items() if name != "UPSTREAM"}
    assert configuration(kind, UPSTREAM="a:1", **defaults) == configuration(kind, UPSTREAM="a:1")


@pytest.mark.parametrize(
    ("kind", "knobs", "named"),
    [
        ("haproxy", {}, "UPSTREAM"),
        ("varnish", {}, "UPSTREAM"),
        ("haproxy", {"UPSTREAM": "a:1", "MODE": "tcp", "UPSTREAM_KEEPALIVE": "0"}, "UPSTREAM_KEEPALIVE"),
        ("haproxy", {"UPSTREAM": "a:1", "HTTP_REUSE": "maybe"}, "HTTP_REUSE"),
        ("varnish", {"UPSTREAM": "a:1", "UPSTREAM_KEEPALIVE": "4"}, "UPSTREAM_KEEPALIVE"),
        ("varnish", {"UPSTREAM": "a:1", "UPSTREAM_KEEPALIVE_TIMEOUT": "500ms"}, "UPSTREAM_KEEPALIVE_TIMEOUT"),
        ("apache", {"UPSTREAM": "a:1", "UPSTREAM_KEEPALIVE": "4"}, "UPSTREAM_KEEPALIVE_TIMEOUT"),
        ("apache", {"UPSTREAM": "a:1", "UPSTREAM_TIMEOUT": "500ms"}, "UPSTREAM_TIMEOUT"),
        ("nginx", {"UPSTREAM": "a:1; include /etc/passwd"}, "UPSTREAM"),
        ("nginx", {"KEEPALIVE_TIMEOUT": "1500ms", "ADVERTISE": "true"}, "KEEPALIVE_TIMEOUT"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(kind: str, knobs: dict[str, str], named: str, tmp_path: Path) -> None:
    argv = [sys.executable, str(NODES / kind / "run.py")]
    done = subprocess.run(
        argv, env={"TMPDIR": str(tmp_path)} | knobs, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{kind}: ")
    assert named in line
