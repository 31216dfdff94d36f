"""What the models of the language are made of: their base, and types of fields that need more than Python's own."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from orchestrator.bounds import RATE
from orchestrator.text.suggest import describe


class Model(BaseModel):
    """A mapping of a scenario file; a key that is none of its own is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
"""Names of steps and sessions; they appear in moments and in file names."""


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(f"{describe(text)} is no name: use letters, digits, - and _, a letter first")
    return text


Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{NAME.pattern}$"})]


def _to_text(value: object) -> str:
    """Variables, headers and arguments are text; YAML may have read `8080` as a number and `true` as a boolean."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"expected text, not {describe(value)}")


Text = Annotated[str, BeforeValidator(_to_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
"""Text that YAML may have read as a number or a boolean."""


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("the text contains a NUL, which no program's arguments can hold")
    return value


Word = Annotated[Text, AfterValidator(_no_nul)]
"""An argument of a program."""

Whole = Annotated[int, Field(strict=True)]
"""Not `"5"` and not `true`, which pydantic takes for whole numbers too."""


class PerSecond:
    """Marks a field that is a number of something each second."""


def _per_second(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= RATE.limit:
        raise ValueError(f"expected a number of requests a second, more than 0 and at most {RATE.limit}, "
                         f"not {describe(value)}")  # fmt: skip
    return float(value)


Rate = Annotated[
    float,
    PerSecond,
    BeforeValidator(_per_second),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": RATE.limit}),
]
"""Requests a second."""


def _true_or_false(value: object) -> object:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {describe(value)}")
    return value


TrueOrFalse = Annotated[bool, BeforeValidator(_true_or_false)]
"""Not `"no"` and not 0, which pydantic takes for booleans too."""


SCHEMES = ("http", "mysql", "postgresql", "redis")
"""What client nodes speak: HTTP, or the protocol of a data store."""


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # `port` raises when it is no number
    except ValueError:
        host = None
    else:
        if parts.scheme == "https":
            raise ValueError("nodes speak plain HTTP: write http:// instead of https://")
        if host and parts.scheme and parts.scheme not in SCHEMES:
            known = " or ".join(f"{scheme}://" for scheme in SCHEMES)
            raise ValueError(f"no client speaks {parts.scheme[:40]}: expected a URL that begins with {known}")
    if not host or not parts.scheme or not url.isprintable() or " " in url:
        raise ValueError(f"expected an absolute URL such as http://server:8080/, not {describe(url)}")
    return url


Url = Annotated[str, AfterValidator(_url)]
