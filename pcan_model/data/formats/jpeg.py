"""Whether a JPEG is whole: one rule for cameras, bags and data sets.

It is whole when its end marker comes behind the coded pixels. What follows, such as the zeros that cameras
fill their buffers with, does not matter; an end marker inside a thumbnail does not count.
"""

from __future__ import annotations

import re

START, END = b"\xff\xd8", b"\xff\xd9"
MARKER = re.compile(rb"\xff+([^\x00\xff])")
SCAN = 0xDA
BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length: TEM, restarts, start


def is_jpeg(data: bytes | memoryview) -> bool:
    """Tell a JPEG by its first bytes."""
    return bytes(data[:2]) == START


def is_whole(data: bytes | memoryview) -> bool:
    """Tell whether a JPEG goes on to its end marker; padding behind it is fine."""
    position = len(START)
    while found := MARKER.match(data, position):
        code, position = found[1][0], found.end()
        if code == SCAN:  # in coded pixels a zero or a restart follows every 0xff, so this is the marker
            return bytes(data[position:]).rfind(END) >= 0
        if code == END[1]:
            return True
        if code not in BARE:
            position += int.from_bytes(data[position : position + 2], "big")
    return False
