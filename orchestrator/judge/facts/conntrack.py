"""Entries of a NAT's conntrack table."""

from __future__ import annotations

from orchestrator.judge.conntrack import Entries
from orchestrator.judge.facts.evaluation import AtInstants

EVALUATIONS = {"conntrack": AtInstants(Entries)}
