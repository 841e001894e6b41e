"""Propagated frames: tracks carried from the frame before, with their masks, without the network.

Each object found in the last frame moves with the optical flow of the points on its mask, or, where too few
can be followed, as its motion predicts. Its mask moves and scales with its box. Prototypes, embeddings and
classes stay: they are updated by key frames only, so nothing uncertain enters the memory. Lost tracks are
predicted as in a key frame; none begins, none is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.geometry import Letterbox
from pcan_model.core.structures import Detections, Ego, State, Track
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.tracking.association import predict
from pcan_model.tracking.ego_motion import by_odometry, in_use, is_placed
from pcan_model.tracking.object_flow import Followed, follow
from pcan_model.tracking.track_management import TrackUpdate, corrected, mean_velocity

HALF_LIFE = 1.0  # seconds in which the score of a carried track falls to half
DRIFTED = 0.5  # share of an object's points lost in one frame above which its mask is uncertain
NO_DETECTIONS = Detections(
    np.zeros((0, 4), np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.int64),
    np.zeros((0, 0), np.float32),
    np.zeros(0, np.int64),
)


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """The tracks of a propagated frame."""

    update: TrackUpdate
    logits: NDArray[np.float32]  # (F, m, m) masks of the carried tracks over their boxes
    drifted: bool  # whether one was carried without certainty


def carry_tracks(
    state: State,
    tracks: Sequence[Track],
    ego: Ego | None,
    now: NDArray[np.uint8],
    letterbox: Letterbox,
    *,
    stamp: float,
    config: TrackerConfig,
) -> Carried:
    """Carry the tracks that the last frame found to this one; the others are lost.

    state   after the last frame, with its view
    tracks  those of the state, with their motion filters predicted to this frame
    ego     of the odometry, with this frame
    now     (h, w) view of this frame, of the same size
    stamp   of this frame, seconds
    """
    pairs = [
        (before, after)
        for before, after in zip(state.tracks, tracks, strict=True)
        if before.seen == state.frame_index - 1 and before.mask is not None
    ]
    pairs.sort(key=lambda pair: -pair[0].score)
    here = [after for _, after in pairs]
    aimed = (
        [(by_odometry(before), by_odometry(after)) for before, after in pairs]
        if in_use(ego, stamp)
        else pairs
    )
    guesses = np.array([_moved_as_predicted(*pair, stamp) for pair in aimed], np.float32).reshape(-1, 4)
    placed = is_placed(ego, stamp)
    followed = _follow(state, here, guesses, now, letterbox)
    moved = [
        _carry(track, guess if each.box is None else each.box, each, state.frame_index, stamp, config, placed)
        for track, guess, each in zip(here, guesses, followed, strict=True)
    ]
    inside = [_centre_inside(track.box, letterbox.size) for track in moved]
    found = tuple(track for track, shown in zip(moved, inside, strict=True) if shown)
    known = {track.track_id for track in found}
    lost = tuple(track for track in tracks if track.track_id not in known)
    rows = np.arange(len(found))
    update = TrackUpdate(found, rows, rows[:0], lost, (), NO_DETECTIONS, state.next_id)
    return Carried(update, masks_of(found), any(each.lost > DRIFTED for each in followed))


def masks_of(tracks: Sequence[Track]) -> NDArray[np.float32]:
    """Return the masks of tracks that have one, (F, m, m) logits."""
    masks = [track.mask for track in tracks if track.mask is not None]
    return np.stack(masks) if masks else np.zeros((0, 1, 1), np.float32)


def _moved_as_predicted(before: Track, after: Track, stamp: float) -> NDArray[np.float32]:
    """Return the box of a track moved as its filter, predicted from `before` to `after`, has moved."""
    return before.box + predict(after, stamp) - predict(before, before.stamp)


def _follow(
    state: State,
    tracks: Sequence[Track],
    guesses: NDArray[np.float32],
    now: NDArray[np.uint8],
    letterbox: Letterbox,
) -> list[Followed]:
    """Follow tracks from the last view to this one; `guesses` (K, 4) are their predicted boxes."""
    if not tracks:
        return []
    assert state.view is not None, "checked by the caller"
    boxes = np.stack([track.box for track in tracks])
    return follow(state.view, now, boxes, masks_of(tracks), guesses, now.shape[1] / letterbox.size[1])


def _carry(
    track: Track,
    box: NDArray[np.float32],
    followed: Followed,
    frame: int,
    stamp: float,
    config: TrackerConfig,
    placed: bool,
) -> Track:
    """Move a track to its box in this frame; one that was followed updates the filters like a detection."""
    if followed.box is not None:
        track = corrected(track, followed.box, stamp, placed=placed)
    return replace(
        track,
        box=box,
        score=track.score * 0.5 ** (max(0.0, stamp - track.stamp) / HALF_LIFE),
        velocity=mean_velocity(track, box, stamp, config.velocity_momentum),
        seen=frame,
        stamp=stamp,
    )


def _centre_inside(box: NDArray[np.float32], size: tuple[int, int]) -> bool:
    """Return whether the centre of a box lies in an image of (height, width)."""
    centre = box.reshape(2, 2).mean(0)
    return bool((centre >= 0).all() and (centre <= size[::-1]).all())
