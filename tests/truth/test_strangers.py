"""Another program of the machine that uses the lab's addresses, in a network namespace of its own: the kernel's trace
shows its sockets among those of the lab, and nothing that simctl says may rest on them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.history.build import history_of
from orchestrator.recording.folder import RunFolder
from tests.conftest import Simctl

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120)]

# The first lab of a machine has 198.18.0.0/29; where another lab has it, these are strangers to nobody.
STRANGER = """
import ctypes, fcntl, socket, struct, sys, time
ctypes.CDLL(None).unshare(0x40000000)
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ours = [(f"lo:{lab}{end}", f"198.18.{lab}.{end}") for lab in range(8) for end in (2, 3)]
for name, address in (("lo", None), *ours):
    if address:
        fcntl.ioctl(control, 0x8916, struct.pack("16sHH4s8x", name.encode(), 2, 0, socket.inet_aton(address)))
    fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", name.encode(), 0x41))
print("ready", flush=True)
while True:
    for lab in range(8):
        server = socket.create_server((f"198.18.{lab}.3", 8080))
        client = socket.create_connection((f"198.18.{lab}.3", 8080), source_address=(f"198.18.{lab}.2", 0))
        accepted, _ = server.accept()
        client.close(), accepted.close(), server.close()
    time.sleep(0.02)
"""


@contextmanager
def stranger() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", STRANGER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()


def test_sockets_of_a_stranger_with_our_addresses_are_left_out(simctl: Simctl, tmp_path: Path) -> None:
    with stranger():
        done = simctl("run", "session-close", "--runtime", "netns", "--format", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert [one["closing"]["by"] for one in report["connections"]] == ["client"]
    history = history_of(RunFolder.open(tmp_path / report["folder"]))
    assert history.exact
    assert history.contradictions == ()
    assert any("other programs of this machine use the lab's addresses" in note for note in history.notes)
