"""Tracked objects of one image, as arrays and in the formats of other libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pcan_model.core import rle
from pcan_model.core.structures import TrackedInstance, Tracks

if TYPE_CHECKING:
    from supervision import Detections


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """An image and the N objects detected in it; N may be 0, and all arrays have the same order."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    time: float  # of the image, seconds
    index: int  # of the image in its source, from 0
    name: str  # file name of the image, or one made of its index
    tracks: Tracks  # all tracks, including those not detected in this image
    classes: tuple[str, ...]  # of the model

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def objects(self) -> tuple[TrackedInstance, ...]:
        """Return the objects with all their attributes, such as `velocity` and `age`."""
        return self.tracks.found()

    @property
    def masks(self) -> NDArray[np.bool_]:
        """Return the pixels of every object, (N, H, W); masks never overlap."""
        height, width = self.tracks.height, self.tracks.width
        full = [each.mask.full(height, width) for each in self.objects]
        return np.array(full, bool).reshape(-1, height, width)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Return the track id of every object, (N,); starts at 1 and is constant for an object."""
        return np.array([each.track_id for each in self.objects], np.int64)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the N class names of the objects."""
        return tuple(self.classes[each.label] for each in self.objects)

    @property
    def class_ids(self) -> NDArray[np.int64]:
        """Return the class of every object, (N,); index into `classes`."""
        return np.array([each.label for each in self.objects], np.int64)

    @property
    def scores(self) -> NDArray[np.float32]:
        """Return the score of every object, (N,) in [0, 1]."""
        return np.array([each.score for each in self.objects], np.float32)

    @property
    def boxes(self) -> NDArray[np.float32]:
        """Return the box of every object, (N, 4) x1 y1 x2 y2 in pixels."""
        return np.array([each.box for each in self.objects], np.float32).reshape(-1, 4)

    def to_supervision(self) -> Detections:
        """Return the objects as supervision.Detections, with ids, masks and class names."""
        try:
            from supervision import Detections
        except ModuleNotFoundError as error:
            message = f"to_supervision needs {error.name}, which is not installed: pip install supervision"
            raise ModuleNotFoundError(message, name=error.name) from error
        return Detections(
            xyxy=self.boxes,
            mask=self.masks,
            confidence=self.scores,
            class_id=self.class_ids,
            tracker_id=self.ids,
            data={"class_name": np.array(self.labels, str)},
        )

    def to_coco(self, image_id: int | None = None) -> list[dict[str, Any]]:
        """Return the objects as COCO annotations with `score` and `track_id`, ready for JSON.

        image_id  `index` if None; `category_id` counts from 1 in the order of `classes`
        """
        number = self.index if image_id is None else image_id
        pairs = zip(self.objects, self.masks, strict=True)
        return [_annotation(each, mask, number) for each, mask in pairs]


def _annotation(each: TrackedInstance, mask: NDArray[np.bool_], image_id: int) -> dict[str, Any]:
    x1, y1, x2, y2 = (float(side) for side in each.box)
    return {
        "image_id": image_id,
        "category_id": each.label + 1,
        "segmentation": rle.encode(mask),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": each.mask.area,
        "iscrowd": 0,
        "score": float(each.score),
        "track_id": each.track_id,
    }
