"""What a `request` may have instead of a single value: a body by its size, each timeout by itself."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from orchestrator.bounds import FILLING
from orchestrator.scenario.fields import Model, Text
from orchestrator.scenario.values import Duration
from orchestrator.text.sizes import SIZE, parse_size

TIMEOUT = 10.0
"""Seconds, where a file does not say."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(ge=1, le=FILLING.limit),
    WithJsonSchema(
        {
            "title": "size",
            "description": "A size: 1GB (10^9 bytes), 64KiB (1024 each), or a number of bytes.",
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": FILLING.limit},
                {"type": "string", "pattern": rf"^\s*{SIZE.pattern}\s*$"},
            ],
        }
    ),
]


class Body(Model):
    """A `body` that its client makes up while it sends it."""

    size: Size = Field(description="how large it is: `1GB` (10^9 bytes), `64KiB` (1024 each), or a number of bytes")


class Timeouts(Model):
    """A `timeout` by its parts. What is left out is as without `timeout`."""

    connect: Duration | None = Field(None, gt=0, description="until a connection is there")
    read: Duration | None = Field(None, gt=0, description="of each wait for the response, or for more of it")
    write: Duration | None = Field(None, gt=0, description="of each wait until more of the request can be sent")
    pool: Duration | None = Field(None, gt=0, description="until the pool has a connection to give, or room for one")
    total: Duration | None = Field(None, gt=0, description="of the whole request")

    @model_validator(mode="after")
    def _any(self) -> Timeouts:
        if not self.given:
            raise ValueError(f"no timeout is given: there are {', '.join(type(self).model_fields)}")
        return self

    @property
    def given(self) -> dict[str, float]:
        """Seconds of each that the file has."""
        found: dict[str, Any] = self.model_dump(exclude_none=True)
        return found


def _form(value: object) -> str:
    return "mapping" if isinstance(value, dict | Model) else "value"


TextOrBody = Annotated[Annotated[Text, Tag("value")] | Annotated[Body, Tag("mapping")], Discriminator(_form)]
OneOrTimeouts = Annotated[
    Annotated[Annotated[Duration, Field(gt=0)], Tag("value")] | Annotated[Timeouts, Tag("mapping")],
    Discriminator(_form),
]
