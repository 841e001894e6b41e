"""Filters the detections of a camera by class, score, size and image region."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.geometry import Boxes, Letterbox, clip_boxes
from pcan_model.core.structures import Detections

INSIDE = 0.5  # fraction of a box in the regions above which the object counts as inside


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Regions of the camera image, such as the bonnet."""

    polygons: tuple[NDArray[np.int32], ...] = ()  # each (N, 2) x y, pixels of the image
    images: tuple[NDArray[np.uint8], ...] = ()  # each (H, W), inside where above 0; resized to the image
    _sums: dict[tuple[int, int], NDArray[np.int32]] = field(
        default_factory=dict
    )  # integral images by image size

    def share(self, boxes: Boxes, height: int, width: int) -> NDArray[np.float64]:
        """Return the fraction of each box inside the regions, (N,).

        boxes  (N, 4) x1 y1 x2 y2 in pixels of the image
        """
        sums = self._sums.get((height, width))
        if sums is None:
            sums = self._sums[height, width] = self._summed(height, width)
        x1, y1, x2, y2 = np.round(clip_boxes(boxes, height, width)).astype(int).T
        area = np.maximum((x2 - x1) * (y2 - y1), 1)
        return np.asarray((sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]) / area, np.float64)

    def _summed(self, height: int, width: int) -> NDArray[np.int32]:
        """Return the number of inside pixels above and left of each pixel corner, (height + 1, width + 1)."""
        inside = np.zeros((height, width), np.uint8)
        for polygon in self.polygons:
            cv2.fillPoly(inside, [polygon], 1)
        for image in self.images:
            inside |= cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST) > 0
        return np.asarray(cv2.integral(inside), np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Admission:
    """Selects the detections of one camera that are tracked; by default all."""

    least_scores: NDArray[np.float32] | None = None  # (classes,) in [0, 1]; above 1: none of the class
    least_side: float = 0.0  # minimum length of a box's longer side, pixels of the image
    ignored: Regions | None = None  # where nothing is tracked
    inside: Regions | None = None  # where objects are tracked; None: everywhere

    def admit(self, found: Detections, letterbox: Letterbox) -> Detections:
        """Return the detections to track; their boxes are in network pixels."""
        kept = np.ones(len(found), bool)
        if self.least_scores is not None:
            kept &= found.scores >= self.least_scores[found.labels]
        boxes = letterbox.to_image(found.boxes)
        if self.least_side:
            kept &= (boxes[:, 2:] - boxes[:, :2]).max(1, initial=0.0) >= self.least_side
        if self.ignored is not None:
            kept &= self.ignored.share(boxes, *letterbox.source) <= INSIDE
        if self.inside is not None:
            kept &= self.inside.share(boxes, *letterbox.source) > INSIDE
        return found if kept.all() else found.take(kept)


EVERYTHING = Admission()
