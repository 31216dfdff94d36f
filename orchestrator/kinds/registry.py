"""The registry of node kinds: every folder below nodes/ that has a node.yaml. nodes/README.md describes the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from orchestrator.errors import InputError
from orchestrator.kinds.knobvalues import Takes
from orchestrator.kinds.logrules import LogRule
from orchestrator.kinds.needs import Need
from orchestrator.system import resources
from orchestrator.text.suggest import nearest, suggestion
from orchestrator.text.yamlsource import Source, load_yaml

_FILE = "node.yaml"

Capability = Literal["NET_ADMIN"]
"""NET_ADMIN: a packet filter, in the node's own network namespace."""
Option = Literal[
    "body.size", "hold", "timeout.connect", "timeout.read", "timeout.write", "timeout.pool", "timeout.total"
]
_NOT_CONTENT = ("__pycache__", ".pyc")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Ready(_Model):
    """When a node of the kind is ready: it listens on `port`, it says `event`, or (neither) at once."""

    port: int | None = Field(None, ge=1, le=65535)
    event: str | None = None

    @model_validator(mode="after")
    def _at_most_one(self) -> Ready:
        if self.port is not None and self.event is not None:
            raise ValueError("`ready` is either a `port` or an `event`")
        return self


def _text(value: object) -> object:
    """Defaults of knobs are environment variables: YAML's 0 and false are the texts that stand there."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class Knob(_Model):
    """An environment variable that the kind reads."""

    default: Annotated[str, BeforeValidator(_text)]
    meaning: str
    takes: Takes | None = None
    """What values it may have; None: only the program knows."""


class Reload(_Model):
    """Its entrypoint, run beside the program with SIMCTL_RELOAD=1, writes the configuration anew with the changed
    knobs; then this signal goes to the program, and to no child of it."""

    signal: Literal["HUP", "USR1", "USR2"] | None = None
    """None: its entrypoint has told the program."""
    needs: dict[str, str] = {}
    """Knobs and the values that they must have from the start."""
    knobs: tuple[str, ...] = Field(min_length=1)
    """Those that a reload can change. The others take a restart."""


class Kind(_Model):
    """A node kind: node.yaml, and the folder that it describes."""

    kind: str
    role: Literal["client", "server", "proxy", "middle", "host"]
    title: str
    events: bool = False
    early: bool = False
    """Its program may start before the node is wired: it waits for commands, or listens on every address."""
    ready: Ready = Ready(port=None, event=None)
    entrypoint: tuple[str, ...] = Field(min_length=1)
    knobs: dict[str, Knob] = {}
    errors: tuple[str, ...] = ()
    """Of a client: names of errors that it can report besides those of all clients (errornames.py); `*` stands for any
    characters."""
    paces: bool = False
    """Of a client: it takes a rate, a duration and a range of pauses, and tells how it kept to the rate."""
    options: tuple[Option, ...] = ()
    """Of a client: what it can do of a request step beyond the plain one, as the keys of that step."""
    commands: tuple[Literal["request", "raw"], ...] = ("request",)
    """Of a client: the steps that it carries out, besides `close`."""
    capabilities: tuple[Capability, ...] = ()
    """What its program may do beyond what the programs of all nodes may, by capabilities(7), without CAP_."""
    refuses_root: bool = False
    """Its program refuses to be root. In a node where nobody else is, because simctl is not root, it may make a user
    namespace, in which it is nobody."""
    reload: Reload | None = None
    """How its program takes a new configuration without an end; None: it cannot."""
    log: tuple[LogRule, ...] = ()
    """How the lines of its log are read that explain what a client got, the first that fits (logrules.py)."""
    nat: bool = False
    """Its kernel translates addresses (conntrack): both ends of a connection through it have other addresses, and what
    it makes of them is recorded."""
    needs: tuple[Need, ...] = ()
    distribution: str | None = None
    """The Python distribution whose version is that of the kind, where no Debian package has it."""
    rehearsed: bool = False
    """A virtual machine is frozen after a lab with these kinds was played in it: they start fast there."""
    prepare: tuple[str, ...] = ()
    """A command, run in the kind's folder, that does once what its first start would do; what it makes is in
    XDG_CACHE_HOME. `{python}` is an interpreter, and nodes/base is beside the folder. Only a virtual machine's image is
    made with it."""
    folder: Path = Field(exclude=True)
    """Absolute; set by the registry, not by the file."""

    @property
    def reports_serving(self) -> bool:
        """Whether its program reports what it served and which connections it closed: `served`, `closed`."""
        return self.events and self.role == "server"

    @property
    def version(self) -> str:
        """12 hexadecimal digits that change with any file of the folder: name, content or executable bit."""
        return folder_version(self.folder)


def folder_version(folder: Path) -> str:
    """12 hexadecimal digits of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.endswith(_NOT_CONTENT) for part in relative.parts):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{relative}\0{path.stat().st_mode & 0o111 != 0}\0{content}\n".encode())
    return digest.hexdigest()[:12]


def kind_names(root: Path = resources.NODES) -> list[str]:
    """The kinds that there are, sorted, without reading their files."""
    return sorted(path.parent.name for path in root.glob(f"*/{_FILE}"))


def load_kinds(root: Path = resources.NODES) -> Kinds:
    """Name -> kind, sorted."""
    return Kinds(root)


class Kinds(Mapping[str, Kind]):
    """Name -> kind, sorted. A file is read when its kind is asked for: to read all was a quarter of what a run does
    before its first node is there. Asking raises InputError, with its place, for a node.yaml that is wrong."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names = kind_names(root)
        self._read: dict[str, Kind] = {}

    def __getitem__(self, name: str) -> Kind:
        if name not in self._read:
            if name not in self._names:
                raise KeyError(name)
            self._read[name] = _load(self._root / name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def have_knob(self, knob: str) -> bool:
        """Whether it is a knob of any of them. Only files that mention it are read."""
        if any(knob in kind.knobs for kind in self._read.values()):
            return True
        others = (name for name in self._names if name not in self._read)
        return any(
            knob in self[name].knobs for name in others if knob in (self._root / name / _FILE).read_text("utf-8")
        )


def have_knob(kinds: Mapping[str, Kind], knob: str) -> bool:
    """Whether it is a knob of any of these kinds."""
    return kinds.have_knob(knob) if isinstance(kinds, Kinds) else any(knob in each.knobs for each in kinds.values())


def kind(name: str, root: Path = resources.NODES) -> Kind:
    """The kind of that name. Raises InputError, which lists the kinds, when there is none."""
    names = kind_names(root)
    if name not in names:
        raise InputError(
            f"unknown node kind {name!r}; there are: {', '.join(names) or 'none'}", hint=nearest(name, names)
        )
    return _load(root / name)


def missing(kind: Kind) -> list[Need]:
    """What this machine lacks to run the kind under netns."""
    return [need for need in kind.needs if not need.met]


def argv(kind: Kind, python: str) -> list[str]:
    """The kind's command line: files of its folder as absolute paths, `{python}` as the given interpreter."""
    words = (word.replace("{python}", python) for word in kind.entrypoint)
    return [str(kind.folder / word) if (kind.folder / word).is_file() else word for word in words]


def _load(folder: Path) -> Kind:
    source = load_yaml(folder / _FILE)
    if "folder" in source.data:
        raise InputError("unknown key folder", place=source.place(("folder",), of_key=True))
    try:
        found = Kind.model_validate({**source.data, "folder": folder.resolve()})
    except ValidationError as error:
        problems = [_problem(source, dict(detail)) for detail in error.errors(include_url=False)]
        if len(problems) == 1:
            raise problems[0] from None
        raise InputError(problems[0].message, place=problems[0].place, problems=problems) from None
    if found.kind != folder.name:
        raise InputError(
            f"the kind is called {found.kind!r}, but its folder {folder.name!r}: they must be the same",
            place=source.place(("kind",)),
        )
    return found


def _problem(source: Source, detail: Mapping[str, Any]) -> InputError:
    keys = tuple(detail["loc"])
    unknown = detail["type"] == "extra_forbidden"
    if not unknown:
        message = detail["msg"].removeprefix("Value error, ")
        return InputError(f"{'.'.join(map(str, keys))}: {message[:1].lower()}{message[1:]}", place=source.place(keys))
    deep: dict[str, type[BaseModel]] = {"needs": Need, "log": LogRule}
    models: dict[int, type[BaseModel]] = {1: Kind, 2: Ready, 3: deep.get(str(keys[0]), Knob)}
    known = [name for name in models.get(len(keys), Kind).model_fields if name != "folder"]
    return InputError(
        f"unknown key {keys[-1]}",
        place=source.place(keys, of_key=True),
        hint=suggestion(str(keys[-1]), known),
    )
