"""The outlines of masks, as pixels or as polygons of few corners."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Mask, TrackedInstance

Outline = NDArray[np.int32]  # (N, 2) x y of pixels in the image, closed: the last joins the first


def outlines(mask: Mask, tolerance: float = 0.0) -> tuple[Outline, ...]:
    """Return the outline of every part of a mask; holes are left out.

    tolerance  how far the outline may be from the mask's own, in pixels, for the sake of fewer corners;
               0 keeps every pixel
    """
    if not mask.crop.size:
        return ()
    # A border of zeros, so that an outline closes where the crop ends.
    framed = cv2.copyMakeBorder(mask.crop, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    found, _ = cv2.findContours(
        framed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(mask.x - 1, mask.y - 1)
    )
    if tolerance:
        found = [cv2.approxPolyDP(each, tolerance, closed=True) for each in found]
    return tuple(np.asarray(each, np.int32)[:, 0] for each in found)


def polygons(instance: TrackedInstance, tolerance: float) -> tuple[Outline, ...]:
    """Return an object as closed polygons: its mask's outlines, or its box where it has no mask."""
    found = outlines(instance.mask, tolerance)
    if found:
        return found
    x1, y1, x2, y2 = (round(float(side)) for side in instance.box)
    return (np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.int32),)
