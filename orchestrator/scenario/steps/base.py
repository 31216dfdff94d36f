"""What every verb of a step is: a model of what a file says, with what it checks, does and is called.

A verb's file imports nothing of the lab. What it may ask and do is in two small protocols: `Situation` before anything
is started, `Context` while the scenario runs (orchestrator/run has both). How to write one: docs/dev/steps.md.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from orchestrator.text.record import record


@record
class Effect:
    """Something that a step does to a node, as the recording has it and as a ladder says it."""

    recorded: str
    """`what` of the `node` line. Recordings are kept for years, so it does not change."""
    words: str = ""
    """Ends the sentence "server is ..." in a ladder; without, none is written."""
    reachable: bool | None = None
    """False: from now on nothing arrives at the node or comes from it. True: it does again."""
    ends_program: bool = False
    """Whether the node's program ends, and its kernel closes what it had open."""
    about_packets: bool = False
    """The sentence is about the packets that the recorded line names in its detail, not about the node."""


@dataclass(slots=True)
class Applied:
    """What a step did to the network, for a later `heal`."""

    verb: str
    heals_itself: bool
    alone: bool = False
    """Nothing else of its verb can be done in the same run."""
    healed_by: str | None = None
    """The step that takes it back."""


@dataclass(slots=True)
class Earlier:
    """What the steps before one did, as far as later ones must know. A step's check adds what its step does."""

    sessions: dict[str, set[str]] = field(default_factory=dict)
    """Client node -> names of its open Sessions."""
    gone: dict[str, str] = field(default_factory=dict)
    """Node -> the step that ended its program."""
    perhaps_gone: dict[str, str] = field(default_factory=dict)
    """Node -> the step after which its program may have ended."""
    paused: dict[str, str] = field(default_factory=dict)
    """Node -> the step that paused its program."""
    faults: dict[str, Applied] = field(default_factory=dict)
    """Step -> what it did to the network."""
    named: dict[str, set[str]] = field(default_factory=dict)
    """Node -> names that a step put into its /etc/hosts."""
    running: dict[str, set[str]] = field(default_factory=dict)
    """Step in the background that nobody has awaited -> the nodes whose programs it waits for."""
    using: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """Client node and name of a Session -> steps in the background that use it."""

    def users(self, node: str, session: str) -> list[str]:
        """The steps in the background that may be using that Session now."""
        return sorted(self.using.get((node, session), set()) & self.running.keys())


class Situation(Protocol):
    """What a check may ask. `keys` lead to a value from the verb's own: `("from",)`; () is the verb's value itself."""

    @property
    def step(self) -> str:
        """The name of the step."""

    @property
    def earlier(self) -> Earlier: ...

    def without_pace(self, nodes: Sequence[str]) -> tuple[str, Sequence[str]] | None:
        """The first kind of those clients that takes no rate, no duration and no range of pauses, and the kinds that
        do; None when all do."""

    def without_option(self, nodes: Sequence[str], option: str) -> tuple[str, Sequence[str]] | None:
        """Likewise, of an option of a request (kinds/registry.py): `body.size`, `hold`, `timeout.connect`."""

    def nodes(self, name: str, *keys: str) -> Sequence[str]:
        """The nodes that a name means: one, or all replicas of a service. None is a problem, which is noted."""

    def able(
        self, name: str, *keys: str, client: bool = False, awake: bool = False, command: str | None = None
    ) -> Sequence[str]:
        """The same, when their programs were not ended before; else that is noted, and there are none.

        `client`: they must be clients. `awake`: they must not be paused, because the step waits for what they do.
        `command`: their kind must take it (`request`, `raw`).
        """

    def can_end(self, step: str) -> None:
        """Note when a step in the background can never end: it waits for a program that is paused."""

    def kind(self, node: str) -> str | None:
        """The kind of a node; None: it is an image of its own."""

    def check_knobs(self, name: str, values: Mapping[str, str], *keys: str) -> None:
        """Note each of the knobs that the nodes of that name do not have, and each value that it cannot have. `keys`
        lead to the mapping."""

    def check_reload(self, name: str, values: Mapping[str, str]) -> None:
        """Note, at the keys `node` and `set`, nodes of that name whose kind cannot reload, and knobs that it cannot
        change so."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Virtual addresses of the topology, by name -> the network that each is of."""

    @property
    def nats(self) -> Sequence[str]:
        """The nodes that translate addresses."""

    def networks(self, node: str) -> Sequence[str]:
        """The networks that a node is on."""

    @property
    def members(self) -> Mapping[str, Sequence[str]]:
        """Network -> the nodes that are on it."""

    def is_node(self, name: str) -> bool:
        """Whether a name is that of a node or service."""

    def hosts(self, nodes: Sequence[str]) -> Collection[str]:
        """Every name and address that those nodes can use in a URL."""

    def targets(self, nodes: Sequence[str]) -> Collection[str]:
        """Every name that has an address in the /etc/hosts of each of those nodes when the lab comes up."""

    def problem(self, message: str, hint: str | None, *keys: str) -> None:
        """Note that something is wrong there."""


class Finished(Protocol):
    """How a command in a node ended."""

    @property
    def status(self) -> int: ...
    @property
    def output(self) -> str: ...
    @property
    def how(self) -> str:
        """In words, after the command's name: `ended with status 1`, `was killed by SIGHUP`."""


class Held(Protocol):
    """An address that one node has at a time."""

    @property
    def address(self) -> str: ...
    @property
    def network(self) -> str: ...
    @property
    def node(self) -> str: ...


class Context(Protocol):
    """What a step may do in a running lab. Everything raises EnvironmentFailure when the lab is no longer whole."""

    @property
    def step(self) -> str:
        """The name of the step."""

    def nodes(self, name: str) -> Sequence[str]:
        """The nodes that a name means: one, or all replicas of a service."""

    def members(self, network: str) -> Sequence[str]:
        """The nodes on a network."""

    def command(self, nodes: Sequence[str], do: str, within: float | None = None, **fields: Any) -> None:
        """Have client nodes do something, all at the same time, and wait until all are done. See nodes/README.md.
        Raises NodeFailure when one is not done `within` so many seconds."""

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def await_step(self, name: str) -> None:
        """Wait until a step in the background has ended."""

    def running(self, nodes: Sequence[str], *, noted: bool = True) -> Sequence[str]:
        """Those of them whose programs run; `noted`: that the step does nothing to the others is said in a note."""

    def signal(self, node: str, number: int, *, alone: bool = False) -> None:
        """Send a signal to every process of the node's program; `alone`: to its first process only."""

    def expect_end(self, node: str) -> None:
        """From now on it is no surprise when the node's program ends."""

    def await_end(self, node: str, seconds: float, after: str) -> None:
        """Wait until it ended. Raises NodeFailure when it has not within these seconds of `after` ("being killed")."""

    def still_running(self, nodes: Sequence[str], seconds: float) -> Sequence[str]:
        """Wait until the programs of these nodes have ended, so many seconds at most; those that have not."""

    def start_programs(self, nodes: Sequence[str], knobs: Mapping[str, str], *, may_fail: bool) -> None:
        """Start programs that have ended again, with knobs changed, and wait until each is ready. One that ends before
        is a NodeFailure, or a note where it `may_fail`."""

    def reload(self, node: str, knobs: Mapping[str, str]) -> None:
        """Give its program a new configuration with these knobs changed. Raises NodeFailure when that cannot be
        written."""

    def note(self, text: str) -> None:
        """Something that the reader of the report should know."""

    def run_command(self, node: str, command: Sequence[str], seconds: float) -> Finished:
        """Run a command in the node; it is killed after so many seconds."""

    def keep(self, name: str, text: str) -> None:
        """Write a file into the folder of the run's logs."""

    def fault(self, name: str, action: Literal["apply", "heal"], node: str, **settings: Any) -> int | None:
        """Apply one of orchestrator/fabric/faults to a node, or heal it. How many things it befell, where it counts
        them."""

    def addresses(self, node: str) -> Sequence[str]:
        """The addresses that a node has now."""

    def virtual(self, name: str) -> Held:
        """A virtual address, and who has it now."""

    def choose(self, name: str, node: str | None) -> str:
        """The step gives a virtual address to a node; None: it is healed. Returns who should have it now."""

    def set_hosts(self, node: str, names: Mapping[str, Sequence[str]] | None) -> None:
        """What the step writes into the node's /etc/hosts: names with nodes that it can reach, or addresses.
        None: it is healed."""

    def later(self, name: str, undo: Callable[[], None]) -> None:
        """Keep what takes a step's work back, under the step's name."""

    def heal(self, name: str) -> None:
        """Take the work of that step back. What was taken back is not done so again."""

    def record(self, node: str, effect: Effect, **detail: Any) -> None:
        """Write into the recording what happened to the node, now. What is None in `detail` is left out."""


class Verb(BaseModel, abc.ABC):
    """What stands behind one verb in a file. The docstring of a verb is its text on the reference page."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    verb: ClassVar[str]
    meaning: ClassVar[str]
    """One line, for the table of verbs and for editors."""
    example: ClassVar[str]
    """Steps in YAML, about nodes `client`, `server`, `proxy` (an nginx), `prober` (a raw) and `nat`, and an address
    `vip`, for the reference page; a test checks it."""
    effects: ClassVar[tuple[Effect, ...]] = ()
    """All that it may record."""
    needs: ClassVar[tuple[str, ...]] = ()
    """What the kernel must be able to do, as observe/abilities.try_faults has it: a run is refused where it is not."""
    runs_commands: ClassVar[bool] = False
    """The file says what is executed. Under netns that is on this machine, so the user has to allow it."""

    @property
    def seconds(self) -> float:
        """How long it takes at least, as far as the file tells."""
        return 0.0

    @property
    def awaits(self) -> str | None:
        """The step in the background that it waits for."""
        return None

    @abc.abstractmethod
    def check(self, situation: Situation) -> None:
        """Note every problem that can be known before anything is started, and what the step does to later ones."""

    @abc.abstractmethod
    def describe(self) -> str:
        """In a few words, for progress: `5 requests from client`."""

    @abc.abstractmethod
    def perform(self, context: Context) -> None:
        """Do it. It has ended when this returns."""


class Fields(Verb):
    """A verb that takes a mapping."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
