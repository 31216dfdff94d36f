"""Two ways from YAML text to PyYAML's node graph, and both give the same: a quick one by libyaml's parser, which is in
every wheel of PyYAML and in Debian's package, and PyYAML's own, which has the words for what is wrong.

The 34 files of the node kinds take 9 ms by the one and 87 ms by the other, and each command that runs something reads
them all. libyaml's own composer would take 6 ms, but recurses without a limit.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver

from orchestrator.text.yamltree import MAX_DEPTH

_READ_OTHERWISE = ("\t", "\ufeff", "? ", "\r", "\x85", "\u2028", "\u2029")
"""What the two do not read alike: a tab inside of a plain text, a byte order mark inside of a line (libyaml counts no
column for it), a question mark in a plain text of a flow mapping, ends of lines that are no line feed. A text with one
of them goes PyYAML's way."""


class _Bounded(Composer):
    """With a limit on nesting: composing is recursive."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            parser: Any = self
            mark = parser.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class Loader(_Bounded, yaml.SafeLoader):
    """PyYAML's own."""


def compose_quickly(text: str) -> yaml.Node | None:
    """The node graph of the only document in a text. None: this way has none, and the other one says why."""
    if not yaml.__with_libyaml__ or any(mark in text for mark in _READ_OTHERWISE):
        return None
    try:
        node: yaml.Node | None = _quick_loader()(text).get_single_node()
        return node
    except (yaml.YAMLError, ValueError, OverflowError):
        return None


def _quick_loader() -> Any:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # it comes from a module in C

    class Quick(_Bounded, CParser, Resolver):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            Resolver.__init__(self)

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            event: Any = self.peek_event()
            nothing = isinstance(event, yaml.ScalarEvent) and not (event.value or event.style)
            if nothing and getattr(parent, "flow_style", False):  # `{a: , b}`: they differ in where that stands
                raise yaml.YAMLError
            return super().compose_node(parent, index)

    return Quick
