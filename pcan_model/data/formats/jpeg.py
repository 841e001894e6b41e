"""Detection of truncated JPEGs, the same for cameras, bags and data sets.

A JPEG is complete if its end marker follows the coded pixels. Anything after it, such as the zero padding of
camera buffers, is accepted; an end marker inside a thumbnail does not count.
"""

from __future__ import annotations

import re

START, END = b"\xff\xd8", b"\xff\xd9"
MARKER = re.compile(rb"\xff+([^\x00\xff])")
SCAN = 0xDA
BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length: TEM, restarts, start


def is_jpeg(data: bytes | memoryview) -> bool:
    """Return whether data starts like a JPEG."""
    return bytes(data[:2]) == START


def is_whole(data: bytes | memoryview) -> bool:
    """Return whether a JPEG is complete; padding after the end marker is accepted."""
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
