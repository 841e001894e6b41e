"""Copies a bag and adds tracks, overlay and label image after every image."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import cv2
from numpy.typing import NDArray
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Writer
from sensor_msgs.msg import CompressedImage

from pcan_model.data.bags.files import Storage
from pcan_model.data.bags.message_types import COMPRESSED, IMAGE, TRACKS
from pcan_model.data.bags.reading import Bag, BagError
from pcan_model.data.bags.recovery import StoredMessage
from pcan_model.data.image_decoding import decode
from pcan_model.tracking.chunk_file import LabelResult
from pcan_model.visualization.overlay import draw
from pcan_model.visualization.render import bgr
from pcan_ros.messages import from_tracks, label_image, to_bytes, to_image
from pcan_ros.msg import TrackedInstanceArray

NO_HASH = f"RIHS01_{'0' * 64}"  # for types without a definition in the bag


@dataclass(frozen=True, slots=True)
class CopyStyle:
    """What is written in addition to the copied messages."""

    storage: Storage = "mcap"
    prefix: str = "/pcan_tracker"  # of the new topics, as published by the node
    raw: bool = False  # write Image; else CompressedImage, JPEG (overlay) and PNG (label image)
    images: bool = True  # write overlay and label image

    def topics(self, cameras: tuple[str, ...]) -> dict[str, str]:
        """Return the prefix of the new topics by camera."""
        several = len(cameras) > 1
        return {c: f"{self.prefix}/camera{i}" if several else self.prefix for i, c in enumerate(cameras)}

    def check(self, bag: Bag, cameras: tuple[str, ...]) -> None:
        """Raise BagError if the bag already has topics with the prefix."""
        for prefix in self.topics(cameras).values():
            taken = sorted(c.topic for c in bag.connections if c.topic.startswith(f"{prefix}/"))
            if taken:
                raise BagError(f"{bag.path}: {self.prefix}: expected an unused prefix, found {taken[0]}")


def write_copy(
    messages: Iterable[StoredMessage],
    bag: Bag,
    writer: Writer,
    next_result: Callable[[str], LabelResult],
    cameras: tuple[str, ...],
    style: CopyStyle,
    classes: tuple[str, ...],
) -> None:
    """Copy every message unchanged, and write the tracks of an image after the image."""
    types = bag.types()
    same = {id(c): _add(writer, c, types) for c in bag.connections}
    found = {
        c: _CameraTopics(writer, types, prefix, style, classes) for c, prefix in style.topics(cameras).items()
    }
    for stored in messages:
        writer.write(same[id(stored.connection)], stored.time, stored.raw)
        topic = stored.connection.topic
        if topic in found:
            predicted = next_result(topic)
            if predicted.tracks:
                found[topic].write(
                    types.deserialize_cdr(stored.raw, stored.connection.msgtype), predicted, stored.time
                )


def _add(writer: Writer, connection: Connection, types: Any) -> Connection:
    """Open a topic of the copy, with the type definition of the source if it has one."""
    name, text = connection.msgtype, connection.msgdef.data
    known = name in types.types
    digest = connection.digest or (types.hash_rihs01(name) if known else NO_HASH)
    if not text and known:
        text, _ = types.generate_msgdef(name, ros_version=2)
    kind: Any = connection.ext
    return writer.add_connection(
        connection.topic,
        name,
        msgdef=text,
        rihs01=digest,
        serialization_format=kind.serialization_format,
        offered_qos_profiles=kind.offered_qos_profiles,
    )


class _CameraTopics:
    """The new topics of one camera."""

    def __init__(
        self, writer: Writer, types: Any, prefix: str, style: CopyStyle, classes: tuple[str, ...]
    ) -> None:
        self._writer, self._style, self._classes = writer, style, classes
        self._tracks = writer.add_connection(f"{prefix}/tracks", TRACKS, typestore=types)
        if style.images:
            kind, end = (IMAGE, "") if style.raw else (COMPRESSED, "/compressed")
            names = (f"{prefix}/overlay{end}", f"{prefix}/label_image{end}")
            self._overlay, self._labels = (writer.add_connection(n, kind, typestore=types) for n in names)

    def write(self, image: Any, predicted: LabelResult, time: int) -> None:
        """Write the tracks of one image."""
        self._writer.write(self._tracks, time, predicted.tracks)
        if not self._style.images:
            return
        message = deserialize_message(predicted.tracks, TrackedInstanceArray)
        tracks = from_tracks(message)
        overlay = bgr(draw(decode(image), tracks, self._classes))
        self._image(self._overlay, overlay, "bgr8", message.header, time)
        self._image(self._labels, label_image(tracks), "16UC1", message.header, time)

    def _image(self, topic: Connection, image: NDArray[Any], encoding: str, header: Any, time: int) -> None:
        form = "jpeg" if encoding == "bgr8" else "png"
        message = (
            to_image(image, encoding, header)
            if self._style.raw
            else CompressedImage(
                header=header,
                format=f"{encoding}; {form} compressed" + (" bgr8" if form == "jpeg" else ""),
                data=to_bytes(cv2.imencode(f".{form}", image)[1].tobytes()),
            )
        )
        self._writer.write(topic, time, serialize_message(message))
