"""An interrupt that a library has made an error of its own of."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestrator.system import interrupts

SCRIPT = """
import os, signal
from orchestrator.errors import InputError
from orchestrator.system import interrupts

def library():
    try:
        os.kill(os.getpid(), {number})
    except KeyboardInterrupt:
        raise {error} from None

interrupts.install()
try:
    with interrupts.heeded():
        library()
except BaseException as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("number", ["signal.SIGINT", "signal.SIGTERM"])
@pytest.mark.parametrize(
    ("error", "told"), [("ValueError('of the library')", "KeyboardInterrupt"), ("InputError('ours')", "InputError")]
)
def test_it_is_the_interrupt_all_the_same(number: str, error: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(number=number, error=error)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{told}\n"


def test_without_an_interrupt_an_error_is_itself() -> None:
    with pytest.raises(ValueError, match="own"), interrupts.heeded():
        raise ValueError("own")
