"""Association of detections with tracks (pure functions on arrays).

Quasi-dense matching by appearance follows the released PCAN tracker (QDTrack), with the settings of
`TrackerConfig`. SortIoU, the baseline of Table 2, matches boxes by overlap only; `masktrack` is
in masktrack.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.geometry import box_iou
from pcan_model.core.structures import Detections, Track
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.tracking import motion
from pcan_model.tracking.appearance import APPEARANCE, cosine
from pcan_model.tracking.camera_motion import CameraSource
from pcan_model.tracking.masktrack import CueWeights, match_by_cues

NONE = -1  # a detection without a track: may start one, or stay unmatched
SUPPRESSED = -2  # too weak to continue the track that it resembles; does not become a backdrop
CUES = CueWeights()


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What detections are compared with: K tracks, then B unmatched detections (QDTrack: backdrops)."""

    boxes: NDArray[np.float32]  # (K + B, 4) predicted to this frame, network pixels
    labels: NDArray[np.int64]  # (K + B,)
    embeds: NDArray[np.float32]  # (K + B, D)
    tracks: int  # K


def unique_detections(found: Detections, config: TrackerConfig) -> Detections:
    """Remove boxes that overlap a better one of any class too much; returns the others by falling score.

    A removed box also removes others. The threshold for weak boxes is the lower `backdrop_iou`.
    """
    found = found.take(np.argsort(-found.scores, kind="stable"))
    weak = found.scores < config.track_score
    limit = np.where(weak, config.backdrop_iou, config.duplicate_iou)
    return found.take(~_overlaps_better(found.boxes, limit))


def _overlaps_better(boxes: NDArray[np.float32], limit: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which boxes overlap an earlier one by more than their limit, (N,)."""
    return cast(NDArray[np.bool_], np.tril(box_iou(boxes, boxes) > limit[:, None], -1).any(1))


def candidates(tracks: Sequence[Track], unmatched: Sequence[Detections], stamp: float) -> Candidates:
    """Return the candidates for the detections of this frame: predicted tracks, and unmatched detections.

    tracks  at least one
    """
    boxes = np.stack([predict(track, stamp) for track in tracks])
    labels = np.array([track.label for track in tracks], np.int64)
    embeds = np.stack([track.embed for track in tracks])
    return Candidates(
        np.concatenate([boxes, *(b.boxes for b in unmatched)]),
        np.concatenate([labels, *(b.labels for b in unmatched)]),
        np.concatenate([embeds, *(b.embeds for b in unmatched)]),
        len(tracks),
    )


def predict(track: Track, stamp: float) -> NDArray[np.float32]:
    """Return the predicted box of a track at `stamp`, (4,); an earlier stamp counts as no time passed."""
    if track.motion is not None:
        return motion.box_of(motion.predict(track.motion, stamp))
    shift = track.velocity * max(0.0, stamp - track.stamp)
    return cast(NDArray[np.float32], (track.box + np.tile(shift, 2)).astype(np.float32))


def moved(track: Track, stamp: float, camera: CameraSource | None) -> Track:
    """Return a track with its motion filter, if any, predicted to `stamp`."""
    if track.motion is None:
        return track
    return replace(track, motion=motion.predict(track.motion, stamp, camera))


def match(
    found: Detections,
    tracks: Sequence[Track],
    unmatched: Sequence[Detections],
    *,
    stamp: float,
    config: TrackerConfig,
    groups: NDArray[np.int64] | None = None,
    weights: CueWeights = CUES,
) -> NDArray[np.int64]:
    """Return the index in `tracks` of each detection at `stamp`, NONE or SUPPRESSED, (N,).

    groups   (K,)  the class as which each class is matched; None: as itself
    weights  of the cues of association `masktrack`
    """
    if not len(found) or not tracks:
        return np.full(len(found), NONE, np.int64)
    if groups is not None:
        found, tracks, unmatched = _grouped(found, tracks, unmatched, groups)
    if config.association == "masktrack":
        return match_by_cues(found, tracks, weights)
    if config.association == "sort_iou":
        return match_by_overlap(found, tracks, stamp=stamp, config=config)
    known = candidates(tracks, unmatched, stamp)
    apart = _distances(found, tracks)
    reach = within_reach(found, known, config, apart)
    score = similarity(found, known, config, apart, reach)
    assigned = assign(score, found.scores, known.tracks, config)
    return second_pass(assigned, found, known, config, reach)


def _grouped(
    found: Detections, tracks: Sequence[Track], unmatched: Sequence[Detections], groups: NDArray[np.int64]
) -> tuple[Detections, list[Track], list[Detections]]:
    """Return detections, tracks and unmatched detections with the classes as which they are matched."""
    as_class = groups.tolist()
    known = [
        track if as_class[track.label] == track.label else replace(track, label=as_class[track.label])
        for track in tracks
    ]
    backdrops = [replace(each, labels=groups[each.labels]) for each in unmatched]
    return replace(found, labels=groups[found.labels]), known, backdrops


def match_by_overlap(
    found: Detections, tracks: Sequence[Track], *, stamp: float, config: TrackerConfig
) -> NDArray[np.int64]:
    """Match boxes with predicted tracks, maximising the sum of overlaps (SORT, Bewley et al. 2016).

    A running mean velocity replaces SORT's Kalman filter; pairs with too little overlap are discarded.

    found    (N), N > 0, and at least one track
    returns  (N,)  track index or NONE
    """
    from scipy.optimize import linear_sum_assignment  # a baseline for evaluation: robots have no SciPy

    known = candidates(tracks, (), stamp)
    allowed = (found.labels[:, None] == known.labels[None]) & (found.scores > config.track_score)[:, None]
    overlap = box_iou(found.boxes, known.boxes) * allowed
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    result = np.full(len(found), NONE, np.int64)
    good = overlap[rows, columns] > config.match_iou
    result[rows[good]] = columns[good]
    return result


def _distances(found: Detections, tracks: Sequence[Track]) -> NDArray[np.float64] | None:
    """Return squared Mahalanobis distances to the predicted tracks, (N, K); None without motion filters."""
    motions = [track.motion for track in tracks if track.motion is not None]
    return motion.distances(found.boxes, motions) if len(motions) == len(tracks) else None


def within_reach(
    found: Detections, known: Candidates, config: TrackerConfig, apart: NDArray[np.float64] | None
) -> NDArray[np.bool_] | None:
    """Return which pairs position and appearance allow, (N, K + B); None: all.

    apart  (N, K)  of `_distances`
    """
    gated, choosy = apart is not None and config.gate > 0, config.least_cosine > -1
    if not gated and not choosy:
        return None
    reach = np.ones((len(found), len(known.labels)), np.bool_)
    if apart is not None and gated:
        overlap = box_iou(found.boxes, known.boxes[: known.tracks])
        reach[:, : known.tracks] = (apart <= config.gate) | (overlap >= config.gate_iou)
    if choosy:
        reach &= cosine(found.embeds, known.embeds) >= config.least_cosine
    return reach


def similarity(
    found: Detections,
    known: Candidates,
    config: TrackerConfig,
    apart: NDArray[np.float64] | None = None,
    reach: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Return the similarity of detections and candidates, (N, K + B) in [0, 1].

    It is the weighted mean of appearance, box overlap and, with motion filters, the likelihood of the
    position; 0 for pairs out of reach and, unless any class matches, for different classes.

    apart  (N, K)      of `_distances`
    reach  (N, K + B)  of `within_reach`; pairs out of reach do not compete in the softmax either
    """
    weight = config.motion_weight if apart is not None else 0.0
    score = APPEARANCE[config.similarity](found.embeds, known.embeds, reach)
    if config.iou_weight or weight:
        overlap = box_iou(found.boxes, known.boxes)
        score = (1 - config.iou_weight - weight) * score + config.iou_weight * overlap
        if apart is not None and weight:
            score += weight * _likelihood(apart, overlap)
    same = (found.labels[:, None] == known.labels[None]) | (config.match_classes == "any")
    return cast(NDArray[np.float32], score * (same if reach is None else same & reach))


def _likelihood(apart: NDArray[np.float64], overlap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return likelihoods of positions relative to the best one, (N, K + B); for backdrops the overlap."""
    likely = overlap.copy()
    likely[:, : apart.shape[1]] = np.exp(-apart / 8)  # a standard deviation along each of the 4 axes: 0.61
    return likely


def assign(
    score: NDArray[np.float32], confidence: NDArray[np.float32], tracks: int, config: TrackerConfig
) -> NDArray[np.int64]:
    """Assign each detection, by falling score, to the most similar free track.

    A detection that is most similar to an earlier unmatched one gets no track: it may be clutter.

    score      (N, K + B)  similarity, rows by falling confidence
    confidence (N,)        detection scores
    returns    (N,)        track index, NONE or SUPPRESSED
    """
    score, result = score.copy(), np.full(len(score), NONE, np.int64)
    sure = confidence > np.float32(config.track_score)  # NumPy 1 would compare a single score in 64 bits
    for row in range(len(score)):
        best = int(score[row].argmax())
        if score[row, best] <= config.match_score or best >= tracks:
            continue
        if sure[row]:
            result[row] = best
            score[:, best] = 0
        elif score[row, best] > config.suppress_score:
            result[row] = SUPPRESSED
    return result


def second_pass(
    assigned: NDArray[np.int64],
    found: Detections,
    known: Candidates,
    config: TrackerConfig,
    reach: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """Match the remaining detections with the remaining tracks, by falling overlap.

    BYTE's second pass (Zhang et al. 2022): an occluded object is a weak detection at the predicted position.

    assigned (N,)        of `assign`
    reach    (N, K + B)  of `within_reach`
    returns  (N,)        track index, NONE or SUPPRESSED
    """
    if config.second_pass == "none":
        return assigned
    left = (assigned < 0) & ((config.second_pass == "all") | (found.scores <= config.track_score))
    free = ~np.isin(np.arange(known.tracks), assigned)
    same = (found.labels[:, None] == known.labels[None]) | (config.match_classes == "any")
    allowed = (same if reach is None else same & reach)[:, : known.tracks] & left[:, None] & free[None]
    overlap = box_iou(found.boxes, known.boxes[: known.tracks]) * allowed
    result = assigned.copy()
    for flat in np.argsort(-overlap, axis=None, kind="stable"):
        row, column = np.unravel_index(flat, overlap.shape)
        if overlap[row, column] <= config.match_iou:
            break
        if result[row] < 0 and column not in result:
            result[row] = column
    return result


def unmatched_detections(found: Detections, assigned: NDArray[np.int64], config: TrackerConfig) -> Detections:
    """Return the detections without a track that do not overlap a better box.

    assigned (N,)  NONE where a detection neither continued nor started a track
    """
    limit = np.full(len(found), config.backdrop_iou)
    return found.take((assigned == NONE) & ~_overlaps_better(found.boxes, limit))
