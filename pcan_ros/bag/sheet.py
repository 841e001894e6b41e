"""Contact sheet of a bag: images with the tracks or the ground truth that it holds."""

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
    """Draw evenly spaced frames of a bag; returns the topic of the tracks drawn, empty if none.

    topic   image topic; if empty, chosen by `image_topic`
    tracks  topic of TrackedInstanceArrays; if empty, the one that matches most of these images
    """
    with Bag(path) as bag:
        types, images = bag.types(), image_topic(bag, topic)
        named, predicted = _best_tracks(bag, images.topic, tracks)
        wanted, tiles = set(evenly(images.msgcount)), []
        for number, stored in enumerate(bag.messages([images.topic])):
            if number in wanted:
                raw = predicted.get(header_stamp(stored.raw))
                tiles.append(tile(number, _drawn(types, images.msgtype, stored.raw, raw)))
    if not tiles:
        raise BagError(f"{path}: expected images for a contact sheet, none of {images.topic} could be read")
    save_image(out, contact_sheet(tiles))
    return named


def _best_tracks(bag: Bag, images: str, tracks: str) -> tuple[str, dict[int, bytes]]:
    """Return the track topic that shares most stamps with the images, and its messages by stamp."""
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
    """Return an image with its tracks drawn; black if the message holds no readable image."""
    try:
        image = decode(types.deserialize_cdr(image_bytes, kind))
    except Exception:  # a corrupt message raises many kinds of errors; `pcan-bag show` reports it
        return np.zeros((360, 640, 3), np.uint8)
    if tracks_bytes is None:
        return image
    from pcan_ros.messages import from_tracks  # imported here: images alone need no ROS

    message = types.deserialize_cdr(tracks_bytes, TRACKS)
    names = {i.class_id: i.class_name for i in message.instances}
    classes = tuple(names.get(k, "?") for k in range(max(names, default=-1) + 1))
    return draw(image, from_tracks(message), classes)
