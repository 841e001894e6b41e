"""Selection of the image topic of a bag."""

from __future__ import annotations

from typing import Any

from rosbags.interfaces import Connection

from pcan_model.data.bags.message_types import COMPRESSED, IMAGE
from pcan_model.data.bags.reading import Bag, BagError
from pcan_model.data.image_decoding import ENCODINGS

COLOUR, MONO, DEEP, UNKNOWN, DEPTH = range(5)  # kinds of images, in order of preference
MONOCHROME = ("mono8", "8UC1", "mono16")


def image_topic(bag: Bag, topic: str) -> Connection:
    """Return the named image topic, or without a name the most likely camera topic.

    That is the one whose first image is in colour, else grey, else 16UC1 (a thermal camera, or depth), and
    of several the one with most images. Float depth and compressedDepth, which cannot be decoded, come
    last. Raises BagError if there are no images.
    """
    images = [c for c in bag.connections if c.msgtype in (IMAGE, COMPRESSED) and c.msgcount]
    named = [c for c in images if topic in ("", c.topic)]
    if not named:
        wanted = f"images on {topic}" if topic else f"a topic of {IMAGE} or CompressedImage"
        there = ", ".join(f"{c.topic} ({c.msgtype}, {c.msgcount})" for c in bag.connections) or "nothing"
        raise BagError(f"{bag.path}: expected {wanted}, found {there}")
    if topic:
        return max(named, key=lambda c: c.msgcount)
    types = bag.types()
    kinds = [_kind(_encoding(bag, connection, types)) for connection in named]
    best = max(range(len(named)), key=lambda k: (-kinds[k], named[k].msgcount))
    return named[best]


def _encoding(bag: Bag, connection: Connection, types: Any) -> str:
    """Return the encoding of a topic's first image, or its format if compressed; empty if malformed."""
    stored = next(iter(bag.messages([connection.topic])), None)
    try:
        assert stored is not None
        message: Any = types.deserialize_cdr(stored.raw, connection.msgtype)
        return str(message.encoding if connection.msgtype == IMAGE else message.format)
    except Exception:  # a broken message shows in many ways
        return ""


def _kind(encoding: str) -> int:
    """Return the kind of an encoding (`rgb8`) or a format (`rgb8; jpeg compressed bgr8`)."""
    pixels = encoding.partition(";")[0].strip()
    if "compressedDepth" in encoding or pixels.startswith(("32F", "64F")):
        return DEPTH
    if pixels == "16UC1":
        return DEEP
    if pixels in MONOCHROME:
        return MONO
    return COLOUR if pixels in ENCODINGS or pixels in ("jpeg", "jpg", "png") else UNKNOWN
