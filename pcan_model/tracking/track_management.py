"""Track management: birth, update, loss and removal of tracks, and their rows of the prototype bank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import Detections, Ego, Slots, State, Track
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.tracking import motion
from pcan_model.tracking.association import NONE, unmatched_detections


@dataclass(frozen=True, slots=True, eq=False)
class TrackUpdate:
    """The tracks after one frame; F were detected in it."""

    found: tuple[Track, ...]  # (F,) detected in this frame, by falling score
    rows: NDArray[np.int64]  # (F,) row of each in the engine's padded outputs
    kept_rows: NDArray[np.int64]  # rows of all detections without duplicates, tracked or not
    lost: tuple[Track, ...]  # not detected, may return
    removed: tuple[Track, ...]  # not detected for too long, or replaced by new ones
    unmatched: Detections  # detections without a track
    next_id: int
    ego: Ego | None = None  # of the odometry, with this frame

    @property
    def shown(self) -> list[tuple[Track, int]]:
        """Return the detected tracks that are confirmed, by falling score, with their rows."""
        return [(t, r) for t, r in zip(self.found, self.rows.tolist(), strict=True) if t.shown is not None]

    @property
    def kept(self) -> tuple[Track, ...]:
        """Return the tracks that the next frame may continue, oldest first."""
        return tuple(sorted(self.found + self.lost, key=lambda track: track.track_id))


def update_tracks(
    state: State,
    found: Detections,
    assigned: NDArray[np.int64],
    *,
    stamp: float,
    config: TrackerConfig,
    placed: bool = False,
) -> TrackUpdate:
    """Update the tracks with the detections of one frame, which may be empty.

    found     (N)   detections without duplicates, by falling score
    assigned  (N,)  index into state.tracks, NONE or SUPPRESSED
    stamp           of the frame, seconds
    placed          whether odometry knows the place of the camera, so that both motion filters are at `stamp`
    """
    starts = (assigned == NONE) & (found.scores > config.init_score)
    rows = np.flatnonzero(starts | (assigned >= 0))
    lost, removed = _unseen(state, assigned, len(rows), stamp, config)
    free = _free_slots(state, assigned, lost, config.capacity)
    tracks: list[Track] = []
    next_id = state.next_id
    for row in rows.tolist():
        if starts[row]:
            track = _begin(found, row, state.frame_index, stamp, next_id, next(free), config, placed)
            next_id += 1
        else:
            track = _continue(state, int(assigned[row]), found, row, stamp, config, placed)
        tracks.append(_confirmed(track, state, stamp, config))
    unmatched = unmatched_detections(found, np.where(starts, 0, assigned), config)
    return TrackUpdate(tuple(tracks), found.rows[rows], found.rows, lost, removed, unmatched, next_id)


def unchanged_tracks(state: State, found: Detections) -> TrackUpdate:
    """Return the tracks unchanged, as the released code does in a frame without detections."""
    return TrackUpdate((), found.rows, found.rows, state.tracks, (), found, state.next_id)


def _unseen(
    state: State, assigned: NDArray[np.int64], busy: int, stamp: float, config: TrackerConfig
) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
    """Split the unmatched tracks into lost and removed ones.

    A track is removed when it has expired; if the bank is full, also those that were lost longest.

    busy  bank rows of the objects of this frame; at most the capacity
    """
    seen = set(assigned.tolist())
    unseen = [track for k, track in enumerate(state.tracks) if k not in seen]
    unseen.sort(key=lambda track: (track.seen, track.track_id))
    expired = sum(_expired(track, state.frame_index, stamp, config) for track in unseen)
    gone = max(expired, len(unseen) + busy - config.capacity)
    return tuple(unseen[gone:]), tuple(unseen[:gone])


def _expired(track: Track, frame: int, stamp: float, config: TrackerConfig) -> bool:
    """Return whether a track was lost for long enough, both in frames and in seconds."""
    unseen = max(0.0, stamp - track.stamp)
    return frame - track.seen >= config.lost_frames and unseen >= config.lost_seconds


def _confirmed(track: Track, state: State, stamp: float, config: TrackerConfig) -> Track:
    """Confirm a track that was detected often enough, has a high score, or follows a long frame interval."""
    if track.shown is not None:
        return track
    alone = state.stamp is None or stamp - state.stamp > config.confirm_gap
    sure = track.hits >= config.confirm_frames or track.score > config.confirm_score
    return replace(track, shown=state.frame_index) if sure or alone else track


def _free_slots(
    state: State, assigned: NDArray[np.int64], lost: tuple[Track, ...], capacity: int
) -> Iterator[int]:
    taken = {state.tracks[k].slot for k in assigned[assigned >= 0]}
    taken |= {track.slot for track in lost}
    return (slot for slot in range(capacity) if slot not in taken)


def _begin(
    found: Detections,
    row: int,
    frame: int,
    stamp: float,
    track_id: int,
    slot: int,
    config: TrackerConfig,
    placed: bool,
) -> Track:
    label, score = int(found.labels[row]), float(found.scores[row])
    filtered = motion.begin(found.boxes[row], stamp) if config.motion == "kalman" else None
    return Track(
        track_id=track_id,
        slot=slot,
        box=found.boxes[row],
        label=label,
        score=score,
        embed=found.embeds[row],
        velocity=np.zeros(2, np.float32),
        born=frame,
        seen=frame,
        stamp=stamp,
        shown=None,
        votes=_votes(np.zeros(0), label, score, 1.0),
        motion=filtered,
        ego=filtered if placed else None,
    )


def _continue(
    state: State,
    index: int,
    found: Detections,
    row: int,
    stamp: float,
    config: TrackerConfig,
    placed: bool,
) -> Track:
    """Update a track with a detection: box and score are replaced, embeddings averaged, classes voted.

    A weak detection of the second pass does not change the embedding.
    """
    track, score = state.tracks[index], float(found.scores[row])
    share = config.momentum if found.scores[row] > np.float32(config.track_score) else 0.0
    embed = (1 - share) * track.embed + share * found.embeds[row]
    label = int(found.labels[row])
    votes = _votes(track.votes, label, score, config.class_momentum)
    return replace(
        corrected(track, found.boxes[row], stamp, placed=placed),
        box=found.boxes[row],
        label=label if votes[label] >= votes.max() else int(votes.argmax()),
        score=score,
        embed=embed.astype(np.float32),
        velocity=mean_velocity(track, found.boxes[row], stamp, config.velocity_momentum),
        seen=state.frame_index,
        stamp=stamp,
        hits=track.hits + 1,
        votes=votes,
    )


def corrected(track: Track, box: NDArray[np.float32], stamp: float, *, placed: bool) -> Track:
    """Return a track with its motion filters, if any, updated with a box, (4,).

    placed  whether odometry knows the place of the camera at `stamp`; else its filter waits
    """
    if track.motion is None:
        return track
    ego = track.ego
    if placed:
        ego = motion.begin(box, stamp) if ego is None else motion.correct(ego, box)
    return replace(track, motion=motion.correct(track.motion, box), ego=ego)


def _votes(votes: NDArray[np.float64], label: int, score: float, momentum: float) -> NDArray[np.float64]:
    """Return the running mean of the scores by label, as long as the highest label needs."""
    kept = np.zeros(max(len(votes), label + 1))
    kept[: len(votes)] = (1 - momentum) * votes
    kept[label] += momentum * score
    return kept


def mean_velocity(
    track: Track, box: NDArray[np.float32], stamp: float, momentum: float
) -> NDArray[np.float32]:
    """Return the running mean velocity of the box centre, (2,) pixels per second.

    The first measurement is used unweighted; without elapsed time there is none.
    """
    elapsed = stamp - track.stamp
    if elapsed <= 0:
        return track.velocity
    measured = (box - track.box).reshape(2, 2).mean(0) / elapsed
    share = 1.0 if track.seen == track.born else momentum
    velocity: NDArray[Any] = (1 - share) * track.velocity + share * measured
    return cast(NDArray[np.float32], velocity.astype(np.float32))


def bank_slots(update: TrackUpdate, frame: int, *, detections: int, capacity: int) -> Slots:
    """Return which bank row each padded detection reads, and which detection writes each row.

    Only tracked detections own a row; the others are fresh and write nothing.

    frame       index of this frame: a track that begins in it has nothing to read
    detections  D, padded rows of the engine
    capacity    M, rows of the bank
    """
    slot, fresh = np.zeros(detections, np.int64), np.ones(detections, np.float32)
    owner, has = np.zeros(capacity, np.int64), np.zeros(capacity, np.float32)
    for track, row in zip(update.found, update.rows, strict=True):
        slot[row], fresh[row] = track.slot, float(track.born == frame)
        owner[track.slot], has[track.slot] = row, 1
    kept = np.zeros(detections, np.bool_)
    kept[update.kept_rows] = True
    return Slots(slot, fresh, owner, has, kept)
