"""YAML of any origin, read within bounds: plain values, or one YamlTextError.

PyYAML's safe loader runs nothing, but takes keys twice, raises what it trips over, and hands out aliases that
grow beyond all memory once they are printed or copied.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from pcan_model.core.errors import one_line

MOST_BYTES = 1 << 20  # of a file that people write
MOST_VALUES = 1 << 20  # letters and values, with every alias counted as what it stands for
BROKEN = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)


class YamlTextError(ValueError):
    """A text that is no YAML, or YAML that nobody means; in one line."""


def parse_yaml(text: str) -> Any:
    """Return the plain values of a text; None of an empty one.

    Raises YamlTextError for what is no YAML, keys that are there twice, tags of other than plain values, and
    aliases that grow beyond bounds. The pure loader is used: libyaml's crashes on deep levels.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        _weigh(node, {})
        return None if node is None else loader.construct_document(node)
    except YamlTextError:
        raise
    except RecursionError:
        raise YamlTextError("too many levels") from None
    except BROKEN as error:  # the loader also raises what a badly tagged value trips
        raise YamlTextError(one_line(str(error) or type(error).__name__)) from None


def read_yaml(path: Path, most: int = MOST_BYTES) -> Any:
    """Return the plain values of a file of at most `most` bytes; OSError where there is none."""
    size = path.stat().st_size
    if size > most:
        raise YamlTextError(f"{size} bytes, where at most {most} are read")
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise YamlTextError(one_line(error)) from None


def _weigh(node: Any, known: dict[int, int]) -> int:
    """Return how many letters and values a node stands for, counting each node of the graph once."""
    if node is None:
        return 0
    if id(node) not in known:
        known[id(node)] = MOST_VALUES  # until it is known: a node inside itself has no end
        known[id(node)] = 1 + sum(_weigh(child, known) for child in _children(node))
        known[id(node)] += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
    if known[id(node)] > MOST_VALUES:
        raise YamlTextError(f"aliases that grow to more than {MOST_VALUES} values")
    return known[id(node)]


def _children(node: Any) -> list[Any]:
    """Return the nodes inside a node; YamlTextError for a key that is there twice."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if not isinstance(node, yaml.MappingNode):
        return []
    seen: set[Hashable] = set()
    for key, _ in node.value:
        name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key)
        if name in seen:
            raise YamlTextError(f"line {key.start_mark.line + 1}: the key {key.value!r} is there twice")
        seen.add(name)
    return [part for pair in node.value for part in pair]
