"""How lines of a kind's log are read that explain what a client got: `log` in node.yaml, a list of rules.

A rule is a regular expression for the whole of a line (`re.search`), whose named groups are what the line tells, and
`codes`: short names that the line may use, with what they mean. Lines come from programs, and so from whoever talks to
them: a rule sees the first LONGEST characters of a line and no more, and what it takes out of it is cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, field_validator

LONGEST = 2_000
"""Characters of a line that rules see."""

KEPT = 300
"""Characters of what a group took that are recorded."""

GROUPS = {
    "says": "what went wrong, in the program's words",
    "code": "a short name for that, explained in `codes`",
    "client": "address of the client, with its port where the line has it",
    "request": "`GET /path HTTP/1.1`, as the client sent it",
    "status": "the HTTP status that the client got",
    "upstream": "address of the server that it was passed to",
}
"""Named groups that a rule may have."""


class LogRule(BaseModel):
    """One form of line."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    line: str
    codes: dict[str, str] = {}
    means: Literal["pool_full", "no_place"] | None = None
    """What simctl itself makes of such a line: a connection was closed since its pool had no room; a NAT dropped the
    first segment of a flow since its table or its ports were used up."""

    @field_validator("line")
    @classmethod
    def _is_a_rule(cls, line: str) -> str:
        try:
            named = re.compile(line).groupindex
        except re.error as error:
            raise ValueError(f"expected a regular expression: {error}") from None
        unknown = [name for name in named if name not in GROUPS]
        if unknown:
            raise ValueError(f"unknown group {unknown[0]}; a line can tell {', '.join(GROUPS)}")
        if not {"says", "code"} & named.keys():
            raise ValueError("expected a group `says` or `code`: what went wrong")
        return line

    def read(self, line: str) -> dict[str, str] | None:
        """What the line tells; None when it is of another form, or its code means nothing to a reader."""
        found = re.search(self.line, line[:LONGEST])
        if found is None:
            return None
        told = {name: text[:KEPT] for name, text in found.groupdict().items() if text}
        if self.means is not None:
            told["means"] = self.means
        if "code" in told:
            meaning = self.codes.get(told["code"])
            if meaning is None:
                return told if "says" in told else None
            told.setdefault("says", meaning)
        return told if "says" in told else None


def read_line(rules: tuple[LogRule, ...], line: str) -> Mapping[str, Any] | None:
    """By the first rule that knows it."""
    return next((told for rule in rules if (told := rule.read(line)) is not None), None)
