"""Reads YAML into plain data that remembers where each key and value stands in the file.

Scenarios, topologies and node kinds are all read here, so that each error can name file, line and column. PyYAML
parses (YAML 1.1) up to its node graph; the data is built from the graph here, because PyYAML's own constructor
drops the positions, lets the last of two equal keys win and reads `22:22` as 1342.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.bounds import FILE
from orchestrator.errors import InputError, Place
from orchestrator.text.record import record
from orchestrator.text.suggest import describe, did_you_mean
from orchestrator.text.yamlcompose import Loader, compose_quickly
from orchestrator.text.yamltree import Builder, KeyPath, Spot, mark_place

Keys = Sequence[str | int]


@record
class Source:
    """A YAML file: its data and the place of everything in it.

    `data` is made of dict, list, str, int, float, bool and None; anchors and `<<` are resolved. Keys are always text:
    `8080: x` has the key "8080".
    """

    path: Path
    data: Any
    spots: Mapping[KeyPath, Spot] = field(repr=False)

    def place(self, keys: Keys, *, of_key: bool = False) -> Place:
        """Where the value at this path of keys and indices stands, or its key; of an item of a list, the item.

        What an alias or `<<` brought in stands where it was written. For a path that is not there: the value of its
        nearest ancestor.
        """
        path = tuple(keys)
        spot = self.spots.get(path)
        if spot is not None:
            return spot.key if of_key else spot.value
        while path not in self.spots:
            if not path:
                return Place(self.path)
            path = path[:-1]
        return self.spots[path].value


def load_yaml(path: Path) -> Source:
    """Reads a YAML file whose top is a mapping. Raises InputError with its place for all that is wrong with it."""
    return parse_yaml(_read(path), path)


def parse_yaml(text: str, path: Path | str) -> Source:
    """As `load_yaml`, from text; `path` is what the places show. Nobody changes what comes of it: the runs of a matrix
    read the same files again and again."""
    return _parsed(text, Path(path))


@functools.lru_cache(maxsize=4)
def _parsed(text: str, source: Path) -> Source:
    if len(text) > FILE.limit:
        raise InputError(f"the file is longer than {FILE.limit} characters", place=Place(source))
    root = _compose(text, source)
    if root is None:
        raise InputError(
            "the file is empty", place=Place(source), hint="it must hold a YAML mapping: `key: value` lines"
        )
    builder = Builder(source)
    if not isinstance(root, yaml.MappingNode):
        raise InputError(
            f"expected a mapping at the top of the file, not {describe(builder.build(root, (), Place(source)))}",
            place=mark_place(source, root.start_mark),
            hint="write `key: value` lines",
        )
    data = builder.build(root, (), mark_place(source, root.start_mark))
    return Source(source, data, builder.spots)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(FILE.limit + 1)
    except FileNotFoundError:
        raise InputError("no such file", place=Place(path), hint=_near_files(path)) from None
    except IsADirectoryError:
        raise InputError("expected a file, not a folder", place=Place(path)) from None
    except PermissionError:
        raise InputError("no permission to read the file", place=Place(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"the file cannot be read: {reason}", place=Place(path)) from None
    if len(raw) > FILE.limit:
        raise InputError(f"the file is longer than {FILE.limit} bytes", place=Place(path))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise InputError(
            f"the file is not UTF-8: byte 0x{error.object[error.start]:02x}",
            place=Place(path, line, column),
            hint="save it with the encoding UTF-8",
        ) from None


def _near_files(path: Path) -> str | None:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except (OSError, ValueError):
        return None
    near = did_you_mean(path.name, names)
    return f"did you mean {path.with_name(near)}?" if near else None


def _compose(text: str, path: Path) -> yaml.Node | None:
    quickly = compose_quickly(text)
    if quickly is not None:
        return quickly
    try:
        loader = Loader(text)
    except yaml.reader.ReaderError as error:
        place = _offset_place(path, text, error.position)
        raise InputError(f"the character {chr(int(error.character))!r} is not allowed in YAML", place=place) from None
    try:
        node = loader.get_node() if loader.check_node() else None
        if loader.check_node():
            parser: Any = loader
            place = mark_place(path, parser.peek_event().start_mark)
            raise InputError("expected one YAML document, found a second", place=place, hint="remove the `---` line")
        return node
    except yaml.MarkedYAMLError as error:
        raise _yaml_error(error, path) from None
    except (ValueError, OverflowError):  # PyYAML: an escape such as "\UFFFFFFFF" that is no character
        place = mark_place(path, loader.get_mark())
        raise InputError("not valid YAML: a number here is out of range", place=place) from None
    finally:
        loader.dispose()


def _yaml_error(error: yaml.MarkedYAMLError, path: Path) -> InputError:
    mark = error.problem_mark or error.context_mark
    problem, hint = error.problem or error.context or "cannot be parsed", None
    if "'\\t'" in problem:
        hint = "indent with spaces: YAML allows no tabs there"
    elif "mapping values are not allowed" in problem:
        hint = "quote a text that contains `: `, and check the indentation"
    elif error.context and error.problem:
        problem = f"{error.context}, {problem}"
    return InputError(f"not valid YAML: {problem}", place=mark_place(path, mark), hint=hint)


def _offset_place(path: Path, text: str, offset: int) -> Place:
    before = text[:offset]
    return Place(path, before.count("\n") + 1, offset - before.rfind("\n"))
