"""Riders by rule: a person on a bicycle or a motorcycle, for detectors that have no such class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Detections

PERSON, RIDER, WHEELS = "pedestrian", "rider", ("bicycle", "motorcycle")
LEAST_SCORE = 0.3  # of the two-wheeler
SHARED_WIDTH = 0.5  # of the narrower box
BELOW_HEAD = 0.1  # of the person's height: where the two-wheeler begins at the highest
NEAR_FEET = 0.75  # of the person's height: where it ends at the highest
LEAST_HEIGHT = 0.25  # of the two-wheeler, in heights of the person


def label_riders(found: Detections, classes: Sequence[str]) -> Detections:
    """Label persons on two-wheelers as riders and all others as pedestrians; boxes and scores stay.

    Returns the detections unchanged if the classes lack one of the two.
    """
    if PERSON not in classes or RIDER not in classes or not len(found):
        return found
    person, rider = classes.index(PERSON), classes.index(RIDER)
    wheels = [classes.index(name) for name in WHEELS if name in classes]
    people = np.isin(found.labels, (person, rider))
    ridden = np.isin(found.labels, wheels) & (found.scores >= LEAST_SCORE)
    on_wheels = rides(found.boxes, found.boxes[ridden]).any(1)
    return replace(found, labels=np.where(people, np.where(on_wheels, rider, person), found.labels))


def rides(people: NDArray[np.float32], wheels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether each person is on each two-wheeler, (N, M), of boxes (N, 4) and (M, 4) in pixels.

    The boxes share their width, and the two-wheeler lies below the head and reaches down to the feet.
    """
    a, b = people[:, None], wheels[None]
    shared = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    narrower = np.minimum(a[..., 2] - a[..., 0], b[..., 2] - b[..., 0])
    top, height = a[..., 1], a[..., 3] - a[..., 1]
    return np.asarray(
        (shared >= SHARED_WIDTH * narrower)
        & (shared > 0)
        & (b[..., 1] > top + BELOW_HEAD * height)
        & (b[..., 1] < a[..., 3])
        & (b[..., 3] > top + NEAR_FEET * height)
        & (b[..., 3] - b[..., 1] > LEAST_HEIGHT * height)
    )


def matching_classes(classes: Sequence[str]) -> NDArray[np.int64]:
    """Return the class as which each class is matched, (K,): a rider continues a pedestrian's track."""
    groups = np.arange(len(classes))
    if PERSON in classes and RIDER in classes:
        groups[classes.index(RIDER)] = classes.index(PERSON)
    return groups
