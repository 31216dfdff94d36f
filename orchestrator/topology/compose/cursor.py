"""Walks a Compose file's data: each value with its place, its problems collected instead of raised.

A `Reading` is one reading of one file; a `Cursor` points at one value in it. Every accessor returns something usable
(an empty mapping, None) when the value is of the wrong kind, after noting the problem, so one pass finds them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.bounds import PROBLEMS
from orchestrator.errors import Gathered, InputError, Place
from orchestrator.text.record import record
from orchestrator.text.safe import printable
from orchestrator.text.suggest import describe, did_you_mean
from orchestrator.text.yamlsource import Source
from orchestrator.topology.compose.interpolate import InterpolationError, Variable, bounded, evaluate, names, parse
from orchestrator.topology.compose.keys import KeyTable
from orchestrator.topology.model import Note

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_MAX_NUMBER = 10**30
"""Python refuses to print numbers of more than 4300 digits, which a hexadecimal one in YAML can have."""


@dataclass
class Reading:
    """What one reading of a file has found. `variables` are the given ones and those of `.env`, merged."""

    source: Source
    variables: Mapping[str, str]
    problems: Gathered = field(init=False)
    notes: list[Note] = field(default_factory=list)
    mentioned: set[str] = field(default_factory=set)
    env_files: dict[Path, dict[str, str]] = field(default_factory=dict)
    """What was read from files that services name, each once."""
    _ignored: dict[tuple[str, str], _Ignored] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.problems = Gathered(self.source.path, "in this topology")
        self.lookup_bounded = bounded(lambda name: self.variables.get(name))

    @property
    def root(self) -> Cursor:
        return Cursor(self.source.data, (), self)

    def lookup(self, name: str) -> str | None:
        """The value of a variable for a file that this one names (`env_file`); counts as a mention."""
        self.mentioned.add(name)
        return self.lookup_bounded(name)

    def ignore(self, table: KeyTable, key: str, cursor: Cursor) -> None:
        """One note a key, however many services have it."""
        entry = self._ignored.setdefault((table.what, key), _Ignored(table, key, cursor.place(of_key=True)))
        if len(cursor.keys) > 2:
            entry.owners.setdefault(str(cursor.keys[1]))

    def all_notes(self) -> tuple[Note, ...]:
        """Notes in the file's order."""
        notes = [*self.notes, *(entry.note() for entry in self._ignored.values())]
        ordered = sorted(dict.fromkeys(notes), key=lambda note: (note.place.line or 0, note.place.column or 0))
        if len(ordered) > PROBLEMS.limit:
            rest = Note(f"{len(ordered) - PROBLEMS.limit} more notes of this kind", ordered[PROBLEMS.limit].place)
            ordered[PROBLEMS.limit :] = [rest]
        return tuple(ordered)


@dataclass
class _Ignored:
    table: KeyTable
    key: str
    place: Place
    owners: dict[str, None] = field(default_factory=dict)

    def note(self) -> Note:
        owners = f" of {', '.join(self.owners)}" if self.owners else ""
        return Note(
            f"`{self.table.prefix}{self.key}`{owners} is passed over: {self.table.ignored[self.key]}", self.place
        )


@record
class Cursor:
    """One value of the file, `keys` its path from the top. Text is interpolated when it is read."""

    value: object
    keys: tuple[str | int, ...]
    reading: Reading

    def place(self, *, of_key: bool = False) -> Place:
        return self.reading.source.place(self.keys, of_key=of_key)

    def problem(self, message: str, *, hint: str | None = None, of_key: bool = False) -> None:
        self.reading.problems.append(InputError(printable(message), place=self.place(of_key=of_key), hint=hint))

    def note(self, text: str) -> None:
        self.reading.notes.append(Note(printable(text), self.place()))

    def at(self, key: str | int) -> Cursor:
        """The child of that key or index, which must be there."""
        assert isinstance(self.value, dict | list)
        return Cursor(self.value[key], (*self.keys, key), self.reading)  # type: ignore[index]

    def mapping(self, expected: str) -> dict[str, Cursor]:
        """Key -> cursor; nothing counts as empty."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            self.problem(f"expected {expected}, not {describe(self.value)}")
            return {}
        return {key: self.at(key) for key in self.value}

    def sequence(self, expected: str) -> list[Cursor]:
        """The items; nothing counts as empty."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.problem(f"expected {expected}, not {describe(self.value)}")
            return []
        return [self.at(index) for index in range(len(self.value))]

    def fields(self, table: KeyTable) -> dict[str, Cursor]:
        """The keys that simctl reads; notes those that it passes over, and a problem for each other one."""
        found = {}
        for key, child in self.mapping(f"{table.what}: a mapping").items():
            if key in table.read:
                found[key] = child
            elif key in table.ignored:
                self.reading.ignore(table, key, child)
            elif key in table.refused:
                child.problem(f"`{table.prefix}{key}` is not supported: {table.refused[key]}", of_key=True)
            elif not key.startswith("x-"):
                near = did_you_mean(key, [*table.read, *table.ignored])
                hint = f"did you mean {near}?" if near else f"known keys: {', '.join(table.read)}"
                child.problem(f"unknown key {table.prefix}{key} in {table.what}", hint=hint, of_key=True)
        return found

    def text(self, expected: str = "a text") -> str | None:
        """The interpolated text; a number or boolean becomes text. None, with a problem, for anything else."""
        match self.value:
            case bool():
                return "true" if self.value else "false"
            case int() | float() if not abs(self.value) > _MAX_NUMBER:
                return str(self.value)
            case int() | float():
                self.problem("the number is too large", hint="quote it if it is text")
                return None
            case str():
                return self._interpolated(self.value)
        self.problem(f"expected {expected}, not {describe(self.value)}")
        return None

    def word(self, expected: str) -> str | None:
        """Text that is not empty."""
        text = self.text(expected)
        if text == "":
            self.problem(f"expected {expected}, not an empty text")
        return text or None

    def whole(self, low: int, high: int, what: str) -> int | None:
        """A whole number between `low` and `high`, both included."""
        text = self.text(f"a whole number ({what})")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
            self.problem(f"{what} must be a whole number from {low} to {high}, not {text[:60]}")
            return None
        return int(text)

    def flag(self) -> bool | None:
        text = self.text("true or false")
        if text is None:
            return None
        if text.lower() not in _TRUE + _FALSE:
            self.problem(f"expected true or false, not {text[:60]!r}")
            return None
        return text.lower() in _TRUE

    def words(self, expected: str) -> list[tuple[str, Cursor]]:
        """A text, or a list of texts: each that is not empty, with its cursor."""
        items = [self] if isinstance(self.value, str) else self.sequence(expected)
        return [(word, item) for item in items if (word := item.word(expected)) is not None]

    def pairs(self, expected: str, separators: str = "=") -> Iterator[tuple[str, str | None, Cursor]]:
        """Of a mapping, or of a list of `name=value`: name, value (None: not given) and cursor."""
        if isinstance(self.value, list):
            for text, item in self.words(expected):
                cut = min((at for separator in separators if (at := text.find(separator)) >= 0), default=None)
                yield (text, None, item) if cut is None else (text[:cut], text[cut + 1 :], item)
            return
        for name, child in self.mapping(expected).items():
            if child.value is None:
                yield name, None, child
            elif (value := child.text()) is not None:
                yield name, value, child

    def is_chosen(self) -> bool:
        """Whether somebody gave this value: it stands in the file, or in a variable that is set and not empty."""
        try:
            used = set(names(parse(self.value))) if isinstance(self.value, str) else set()
        except InterpolationError:
            return False
        return not used or any(self.reading.variables.get(name) for name in used)

    def _interpolated(self, text: str) -> str | None:
        reading = self.reading
        try:
            template = parse(text)
            reading.mentioned.update(names(template))
            result = evaluate(template, reading.lookup_bounded)
        except InterpolationError as error:
            self.problem(str(error))
            return None
        if "\0" in result:
            self.problem("the text contains a NUL, which no program's arguments or environment can hold")
            return None
        for part in template:
            if isinstance(part, Variable) and not part.operator and part.name not in reading.variables:
                self.note(f"the variable {part.name} is not set and has no default: taken as empty")
        return result
