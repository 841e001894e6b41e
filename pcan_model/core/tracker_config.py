"""How tracks are continued: every constant of the association with its unit, meaning and limits.

The defaults are the paper's, as QDTrack and the released code have it: appearance alone, frames counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcan_model.core.fields import setting, share

Association = Literal["quasi_dense", "sort_iou"]
FRAMES = 10_000  # more than any track waits


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Association; scores in [0, 1]."""

    association: Association = setting(
        "quasi_dense", "quasi_dense: by appearance; sort_iou: by overlap, a baseline"
    )
    similarity: Literal["bisoftmax", "softmax", "cosine"] = setting(
        "bisoftmax", "of embeddings; PCAN's is bisoftmax", runtime=True
    )
    match_classes: Literal["same", "any"] = setting(
        "same", "which classes a track's detections may have", runtime=True
    )
    init_score: float = share(0.7, "a detection above this may start a track", runtime=True)
    track_score: float = share(0.3, "a detection above this may continue one", runtime=True)
    match_score: float = share(0.5, "least similarity of a match", runtime=True)
    match_iou: float = share(
        0.3, "least overlap of a match of sort_iou or of the second pass, with the track's predicted box"
    )
    suppress_score: float = share(
        0.5, "above this similarity a weak detection is no backdrop either", runtime=True
    )
    duplicate_iou: float = share(
        0.7, "of two detections that overlap more, the better one stays", runtime=True
    )
    backdrop_iou: float = share(
        0.3, "an unmatched detection overlapping a better one is no backdrop", runtime=True
    )
    iou_weight: float = share(
        0.0, "share of box overlap in the similarity; the paper's appearance only is 0", runtime=True
    )
    least_cosine: float = setting(
        -1.0,
        "a pair of embeddings with a lower cosine never matches by appearance; -1: any may",
        low=-1.0,
        high=1.0,
        runtime=True,
    )
    momentum: float = share(0.8, "share of the new embedding in a track's running mean", runtime=True)
    class_momentum: float = share(
        1.0, "share of the newest score in the votes for a track's class; 1: the newest decides", runtime=True
    )
    motion: Literal["mean", "kalman"] = setting(
        "mean", "what predicts boxes: the mean velocity, or a Kalman filter that knows its uncertainty"
    )
    velocity_momentum: float = share(
        0.5, "share of the newest motion in a track's running mean velocity", runtime=True
    )
    motion_weight: float = share(
        0.0, "share in the similarity of how well a box fits the filter's prediction (kalman)", runtime=True
    )
    gate: float = setting(
        0.0,
        "a box farther from the filter's prediction, as squared Mahalanobis distance, never matches; 13.3 "
        "keeps 99 % of true pairs; 0: no gate (kalman)",
        low=0.0,
        high=1e6,
        runtime=True,
    )
    camera_motion: bool = setting(
        False, "predicted boxes follow the camera's motion, seen in the image (kalman)"
    )
    second_pass: Literal["none", "weak", "all"] = setting(
        "none", "detections that may continue a track left over, by overlap (BYTE's weak ones)", runtime=True
    )
    lost_frames: int = setting(
        10, "how long a track survives unseen, at least", unit="frames", low=0, high=FRAMES, runtime=True
    )
    lost_seconds: float = setting(
        0.0, "how long a track survives unseen, at least", unit="seconds", low=0.0, high=3600.0, runtime=True
    )
    keep_backdrops: int = setting(
        1,
        "how long an unmatched detection competes for matches",
        unit="frames",
        low=0,
        high=FRAMES,
        runtime=True,
    )
    confirm_frames: int = setting(
        1,
        "a track is shown once it was found in so many frames",
        unit="frames",
        low=1,
        high=100,
        runtime=True,
    )
    confirm_score: float = share(1.0, "a detection above this confirms its track at once", runtime=True)
    confirm_gap: float = setting(
        0.3,
        "where frames are farther apart, every track is shown at once",
        unit="seconds",
        low=0.0,
        high=3600.0,
        runtime=True,
    )
    capacity: int = setting(128, "M, rows of the prototype bank, most tracks at a time", low=1, high=10_000)
