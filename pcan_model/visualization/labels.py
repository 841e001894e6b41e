"""Drawing of labelled frames, with ignored regions greyed out."""

from __future__ import annotations

from uuid import UUID

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Mask, TrackedInstance, Tracks, TrackState
from pcan_model.data.clips import LabeledFrame
from pcan_model.visualization.overlay import draw

GREY = 0.7  # share of grey in ignored regions


def draw_labels(frame: LabeledFrame, classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """Draw the objects of a labelled frame over its image (RGB)."""
    image = frame.image.copy()
    image[frame.ignore] = (image[frame.ignore] * (1 - GREY) + 128 * GREY).astype(np.uint8)
    instances = [
        _instance(mask, int(label), int(identity))
        for mask, label, identity in zip(frame.masks, frame.labels, frame.ids, strict=True)
    ]
    height, width = image.shape[:2]
    return draw(image, Tracks(0.0, height, width, 0, tuple(instances)), classes)


def _instance(mask: NDArray[np.bool_], label: int, identity: int) -> TrackedInstance:
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return TrackedInstance(
        track_id=identity,
        uuid=UUID(int=0),
        state=TrackState.TRACKED,
        age=0,
        time_since_update=0,
        label=label,
        score=1.0,
        box=np.array([x, y, x + w, y + h], np.float32),
        velocity=np.zeros(2, np.float32),
        mask=Mask(x, y, mask[y : y + h, x : x + w].astype(np.uint8)),
    )
