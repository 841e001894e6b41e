"""Damaged files: JSON documents with changed or missing values, texts with changed bytes."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as some

JUNK = some.sampled_from(
    [
        *(None, True, False, -1, 0, 1, 7, 2**31, 2**63, 10**30, 0.5, 1.0, 1e300),
        *(float("nan"), float("inf"), "", "7", "²", "car", "b'08'", "\x00", [], [[]], [1, 2], {}),
        *([None], [[1, 2, 3, 4]], [[0, 0, 9, 0, 9, 9]], [[1e9, 0, 0, 1e9, 5, 5]], {"id": 1}, [{}], "x" * 999),
    ]
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of every value inside a document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    inner = [place for key, value in items for place in places(value, (*path, key))]
    return [path, *inner] if path else inner


@some.composite
def damaged(draw: some.DrawFn, document: Any, most: int = 2) -> Any:
    """Draw the document with one or more of its values replaced by junk, removed or duplicated."""
    document = copy.deepcopy(document)
    for _ in range(draw(some.integers(1, most))):
        if not (paths := places(document)):
            break
        *above, key = draw(some.sampled_from(paths))
        node = document
        for step in above:
            node = node[step]
        action = draw(some.sampled_from(("replace", "replace", "remove", "twice")))
        if action == "remove":
            del node[key]
        elif action == "twice" and isinstance(node, list):
            node.append(copy.deepcopy(node[key]))
        else:
            node[key] = copy.deepcopy(draw(JUNK))
    return document


@some.composite
def scratched(draw: some.DrawFn, text: str) -> bytes:
    """Draw the text with some bytes removed and others inserted."""
    data = text.encode()
    start = draw(some.integers(0, len(data)))
    gone = draw(some.integers(0, 12))
    pieces = [
        b"\xff",
        b"\r\n",
        b"\n\n",
        b" ",
        b"-",
        b"1.0",
        b"9" * 12,
        b"nan",
        b"b'",
        b"\xef\xbb\xbf",
        b"\x00",
    ]
    put = draw(some.one_of(some.sampled_from(pieces), some.binary(max_size=8)))
    return data[:start] + put + data[start + gone :]
