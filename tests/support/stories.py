"""The bundled scenarios that take less than ten seconds, run side by side: they mostly wait."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import Simctl
from tests.support.reports import in_short

QUICK = ("idle-close", "short-connections", "session-close", "server-says-close", "server-close-wait")


def assert_all_pass(simctl: Simctl, runtime: str, server: str) -> None:
    """Every quick story holds on that runtime, against that kind of server."""
    arguments = ("-r", runtime, "--set", f"SERVER={server}", "--jobs", "3", "--format", "json")
    done = simctl("run", *QUICK, *arguments, timeout=170)
    assert done.stdout, done.stderr
    reports: list[dict[str, Any]] = json.loads(done.stdout)
    assert tuple(report["scenario"] for report in reports) == QUICK, done.stderr
    for report in reports:
        assert report["contradictions"] == []
        assert (report["outcome"], report["runtime"]) == ("pass", runtime), in_short(report)
    assert done.returncode == 0, done.stderr
