"""The quick form of `make truth`: a few seeds whose features are right today. README.md lists what is held back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.truth.campaign import Campaign
from tests.truth.held_back import FEATURES_HELD_BACK, KINDS_HELD_BACK
from tests.truth.lab import Lab

_SEEDS = (1001, 1002, 1003, 1004, 1005, 1006)


@pytest.mark.netns
@pytest.mark.timeout(300)
def test_what_simctl_says_of_programs_of_sockets_is_what_the_wire_says(tmp_path: Path, as_root: None) -> None:
    campaign = Campaign(Lab(tmp_path / "runs", jobs=3), tmp_path, without=FEATURES_HELD_BACK)
    campaign.run(_SEEDS, at_a_time=len(_SEEDS))
    assert not campaign.broken
    assert not campaign.total.unexplained
    found = [str(finding) for finding in campaign.total.findings if finding.kind not in KINDS_HELD_BACK]
    assert not found, "\n".join(found)
    figures = campaign.total.figures
    assert figures["programs"] == len(_SEEDS)
    assert figures["sockets"] >= 10, "what compares little finds little"
    assert figures["states compared"] >= 50
    assert figures["verdicts unknown"] <= figures["expectations"] / 4, json.dumps(figures)
