"""Labels from ground-truth or track messages; needs no ROS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import CLASSES
from pcan_model.core.masks import decode
from pcan_model.data.clips import LabeledFrame

IGNORE_ID, IGNORE_NAME = 65535, "ignore"  # class of regions excluded from evaluation


def labels_of(message: Any, image: NDArray[np.uint8], names: Sequence[str] = CLASSES) -> LabeledFrame:
    """Return the labels in a TrackedInstanceArray, with their image (H, W, 3) RGB.

    names  class names, in the order of labels; objects of other classes become ignore
    """
    height, width = message.image_height, message.image_width
    masks = [decode(i.mask, height, width).astype(bool) for i in message.instances]
    counted = [k for k, i in enumerate(message.instances) if i.class_name in names]
    ignore = np.zeros((height, width), bool)
    for k, mask in enumerate(masks):
        if k not in counted:
            ignore |= mask
    things = [message.instances[k] for k in counted]
    return LabeledFrame(
        image,
        np.array([masks[k] for k in counted], bool).reshape(-1, height, width),
        np.array([names.index(i.class_name) for i in things], np.int64),
        np.array([i.track_id for i in things], np.int64),
        ignore,
    )
