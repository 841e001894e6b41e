"""The images of a bag on one page, with the tracks or the ground truth that it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pcan_model.data.bags.inspect import header_stamp
from pcan_model.data.bags.message_types import TRACKS
from pcan_model.data.bags.reading import Bag, BagError
from pcan_model.data.bags.topics import image_topic
from pcan_model.data.image_decoding import decode
from pcan_model.visualization.overlay import RgbImage, contact_sheet, draw, tile
from pcan_model.visualization.render import evenly, save_image


def save_sheet(path: Path, out: Path, *, topic: str = "", tracks: str = "") -> str:
    """Draw frames evenly over a bag, and save the page; returns the topic of the tracks drawn, if any.

    topic   of the images, chosen by `image_topic` if empty
    tracks  of the TrackedInstanceArrays, the one that fits most of these images if empty
    """
    with Bag(path) as bag:
        types, images = bag.types(), image_topic(bag, topic)
        named, predicted = _said(bag, images.topic, tracks)
        wanted, tiles = set(evenly(images.msgcount)), []
        for number, stored in enumerate(bag.messages([images.topic])):
            if number in wanted:
                raw = predicted.get(header_stamp(stored.raw))
                tiles.append(tile(number, _drawn(types, images.msgtype, stored.raw, raw)))
    if not tiles:
        raise BagError(f"{path}: expected images for a contact sheet, could read none of {images.topic}")
    save_image(out, contact_sheet(tiles))
    return named


def _said(bag: Bag, images: str, tracks: str) -> tuple[str, dict[int, bytes]]:
    """Return the topic of tracks with the most stamps of the images, and its messages by stamp."""
    stamps: set[int] = set()
    found: dict[str, dict[int, bytes]] = {}
    wanted = [c.topic for c in bag.connections if c.msgtype == TRACKS and tracks in ("", c.topic)]
    for stored in bag.messages([images, *wanted]):
        if stored.connection.topic == images:
            stamps.add(header_stamp(stored.raw))
        else:
            found.setdefault(stored.connection.topic, {})[header_stamp(stored.raw)] = stored.raw
    best = max(found, key=lambda name: (len(stamps & set(found[name])), name), default="")
    return best, found.get(best, {})


def _drawn(types: Any, kind: str, image_bytes: bytes, tracks_bytes: bytes | None) -> RgbImage:
    """Return an image with its tracks; a black one where there is no image in the message."""
    try:
        image = decode(types.deserialize_cdr(image_bytes, kind))
    except Exception:  # a broken message shows in many ways, and the report tells of it
        return np.zeros((360, 640, 3), np.uint8)
    if tracks_bytes is None:
        return image
    from pcan_ros.messages import from_tracks  # only now: to look at images alone needs no ROS

    message = types.deserialize_cdr(tracks_bytes, TRACKS)
    names = {i.class_id: i.class_name for i in message.instances}
    classes = tuple(names.get(k, "?") for k in range(max(names, default=-1) + 1))
    return draw(image, from_tracks(message), classes)
