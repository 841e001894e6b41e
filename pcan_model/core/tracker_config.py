"""How tracks are continued: every constant of the association with its unit, meaning and limits.

The defaults are the paper's, as QDTrack and the released code have it: appearance alone, frames counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pcan_model.core.fields import setting, share

Association = Literal["quasi_dense", "masktrack", "sort_iou"]
FRAMES = 10_000  # more than any track waits


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Association; scores in [0, 1]."""

    association: Association = setting(
        "quasi_dense",
        "quasi_dense: by appearance; masktrack: as MaskTrack R-CNN and SipMask; sort_iou: by overlap",
    )
    similarity: Literal["bisoftmax", "softmax", "cosine"] = setting(
        "bisoftmax", "of embeddings; PCAN's is bisoftmax", runtime=True
    )
    match_classes: Literal["same", "any"] = setting(
        "same", "classes of the detections that may continue a track", runtime=True
    )
    init_score: float = share(0.7, "score above which a detection may start a track", runtime=True)
    track_score: float = share(0.3, "score above which a detection may continue a track", runtime=True)
    match_score: float = share(0.5, "least similarity of a match", runtime=True)
    match_iou: float = share(
        0.3, "least IoU with the track's predicted box of a match by sort_iou or in the second pass"
    )
    suppress_score: float = share(
        0.5, "similarity above which a weak detection does not become a backdrop", runtime=True
    )
    duplicate_iou: float = share(
        0.7, "IoU above which the weaker of two detections is a duplicate", runtime=True
    )
    backdrop_iou: float = share(
        0.3, "IoU with a better detection above which none becomes a backdrop", runtime=True
    )
    iou_weight: float = share(
        0.0, "share of box IoU in the similarity; 0: appearance only, as in the paper", runtime=True
    )
    least_cosine: float = setting(
        -1.0,
        "cosine similarity of embeddings below which a pair never matches by appearance; -1: no limit",
        low=-1.0,
        high=1.0,
        runtime=True,
    )
    momentum: float = share(0.8, "share of the new embedding in a track's running mean", runtime=True)
    class_momentum: float = share(
        1.0,
        "share of the newest score in a track's class votes; 1: the newest detection decides",
        runtime=True,
    )
    motion: Literal["mean", "kalman"] = setting(
        "mean", "how boxes are predicted: by the mean velocity, or by a Kalman filter with uncertainty"
    )
    velocity_momentum: float = share(0.5, "share of the new velocity in a track's running mean", runtime=True)
    motion_weight: float = share(
        0.0, "share of the motion likelihood in the similarity (kalman)", runtime=True
    )
    gate: float = setting(
        0.0,
        "squared Mahalanobis distance to the prediction above which a pair never matches; 13.3 keeps "
        "99 % of true pairs; 0: no gate (kalman)",
        low=0.0,
        high=1e6,
        runtime=True,
    )
    gate_iou: float = share(
        0.3, "IoU with the predicted box from which on the gate does not apply (kalman)", runtime=True
    )
    camera_motion: bool = setting(
        False, "compensate predicted boxes for the camera's motion, estimated from the image (kalman)"
    )
    second_pass: Literal["none", "weak", "all"] = setting(
        "none",
        "second matching pass by IoU: none, of weak detections (BYTE), or of all that are left",
        runtime=True,
    )
    lost_frames: int = setting(
        10, "how long a lost track is kept, at least", unit="frames", low=0, high=FRAMES, runtime=True
    )
    lost_seconds: float = setting(
        0.0, "how long a lost track is kept, at least", unit="seconds", low=0.0, high=3600.0, runtime=True
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
        "detections before a new track is published",
        unit="frames",
        low=1,
        high=100,
        runtime=True,
    )
    confirm_score: float = share(1.0, "score above which a new track is published at once", runtime=True)
    confirm_gap: float = setting(
        0.3,
        "frame interval above which every new track is published at once",
        unit="seconds",
        low=0.0,
        high=3600.0,
        runtime=True,
    )
    riders: bool = setting(
        False,
        "label persons on a bicycle or motorcycle as riders and all others as pedestrians; either continues "
        "the other's track",
        runtime=True,
    )
    overlap: bool = setting(
        False, "whether masks may overlap, for metrics that score tracks singly (YouTube-VIS)"
    )
    capacity: int = setting(
        128, "M, rows of the prototype bank: the maximum number of tracks", low=1, high=10_000
    )
