"""`impair`: packets that arrive late, twice, damaged or in another order."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from orchestrator.scenario.steps.base import Context, Effect, Situation
from orchestrator.scenario.steps.packets import Packets, Share
from orchestrator.scenario.values import Duration
from orchestrator.text.durations import format_duration
from orchestrator.text.suggest import describe

_BITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
_RATE = re.compile(r"([0-9]{1,6}(\.[0-9]{1,3})?)(kbit|mbit|gbit)")


def _rate(text: str) -> str:
    found = _RATE.fullmatch(text)
    if found is None or float(found[1]) * _BITS[found[3]] < 8:  # the kernel counts in bytes, and 0 is no bound
        raise ValueError(f"expected a rate such as 500kbit, 10mbit or 1gbit, not {describe(text)}")
    return text


Rate = Annotated[str, AfterValidator(_rate), Field(json_schema_extra={"pattern": f"^{_RATE.pattern}$"})]

_TICK = 1e-6

MOST = 15
"""Steps of a scenario: as many bands has a queueing discipline besides that of all other packets."""

_DOES = ("delay", "jitter", "duplicate", "corrupt", "reorder", "rate")


class Impair(Packets):
    """Delay packets on their way, send them twice, damage them, let some overtake others, or bound their rate: the
    queueing discipline netem, where the kernel has it (that of `--runtime vm` has; a run that needs it is refused
    before anything starts where it is missing). To lose packets, use `drop`.

    A delay holds for one direction: `from` and `to`. What waits when it is healed still arrives. Where packets were
    delayed, a ladder no longer concludes from a silence that one was lost.
    """

    verb = "impair"
    meaning = "delay, duplicate, damage, reorder packets, or bound their rate (netem)"
    example = """\
steps:
  - name: slow
    impair: {to: server, delay: 100ms, jitter: 20ms}
  - name: noisy
    impair: {from: server, flags: data, corrupt: 1%, for: 5s}
"""
    begins = Effect("impair", "from now on", about_packets=True)
    over = Effect("impair over", "no longer so", about_packets=True)
    effects = (begins, over)
    fault: ClassVar[str] = "impairment"
    needs: ClassVar[tuple[str, ...]] = ("packet rules", "netem")

    delay: Duration | None = Field(None, gt=0, le=600, description="how much later each arrives")
    jitter: Duration | None = Field(
        None, gt=0, le=600, description="by so much the delay varies, up and down; packets overtake each other then"
    )
    duplicate: Share | None = Field(
        None, description="how many arrive twice; there can be no other `impair` in the scenario then"
    )
    corrupt: Share | None = Field(None, description="in how many one bit is turned: the checksum tells the receiver")
    reorder: Share | None = Field(None, description="how many are not delayed, so that they overtake: with `delay`")
    rate: Rate | None = Field(None, description="as on a link of this rate: 500kbit, 10mbit, 1gbit")

    @model_validator(mode="after")
    def _something(self) -> Impair:
        if all(getattr(self, name) is None for name in _DOES):
            raise ValueError(f"nothing is impaired: give one of {', '.join(_DOES)}")
        for name in ("jitter", "reorder"):
            if getattr(self, name) is not None and self.delay is None:
                raise ValueError(f"`{name}` is of a `delay`, which is not given")
        if any(time is not None and time < _TICK for time in (self.delay, self.jitter)):
            raise ValueError("`delay` and `jitter` are whole microseconds: this is less than one")
        if self.jitter is not None and self.delay is not None and self.jitter > self.delay:
            raise ValueError("`jitter` is more than `delay`: no packet arrives before it is sent")
        return self

    def check(self, situation: Situation) -> None:
        """The kernel has no tree of disciplines with two netems of which one duplicates: packets could breed."""
        others = {step: fault for step, fault in situation.earlier.faults.items() if fault.verb == self.verb}
        if len(others) >= MOST:
            situation.problem(f"a scenario can impair packets in {MOST} steps at most", "do several in one step")
            return
        doubles = next((step for step, fault in others.items() if fault.alone), None)
        super().check(situation)
        if situation.step in situation.earlier.faults:
            situation.earlier.faults[situation.step].alone = self.duplicate is not None
        if others and (self.duplicate is not None or doubles is not None):
            which = doubles if doubles is not None else next(iter(others))
            message = f"where an `impair` duplicates packets it must be the only one, and there is that of {which}"
            situation.problem(message, "do all in one step, or in two scenarios")

    def done(self) -> str:
        """`delay 100ms, duplicate 10%`."""
        found: list[str] = []
        for name in _DOES:
            value = getattr(self, name)
            if value is None:
                continue
            if name in ("delay", "jitter"):
                found.append(f"{name} {format_duration(value)}")
            else:
                found.append(f"{name} {value if name == 'rate' else f'{value:.6g}'}")
        return ", ".join(found)

    def describe(self) -> str:
        return self.lasting(f"impair {self.words()}: {self.done()}")

    def perform(self, context: Context) -> None:
        nodes = self.involved(context)
        settings: dict[str, Any] = {"rule": context.step, **self.selection(context)}
        settings |= {name: getattr(self, name) for name in _DOES}
        slow = None if self.rate is not None else (self.delay or 0.0) + (self.jitter or 0.0)
        self.carry_out(
            context, nodes[0], settings, packets=f"{self.words()}: {self.done()}", nodes=list(nodes), slow=slow,
            slowed=self.rate is not None or bool(slow),
        )  # fmt: skip
