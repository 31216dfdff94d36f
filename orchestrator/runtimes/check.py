"""One finding of `simctl doctor`, and what several of them share. Runtimes give theirs, doctor the rest."""

from __future__ import annotations

import os
import shutil

from orchestrator.observe.abilities import Outcome
from orchestrator.text.record import record

RIGHTS = "CAP_NET_ADMIN: see root and user namespaces above"


@record
class Check:
    """One ability. `ok` is None when it could not be found out; `costs` and `get` are one line each."""

    name: str
    ok: bool | None
    found: str
    costs: str
    get: str


def refusal(outcome: Outcome, ability: str) -> str | None:
    """Why an ability does not work; for one that could not be tried, what went wrong before it."""
    if ability in outcome:
        return outcome[ability]
    return outcome.get("child") or outcome.get("namespaces") or "this is not Linux"


def install(*packages: str) -> str:
    """How to get these Debian packages here."""
    names = " ".join(packages)
    return f"sudo apt-get install {names}" if shutil.which("apt-get") else f"install what Debian calls {names}"


def tool(command: str, package: str, costs: str) -> Check:
    """Whether a program is here."""
    where = shutil.which(command, path=_search_path())
    return Check(command, where is not None, where or "not found", costs, install(package))


def _search_path() -> str:
    """PATH, and where Debian keeps what an ordinary user's PATH lacks."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
