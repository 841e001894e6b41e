"""SipMask's association: one memory per video, matched by embedding, IoU and label."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.sipmask_config import SipMaskConfig
from pcan_model.tracking.masktrack import CueWeights, matching_scores

NONE = -1  # the id of a detection that another one beat at its object
FLOOR = -100.0  # no matching score of this form is as low

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AssociatedObjects:
    """K objects with embeddings: the detections of a frame, or the memory of a video."""

    boxes: Floats  # (K, 4) x1 y1 x2 y2 in camera pixels
    scores: Floats  # (K,) in (0, 1)
    labels: Integers  # (K,) class
    embeds: Floats  # (K, E) not normalised

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Objects: fields disagree on their length: {lengths}")

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Association of N detections with K remembered objects."""

    ids: Integers  # (N,) from 0 within the video, or NONE
    scores: Floats | None  # (N, K + 1) of a new object, then of each remembered one; None at the start
    memory: AssociatedObjects  # afterwards; the position of an object is its id


def track(
    found: AssociatedObjects,
    memory: AssociatedObjects | None,
    *,
    first: bool,
    config: SipMaskConfig,
    reference: bool = False,
) -> tuple[Integers, AssociatedObjects | None, Match | None]:
    """Give the detections of a frame their ids.

    first      whether a video begins here
    reference  as the public code: an empty first frame keeps the last video's memory, and of two
               detections of one object the weaker keeps the id too when it comes first
    returns    ids (N,), the memory afterwards, and how they were found where there was anything to find
    """
    if first and not (reference and not len(found)):
        memory = None
    if not len(found):
        return np.zeros(0, np.int64), memory, None
    match = start(found) if memory is None else follow(found, memory, config, reference=reference)
    return match.ids, match.memory, match


def start(found: AssociatedObjects) -> Match:
    """Remember every detection as an object."""
    copied = AssociatedObjects(*(getattr(found, field.name).copy() for field in fields(found)))
    return Match(np.arange(len(found), dtype=np.int64), None, copied)


def follow(
    found: AssociatedObjects, memory: AssociatedObjects, config: SipMaskConfig, *, reference: bool
) -> Match:
    """Match detections with remembered objects, and bring the memory up to date."""
    weights = CueWeights(config.score_weight, config.iou_weight, config.label_weight)
    scores = matching_scores(found, found.scores, memory, weights)
    choice = scores.argmax(1) - 1
    own = scores[np.arange(len(found)), choice + 1]
    ids = np.full(len(found), NONE, np.int64)
    best = np.full(len(memory), FLOOR, np.float32)
    winner = np.full(len(memory), NONE, np.int64)
    fresh: list[int] = []
    for row, (chosen, score) in enumerate(zip(choice.tolist(), own.tolist(), strict=True)):
        if chosen < 0:
            ids[row] = len(memory) + len(fresh)
            fresh.append(row)
        elif score > best[chosen]:
            if not reference and winner[chosen] != NONE:
                ids[winner[chosen]] = NONE
            ids[row], best[chosen], winner[chosen] = chosen, score, row
    return Match(ids, scores, updated(memory, found, winner, fresh))


def updated(
    memory: AssociatedObjects, found: AssociatedObjects, winner: Integers, fresh: list[int]
) -> AssociatedObjects:
    """Replace matched objects but for their label, and append the new ones.

    winner  (K,)  detection that each object was matched with, or NONE
    fresh   detections that are new objects
    """
    matched = winner != NONE
    parts = []
    for field in fields(memory):
        old = getattr(memory, field.name).copy()
        if field.name != "labels":
            old[matched] = getattr(found, field.name)[winner[matched]]
        parts.append(np.concatenate([old, getattr(found, field.name)[fresh]]))
    return AssociatedObjects(*parts)


def results(ids: Integers) -> dict[int, int]:
    """Return the detection that stands for each id of a frame: the last one that bears it."""
    return {int(track_id): row for row, track_id in enumerate(ids) if track_id != NONE}
