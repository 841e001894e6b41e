"""Ground truth as TrackedInstanceArray messages; `pcan_model.data.bags.labels` reads them.

An instance is NEW in the first frame of its object, TRACKED afterwards; its score is 1, its velocity 0. Ids
may be unique per class only, as in KITTI-MOTS; the uuids are unique. Pixels to ignore are an additional
instance with `class_name` "ignore", `class_id` 65535 and `track_id` 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.masks import Encoding
from pcan_model.core.structures import EMPTY_MASK, Mask, TrackedInstance, Tracks, TrackState
from pcan_model.data.bags.labels import IGNORE_ID, IGNORE_NAME
from pcan_model.data.clips import LabeledFrame
from pcan_ros.messages import to_instance, to_tracks
from pcan_ros.msg import TrackedInstanceArray

SESSION = UUID("6f1f2d3c-0000-4000-8000-7063616e0000")  # namespace of the uuids, the same in every bag
ZERO_VELOCITY = np.zeros(2, np.float32)


class GroundTruthMessages:
    """Converts the labelled frames of one clip to messages, in order."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._first_frame: dict[tuple[int, int], int] = {}  # class and id to first frame
        self._index = 0

    def message(self, frame: LabeledFrame, header: Any) -> TrackedInstanceArray:
        """Return the labels of the next frame as a message."""
        height, width = frame.image.shape[:2]
        things = zip(frame.masks, frame.labels, frame.ids, strict=True)
        instances = tuple(self._instance(crop(m), int(k), int(i)) for m, k, i in things)
        tracks = Tracks(0.0, height, width, self._index, instances)
        message = to_tracks(tracks, header, self._classes, encoding=Encoding.RLE_COCO)
        if frame.ignore.any():
            ignored = self._tracked(crop(frame.ignore), 0, 0, TrackState.TRACKED, 0)
            more = to_instance(ignored, (IGNORE_NAME,), Encoding.RLE_COCO)
            more.class_id = IGNORE_ID
            message.instances = [*message.instances, more]
        self._index += 1
        return message

    def _instance(self, mask: Mask, label: int, identity: int) -> TrackedInstance:
        first = self._first_frame.setdefault((label, identity), self._index)
        state = TrackState.NEW if first == self._index else TrackState.TRACKED
        return self._tracked(mask, label, identity, state, self._index - first)

    def _tracked(self, mask: Mask, label: int, identity: int, state: TrackState, age: int) -> TrackedInstance:
        height, width = mask.crop.shape
        return TrackedInstance(
            track_id=identity,
            uuid=uuid5(SESSION, f"{label} {identity}"),
            state=state,
            age=age,
            time_since_update=0,
            label=label,
            score=1.0,
            box=np.array([mask.x, mask.y, mask.x + width, mask.y + height], np.float32),
            velocity=ZERO_VELOCITY,
            mask=mask,
        )


def crop(mask: NDArray[np.bool_]) -> Mask:
    """Crop the mask of an image, (H, W), to its bounding box."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return EMPTY_MASK
    y, x = int(rows[0]), int(columns[0])
    return Mask(x, y, mask[y : int(rows[-1]) + 1, x : int(columns[-1]) + 1].astype(np.uint8))
