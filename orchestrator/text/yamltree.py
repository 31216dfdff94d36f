"""From PyYAML's node graph to plain data, with the place of every key and value; the strict half of yamlsource."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import InputError, Place
from orchestrator.text.record import record

MAX_NODES = 100_000
"""Keys and values of a file after its aliases are written out; a few nested aliases can ask for billions."""
MAX_DEPTH = 60
"""Levels of nesting: reading is recursive."""

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {_TAG + "str", _TAG + "timestamp", _TAG + "value", _TAG + "merge"}
"""Read as the text that stands there: `2026-01-01` is no date here, and `=` no default value."""

KeyPath = tuple[str | int, ...]
_Pairs = dict[str, tuple[yaml.Node, yaml.Node]]


@record
class Spot:
    value: Place
    key: Place


def mark_place(path: Path, mark: Any) -> Place:
    return Place(path, mark.line + 1, mark.column + 1) if mark is not None else Place(path)


def _bounded(number: int) -> int:
    if number.bit_length() > 128:  # hexadecimal ones may have any length, and then Python refuses to print them
        raise OverflowError
    return number


class Builder:
    """Plain data from a node graph; notes the spot of every key and value on the way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spots: dict[KeyPath, Spot] = {}
        self._count = 0
        self._open: set[int] = set()
        self._scalars = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, path: KeyPath, key: Place) -> Any:
        self._enter(node)
        self.spots[path] = Spot(self._place(node), key)
        value: Any
        if isinstance(node, yaml.MappingNode):
            self._check_tag(node, "map")
            value = {
                name: self.build(child, (*path, name), self._place(key_node))
                for name, (key_node, child) in self._pairs(node).items()
            }
        elif isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq")
            value = [self.build(child, (*path, i), self._place(child)) for i, child in enumerate(node.value)]
        else:
            assert isinstance(node, yaml.ScalarNode)
            value = self._scalar(node)
        self._open.discard(id(node))
        return value

    def _enter(self, node: yaml.Node) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise InputError(
                f"the file has more than {MAX_NODES} keys and values once its aliases are written out",
                place=self._place(node),
                hint="use fewer `*alias` inside of what other aliases name",
            )
        if len(self._open) >= MAX_DEPTH:
            raise InputError(f"nested deeper than {MAX_DEPTH} levels", place=self._place(node))
        if not isinstance(node, yaml.ScalarNode):
            if id(node) in self._open:
                raise InputError("this contains itself: an alias inside of what it names", place=self._place(node))
            self._open.add(id(node))

    def _pairs(self, node: yaml.MappingNode) -> _Pairs:
        """The mapping's own keys and, before them, those that `<<` merges in; its own win, then the first merged."""
        own: _Pairs = {}
        merged: _Pairs = {}
        merge_seen = False
        for key_node, child in node.value:
            if key_node.tag == _TAG + "merge":
                if merge_seen:
                    raise InputError(
                        "`<<` stands here twice", place=self._place(key_node), hint="write one: `<<: [*a, *b]`"
                    )
                merge_seen = True
                merged = self._merged(child)
                continue
            name = self._key(key_node)
            if name in own:
                first = self._place(own[name][0])
                raise InputError(
                    f"the key {name} stands here twice; the first is on line {first.line}",
                    place=self._place(key_node),
                    hint="keep one of them",
                )
            own[name] = (key_node, child)
        return {**merged, **own}

    def _merged(self, node: yaml.Node) -> _Pairs:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: _Pairs = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise InputError(
                    "`<<` merges mappings only", place=self._place(part), hint="write `<<: *name` or `<<: [*a, *b]`"
                )
            self._enter(part)
            pairs = self._pairs(part)
            self._count += len(pairs)
            merged = {**pairs, **merged}
            self._open.discard(id(part))
        return merged

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise InputError("a key must be a word, not a list or a mapping", place=self._place(node))
        text = str(node.value)
        if node.tag == _TAG + "bool":
            raise InputError(
                f"YAML reads the key {text} as a boolean", place=self._place(node), hint=f'quote it: "{text}"'
            )
        value = self._scalar(node)
        if value is None:
            raise InputError("a key is missing before the colon", place=self._place(node))
        if not text.isprintable():  # keys stand in messages as they are, and a terminal obeys escape sequences
            raise InputError(f"a key has a character that does not print: {text!r}", place=self._place(node))
        return text

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        tag, text = node.tag, str(node.value)
        if tag in (_TAG + "int", _TAG + "float") and ":" in text:
            raise InputError(
                f"YAML reads {text} as a number to the base 60", place=self._place(node), hint=f'quote it: "{text}"'
            )
        if tag in _TEXT_TAGS:
            return self._text(node, text)
        try:
            match tag.removeprefix(_TAG):
                case "null":
                    return None
                case "bool":
                    return self._scalars.construct_yaml_bool(node)
                case "int":
                    return _bounded(self._scalars.construct_yaml_int(node))
                case "float":
                    return self._scalars.construct_yaml_float(node)
        except (ValueError, KeyError, IndexError, OverflowError):
            short = text if len(text) <= 40 else text[:37] + "..."
            raise InputError(
                f"cannot be read as a YAML {tag.removeprefix(_TAG)}: {short!r}",
                place=self._place(node),
                hint="quote it if it is text",
            ) from None
        raise self._bad_tag(node)

    def _text(self, node: yaml.Node, text: str) -> str:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InputError("half of a surrogate pair is no character", place=self._place(node))
        return text

    def _check_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != _TAG + expected:
            raise self._bad_tag(node)

    def _bad_tag(self, node: yaml.Node) -> InputError:
        tag = node.tag.replace(_TAG, "!!")
        return InputError(f"the YAML tag {tag} means nothing here", place=self._place(node), hint="remove it")

    def _place(self, node: yaml.Node) -> Place:
        return mark_place(self.path, node.start_mark)
