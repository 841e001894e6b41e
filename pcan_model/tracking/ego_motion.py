"""Motion of the camera as odometry tells it: predictions moved at the place of each object.

The place is where the lower edge of a box meets the ground, or at the depth that was measured. Rotation moves
all pixels alike, translation the near ones more; what the distance leaves open adds to the uncertainty.

Odometry or extrinsics may be wrong, and messages missing. So each track has two motion filters, one with and
one without odometry, which do not mix: without is as if there were no odometry. The one that predicts better
is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.geometry import Letterbox
from pcan_model.core.space import Floats, Pose
from pcan_model.core.structures import CameraPlace, Detections, Ego, Motion, Track
from pcan_model.tracking import motion
from pcan_model.tracking.appearance import cosine
from pcan_model.tracking.camera_motion import Carry

FARTHEST = 150.0  # metres; the distance of what is at the horizon or above it
NEAREST = 1.0  # metres
UNSURE = 0.25  # relative uncertainty of a distance by the ground
MEASURED = 0.05  # the same of a measured one
LEAST_MEASURED = 3  # pixels of a box with a depth
TURN_NOISE = 0.015  # radians per second, of the rotation
TURN_CHANGE = 0.5  # radians per second squared, of a rotation that is extrapolated
AHEAD = 0.5  # seconds that places are extrapolated
NEWEST = 0.1  # share of the newest frame in the running errors
START, STAY = 0.8, 0.9  # greatest error of odometry, in that of the other, to be used, and to stay so
FAR = 2.0  # sides; predictions farther away count as this far
FASTEST = 100.0  # metres per second; farther ways are jumps of odometry


@dataclass(frozen=True, slots=True, eq=False)
class EgoMotion:
    """The motion of the camera between two frames."""

    before: CameraPlace
    now: CameraPlace
    letterbox: Letterbox
    guessed: float = 0.0  # radians, uncertainty of a rotation that was extrapolated
    relative: Pose = field(init=False)  # of the camera before in the one now

    def __post_init__(self) -> None:
        object.__setattr__(self, "relative", self.now.pose.inverse() @ self.before.pose)

    def carry(self, numbers: Floats, elapsed: float) -> Carry:
        """Return how a box moves: scaled about the place where it stands.

        numbers  (4,)  centre x, y, width and height, network pixels
        """
        foot = np.array([[numbers[0], numbers[1] + numbers[3] / 2]], np.float32)
        column, row = self.letterbox.to_image(foot).astype(np.float64).T
        ray = self.before.camera.points(column, row, np.ones(1))[0]
        known = self._measured_depth(numbers)
        depth = self._ground_depth(ray) if known is None else known
        unsure = UNSURE if known is None else MEASURED
        points = self.relative.apply(ray * (depth * np.array([[1.0], [1 - unsure], [1 + unsure]])))
        if points[0, 2] < NEAREST / 2:
            return Carry(np.eye(2, 3), np.zeros(2))  # behind the camera
        place, near, far = self.now.camera.project(np.where(points[:, 2:] < NEAREST / 2, points[:1], points))
        turn, scale = TURN_NOISE * elapsed + self.guessed, depth / float(points[0, 2])
        spread = np.abs(near - far) / 2 + turn * self.now.camera.fx
        target = self.letterbox.to_network(place.astype(np.float32)[None])[0]
        matrix = np.concatenate([scale * np.eye(2), (target - scale * foot[0])[:, None]], axis=1)
        return Carry(matrix, spread * np.array(self.letterbox.scale))

    def _measured_depth(self, numbers: Floats) -> float | None:
        """Return the median depth in the middle of a box; None where too little was measured."""
        if self.before.depth is None:
            return None
        corners = numbers[:2] + np.array([[-0.25], [0.25]]) * numbers[2:]
        low, high = np.rint(self.letterbox.to_image(corners.astype(np.float32))).astype(int).clip(0)
        inside = self.before.depth[low[1] : high[1] + 1, low[0] : high[0] + 1]
        known = inside[np.isfinite(inside) & (inside > 0)]
        return float(np.median(known)) if len(known) >= LEAST_MEASURED else None

    def _ground_depth(self, ray: Floats) -> float:
        """Return the depth at which a ray, (3,) with depth 1, meets the ground."""
        down = -float(self.before.pose.rotation[2] @ ray)
        height = float(self.before.pose.translation[2]) - self.before.ground
        if down <= 0 or height <= 0:
            return FARTHEST
        return min(max(height / down, NEAREST), FARTHEST)


def with_odometry(
    tracks: tuple[Track, ...], ego: Ego | None, told: CameraPlace | None, letterbox: Letterbox, stamp: float
) -> tuple[tuple[Track, ...], Ego | None]:
    """Return the tracks with their filters of odometry predicted to a frame, and the odometry with it.

    A place that is not told is extrapolated for a while; then the filters wait for the next one. The first
    place, and one that cannot be reached from the last, begins anew.
    """
    now = told if told is not None or ego is None else extrapolated(ego, stamp)
    if now is None:
        return tracks, ego
    if ego is None or not _reachable(ego, now, stamp):
        return tuple(replace(track, ego=None) for track in tracks), Ego(now, stamp, ((stamp, now.pose),))
    known = ego.told if told is None else (ego.told[-1], (stamp, now.pose))
    gaps = ego.stamp - ego.told[-1][0], stamp - known[-1][0]
    source = EgoMotion(ego.place, now, letterbox, TURN_CHANGE * sum(gap**2 for gap in gaps) / 2)
    ready = tuple(
        track if track.ego is None else replace(track, ego=motion.predict(track.ego, stamp, source))
        for track in tracks
    )
    return ready, replace(ego, place=now, stamp=stamp, told=known)


def extrapolated(ego: Ego, stamp: float) -> CameraPlace | None:
    """Return the place if the camera moves on as between the last two poses; None if those are too old."""
    (first, older), (last, newer) = ego.told[0], ego.told[-1]
    if last <= first or not last < stamp <= last + AHEAD:
        return None
    return replace(ego.place, pose=older.towards(newer, (stamp - first) / (last - first)), depth=None)


def _reachable(ego: Ego, now: CameraPlace, stamp: float) -> bool:
    way, elapsed = float(np.linalg.norm(now.pose.translation - ego.place.pose.translation)), stamp - ego.stamp
    return elapsed > 0 and way <= FASTEST * elapsed + 1.0


def is_placed(ego: Ego | None, stamp: float) -> bool:
    """Return whether odometry tells where the camera is in a frame."""
    return ego is not None and ego.stamp == stamp


def in_use(ego: Ego | None, stamp: float) -> bool:
    """Return whether odometry predicts the boxes of a frame."""
    return ego is not None and ego.used and ego.stamp == stamp


def predicted(tracks: Sequence[Track], ego: Ego | None, stamp: float) -> Sequence[Track]:
    """Return tracks with the filter that is in use as their only one."""
    return [by_odometry(track) for track in tracks] if in_use(ego, stamp) else tracks


def by_odometry(track: Track) -> Track:
    """Return a track with its filter of odometry, if it has one, as its only one."""
    return track if track.ego is None else replace(track, motion=track.ego)


def judged(ego: Ego | None, tracks: Sequence[Track], found: Detections, stamp: float) -> Ego | None:
    """Return the odometry judged by how far predictions with and without it are from detections.

    They are compared where appearance alone says that track and detection are the same object, so that
    neither of the two chooses its own pairs. Odometry is used once it predicts clearly better.

    found  all detections of the frame
    """
    if ego is None or not is_placed(ego, stamp):
        return ego
    both = [track for track in tracks if track.ego is not None and track.motion is not None]
    rows, columns = _alike(found, both)
    if not len(rows):
        return ego
    boxes, same = found.boxes[rows], [both[k] for k in columns]
    error = ego.error + NEWEST * (_error([t.ego for t in same], boxes) - ego.error)
    other = ego.other + NEWEST * (_error([t.motion for t in same], boxes) - ego.other)
    return replace(ego, error=error, other=other, used=error <= (STAY if ego.used else START) * other)


def _alike(found: Detections, tracks: Sequence[Track]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the detections and tracks of one class that resemble each other most, (P,) each."""
    if not len(found) or not tracks:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    alike = cosine(found.embeds, np.stack([track.embed for track in tracks]))
    alike[found.labels[:, None] != np.array([track.label for track in tracks])] = -np.inf
    best = alike.argmax(1)
    mutual = (alike.argmax(0)[best] == np.arange(len(found))) & np.isfinite(alike.max(1))
    return np.flatnonzero(mutual), best[mutual]


def _error(motions: Sequence[Motion | None], boxes: NDArray[np.float32]) -> float:
    """Return the median distance of predicted centres from those of boxes (P, 4), in their sides."""
    sides = np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1.0))
    places = np.array([each.mean[:2, 0] for each in motions if each is not None])
    apart = np.linalg.norm(places - boxes.reshape(-1, 2, 2).mean(1), axis=1) / sides
    return float(np.median(np.minimum(apart, FAR)))
