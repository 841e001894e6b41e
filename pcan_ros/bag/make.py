"""`pcan-bag make`: writes labelled clips, videos and images as a rosbag2, as recorded from a camera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_msgs.msg import Header

from pcan_model.core.config import CLASSES
from pcan_model.data.bags.files import Storage, bag_writer
from pcan_model.data.bags.message_types import CAMERA_INFO, CLOCK, COMPRESSED, IMAGE, TRACKS, our_types
from pcan_model.data.bags.scene_messages import DepthEncoding, SceneMessages
from pcan_model.data.clips import ClipFrame
from pcan_model.data.scenes import Scene
from pcan_model.visualization.render import bgr
from pcan_ros.bag.camera_info import sized
from pcan_ros.bag.ground_truth import GroundTruthMessages
from pcan_ros.messages import to_bytes, to_image

JPEG_QUALITY = 95
GROUND_TRUTH = "/ground_truth"


@dataclass(frozen=True, slots=True)
class BagStyle:
    """Topics and encodings of a bag."""

    storage: Storage = "mcap"
    encoding: str = "rgb8"  # rgb8, or jpeg or png: sensor_msgs/CompressedImage
    topic: str = "/camera/image"  # of the images; compressed ones are on `<topic>/compressed`
    frame: str = "camera"  # frame_id of every header
    calibration: CameraInfo | None = None
    depth: DepthEncoding = "16UC1"  # of the depth image, where a clip has geometry

    @property
    def depth_topic(self) -> str:
        """Return the topic of the depth image, beside the images."""
        return f"{self.topic.rpartition('/')[0]}/depth/image"

    @property
    def info_topic(self) -> str:
        """Return the camera_info topic, in the namespace of the images as image_transport expects."""
        return f"{self.topic.rpartition('/')[0]}/camera_info"


def make_bag(
    frames: Iterable[ClipFrame],
    folder: Path,
    style: BagStyle | None = None,
    classes: Sequence[str] = CLASSES,
    scenes: Iterable[Scene] = (),
) -> int:
    """Write the frames of a clip as a bag, atomically; returns their number.

    Topics: images, calibration, /clock, and /ground_truth if frames are labelled; with geometry also /tf,
    /tf_static, /odom, the depth image beside the images, and /points.

    scenes  the geometry of each frame, if the clip has any
    """
    style, types, count = style or BagStyle(), our_types(), 0
    with bag_writer(folder, style.storage) as writer:
        topics = _Topics(writer, types)
        ground_truth = GroundTruthMessages(classes)
        geometry = SceneMessages(types, camera=style.frame, depth_topic=style.depth_topic, depth=style.depth)
        for frame, scene in _paired(frames, scenes):
            if scene is not None:
                for each in geometry.messages(scene):
                    topics.write_raw(each.topic, each.kind, frame.time, each.raw, each.quality)
            header = Header(stamp=_time(frame.time), frame_id=style.frame)
            topics.write("/clock", CLOCK, frame.time, Clock(clock=header.stamp))
            if frame.labels is not None:
                topics.write(GROUND_TRUTH, TRACKS, frame.time, ground_truth.message(frame.labeled(), header))
            height, width = frame.image.shape[:2]
            info = sized(style.calibration, height, width, header)
            topics.write(style.info_topic, CAMERA_INFO, frame.time, info)
            _write_image(topics, style, frame, header)
            count += 1
    return count


def _paired(frames: Iterable[ClipFrame], scenes: Iterable[Scene]) -> Iterator[tuple[ClipFrame, Scene | None]]:
    """Yield each frame with its scene, whose time it takes: velocities hold for that pace only."""
    known = iter(scenes)
    for frame in frames:
        scene = next(known, None)
        yield frame if scene is None else replace(frame, time=scene.time), scene


class _Topics:
    """The topics of a bag, opened with their first message."""

    def __init__(self, writer: Any, types: Any) -> None:
        self._writer, self._types = writer, types
        self._open: dict[str, Any] = {}

    def write(self, topic: str, kind: str, time: int, message: Any) -> None:
        """Append a message."""
        self.write_raw(topic, kind, time, serialize_message(message))

    def write_raw(self, topic: str, kind: str, time: int, raw: bytes, quality: Sequence[Any] = ()) -> None:
        """Append a serialised message; `quality` is what its publisher offers, if not the default."""
        if topic not in self._open:
            self._open[topic] = self._writer.add_connection(
                topic, kind, typestore=self._types, offered_qos_profiles=quality
            )
        self._writer.write(self._open[topic], time, raw)


def _write_image(topics: _Topics, style: BagStyle, frame: ClipFrame, header: Header) -> None:
    if style.encoding == "rgb8":
        topics.write(style.topic, IMAGE, frame.time, to_image(frame.image, "rgb8", header))
        return
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if style.encoding == "jpeg" else []
    bits = cv2.imencode(f".{style.encoding}", bgr(frame.image), options)[1]
    format = f"rgb8; {style.encoding} compressed bgr8"  # as image_transport writes it
    message = CompressedImage(header=header, format=format, data=to_bytes(bits.tobytes()))
    topics.write(f"{style.topic}/compressed", COMPRESSED, frame.time, message)


def _time(nanoseconds: int) -> Time:
    second, rest = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=second, nanosec=rest)
