"""Conversion between tracks and messages; stamps and frame ids are those of the image."""

from __future__ import annotations

import array
import uuid
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from unique_identifier_msgs.msg import UUID

from pcan_model.core.masks import Encoding, decode_crop, encode_crop
from pcan_model.core.stamps import stamp_seconds
from pcan_model.core.structures import Mask, TrackedInstance, Tracks, TrackState
from pcan_ros.msg import InstanceMask, TrackedInstanceArray
from pcan_ros.msg import TrackedInstance as InstanceMessage

LABEL_MAX = np.iinfo(np.uint16).max


def to_tracks(
    tracks: Tracks, header: Any, classes: tuple[str, ...], *, encoding: Encoding, lost: bool = False
) -> TrackedInstanceArray:
    """Return the tracks of one frame as a message.

    header  the image's
    lost    whether to include tracks that were not detected in this frame
    """
    instances = tracks.instances if lost else tracks.found()
    return TrackedInstanceArray(
        header=header,
        image_height=tracks.height,
        image_width=tracks.width,
        frame_index=tracks.frame_index,
        instances=[to_instance(instance, classes, encoding) for instance in instances],
    )


def to_instance(instance: TrackedInstance, classes: tuple[str, ...], encoding: Encoding) -> InstanceMessage:
    """Return one tracked instance as a message."""
    x1, y1, x2, y2 = (float(side) for side in instance.box)
    return InstanceMessage(
        uuid=UUID(uuid=np.frombuffer(instance.uuid.bytes, np.uint8)),
        track_id=instance.track_id,
        state=int(instance.state),
        age=instance.age,
        time_since_update=instance.time_since_update,
        class_id=instance.label,
        class_name=classes[instance.label],
        score=float(instance.score),
        x=x1,
        y=y1,
        width=x2 - x1,
        height=y2 - y1,
        velocity_x=float(instance.velocity[0]),
        velocity_y=float(instance.velocity[1]),
        mask=to_mask(instance.mask, encoding),
    )


def to_mask(mask: Mask, encoding: Encoding) -> InstanceMask:
    """Return a mask as a message: its position and size, and its pixels unless the encoding is NONE.

    The empty mask of an object that was not detected has the encoding NONE and zeros in all fields.
    """
    height, width = mask.crop.shape
    if not mask.crop.size:
        return InstanceMask(encoding=int(Encoding.NONE))
    return InstanceMask(
        encoding=int(encoding),
        x_offset=mask.x,
        y_offset=mask.y,
        width=width,
        height=height,
        area=mask.area,
        data=to_bytes(encode_crop(mask.crop, encoding)),
    )


def from_tracks(message: Any) -> Tracks:
    """Return the tracks of a message; masks are decoded."""
    stamp = message.header.stamp
    return Tracks(
        stamp=stamp_seconds(stamp),
        height=message.image_height,
        width=message.image_width,
        frame_index=message.frame_index,
        instances=tuple(from_instance(instance) for instance in message.instances),
    )


def from_instance(message: Any) -> TrackedInstance:
    """Return one tracked instance of a message."""
    x, y, mask = message.x, message.y, message.mask
    return TrackedInstance(
        track_id=message.track_id,
        uuid=uuid.UUID(bytes=bytes(bytearray(message.uuid.uuid))),
        state=TrackState(message.state),
        age=message.age,
        time_since_update=message.time_since_update,
        label=message.class_id,
        score=message.score,
        box=np.array([x, y, x + message.width, y + message.height], np.float32),
        velocity=np.array([message.velocity_x, message.velocity_y], np.float32),
        mask=Mask(mask.x_offset, mask.y_offset, decode_crop(mask)),
    )


def to_image(image: NDArray[Any], encoding: str, header: Any) -> Image:
    """Return an image, (H, W) or (H, W, 3), as an Image message."""
    image = np.ascontiguousarray(image)
    height, width = image.shape[:2]
    return Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=image.strides[0],
        data=to_bytes(image.reshape(-1).view(np.uint8)),
    )


def to_bytes(data: Any) -> array.array[int]:
    """Return a buffer as an array, which rclpy accepts at once; it checks other types item by item."""
    values = array.array("B")
    values.frombytes(data)
    return values


def label_image(tracks: Tracks) -> NDArray[np.uint16]:
    """Return the track id of every pixel, (height, width); 0 is background.

    Ids above 65535 do not fit into 16 bits; they wrap around to 1.
    """
    image = np.zeros((tracks.height, tracks.width), np.uint16)
    for instance in tracks.found():
        mask = instance.mask
        h, w = mask.crop.shape
        region = image[mask.y : mask.y + h, mask.x : mask.x + w]
        region[mask.crop > 0] = (instance.track_id - 1) % LABEL_MAX + 1
    return image
