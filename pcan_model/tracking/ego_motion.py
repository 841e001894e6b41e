"""Motion of the camera as odometry tells it: predictions moved at the place of each object.

The place is where the lower edge of a box meets the ground, or at the depth that was measured. Rotation moves
all pixels alike, translation the near ones more; what the distance leaves open adds to the uncertainty.

Odometry or extrinsics may be wrong. Each frame the predictions with and without are compared with the nearest
detections, and the better source of the recent frames is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.geometry import Letterbox
from pcan_model.core.space import Floats
from pcan_model.core.structures import CameraPlace, EgoTrust, Track
from pcan_model.tracking.camera_motion import Carry

FARTHEST = 150.0  # metres; the distance of what is at the horizon or above it
NEAREST = 1.0  # metres
UNSURE = 0.25  # relative uncertainty of a distance by the ground
TURN_NOISE = 0.015  # radians per second, of the rotation
FORGET = 0.8  # share of the earlier frames in the running error
FAR = 2.0  # sides; predictions farther from any detection count as this far
FASTEST = 100.0  # metres per second; farther ways are jumps of odometry


@dataclass(frozen=True, slots=True, eq=False)
class EgoMotion:
    """The motion of the camera between two frames."""

    before: CameraPlace
    now: CameraPlace
    letterbox: Letterbox
    depths: Mapping[int, float] = field(
        default_factory=dict
    )  # measured metres at the last frame, by track id

    def carry(self, numbers: Floats, elapsed: float, track_id: int) -> Carry:
        """Return how a box moves: scaled about the place where it stands.

        numbers  (4,)  centre x, y, width and height, network pixels
        """
        foot = np.array([[numbers[0], numbers[1] + numbers[3] / 2]], np.float32)
        pixel = self.letterbox.to_image(foot)[0].astype(np.float64)
        known = self.depths.get(track_id)
        depth = self._ground_depth(pixel) if known is None else known
        unsure = UNSURE if known is None else 0.05
        here = self._moved(pixel, depth)
        if here is None:
            return Carry(np.eye(2, 3), np.zeros(2))
        place, scale = here
        ends = [self._moved(pixel, depth * factor) or here for factor in (1 - unsure, 1 + unsure)]
        spread = np.abs(ends[0][0] - ends[1][0]) / 2 + TURN_NOISE * elapsed * self.now.camera.fx
        target = self.letterbox.to_network(place.astype(np.float32)[None])[0]
        ratio = np.array(self.letterbox.scale)
        matrix = np.concatenate([scale * np.eye(2), (target - scale * foot[0])[:, None]], axis=1)
        return Carry(matrix, spread * ratio)

    def _ground_depth(self, pixel: Floats) -> float:
        """Return the depth at which the ray of a pixel meets the ground."""
        ray = self.before.camera.points(pixel[:1], pixel[1:], np.ones(1))[0]
        down = -float((self.before.pose.rotation @ ray)[2])
        height = float(self.before.pose.translation[2]) - self.before.ground
        if down <= 0 or height <= 0:
            return FARTHEST
        return min(max(height / down, NEAREST), FARTHEST)

    def _moved(self, pixel: Floats, depth: float) -> tuple[Floats, float] | None:
        """Return the new pixel of a point and the scale of what is there; None if it is behind the camera."""
        point = self.before.camera.points(pixel[:1], pixel[1:], np.array([depth]))
        local = (self.now.pose.inverse() @ self.before.pose).apply(point)
        if local[0, 2] < NEAREST / 2:
            return None
        return self.now.camera.project(local)[0], depth / float(local[0, 2])


def ego_motion(
    before: CameraPlace | None, now: CameraPlace | None, letterbox: Letterbox, elapsed: float
) -> EgoMotion | None:
    """Return the motion between two frames; None unless both places are known and the way is possible."""
    if before is None or now is None:
        return None
    way = float(np.linalg.norm(now.pose.translation - before.pose.translation))
    possible = elapsed > 0 and way <= FASTEST * elapsed + 1.0
    return EgoMotion(before, now, letterbox, before.depths) if possible else None


def trusted(trust: EgoTrust) -> bool:
    """Return whether odometry has predicted as well as the other source, or better."""
    return trust.odometry <= trust.other


def judged(
    trust: EgoTrust, odometry: Sequence[Track], other: Sequence[Track], boxes: NDArray[np.float32]
) -> EgoTrust:
    """Return the trust after a frame: how far predictions are from the nearest detection.

    The nearest, not the matched one: a source that is wrong enough leaves nothing matched.

    odometry, other  all tracks, as each source predicted them
    boxes            (N, 4) of all detections, network pixels
    """
    if not len(boxes) or not odometry:
        return trust
    error = _error(odometry, boxes), _error(other, boxes)
    mix = [
        FORGET * old + (1 - FORGET) * new
        for old, new in zip((trust.odometry, trust.other), error, strict=True)
    ]
    return EgoTrust(*mix)


def _error(tracks: Sequence[Track], boxes: NDArray[np.float32]) -> float:
    """Return the median distance of predicted centres from the nearest detection, in its sides."""
    centres = boxes.reshape(-1, 2, 2).mean(1)
    sides = np.sqrt(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1.0))
    places = np.array([track.motion.mean[:2, 0] for track in tracks if track.motion is not None])
    apart = np.linalg.norm(places[:, None] - centres[None], axis=2) / sides
    return float(np.median(np.minimum(apart.min(1), FAR)))
