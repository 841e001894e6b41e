"""Lifting of tracks: `step(state, ...) -> (state, boxes)`, with the state as a value.

The path of a track: points under its mask -> nearest mode -> box on the ground -> Kalman filter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pcan_model.core.space import Box3D, Floats, Pose
from pcan_model.core.structures import TrackedInstance, Tracks
from pcan_model.lifting import kalman
from pcan_model.lifting.config import ClassShape, LiftingConfig, shape_of
from pcan_model.lifting.ground_box import GroundBox, fit_box
from pcan_model.lifting.kalman import GroundMotion
from pcan_model.lifting.measurements import Measurement
from pcan_model.lifting.nearest_mode import nearest_mode

SURE = 4.0  # standard deviations of its noise that a speed exceeds before it is a heading
PATIENCE = 2  # frames in a row beyond the gate before the motion starts anew
FORGOTTEN = 5.0  # seconds after which a track that is not seen is forgotten
PLACE_NOISE = 0.15  # metres, of a measured centre across the line of sight
HIDDEN_NOISE = 0.25  # share of the hidden part of a size that is uncertain
CUT_NOISE = 0.1  # share of the length, additional if the border of the image cuts the mask
GROWTH = 0.5  # metres that a size may grow from frame to frame
SMOOTH = 0.3  # share of the newest height over the ground

Cut = tuple[bool, bool]  # left, right


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """What is known of one track in the fixed frame."""

    motion: GroundMotion
    height: float  # z of the centre, metres
    size: Floats  # (3,) length, width and height of its box, metres
    seen: Floats  # (3,) greatest length, width and height that were measured
    yaw: float
    directed: bool  # whether motion has told the heading
    stamp: float  # seconds, of the motion
    measured: float  # seconds, of the last measured points
    beyond: int = 0  # last frames in a row whose measurement was beyond the gate


@dataclass(frozen=True, slots=True, eq=False)
class LiftState:
    """The lifter's state between frames; a reset starts with an empty one."""

    bodies: Mapping[int, Body] = field(default_factory=dict)  # by track id
    stamp: float | None = None  # seconds, of the last frame


@dataclass(frozen=True, slots=True, eq=False)
class Lifted:
    """The result of one frame."""

    boxes: tuple[Box3D, ...]  # in the fixed frame, in the order of the tracks
    points: Mapping[int, Floats]  # (N, 3) of each measured track, fixed frame
    missing: Mapping[int, str]  # why a track has no box, by its id


class Lifter:
    """Lifts the tracks of one camera; holds no state."""

    def __init__(self, classes: tuple[str, ...], config: LiftingConfig | None = None) -> None:
        self._shapes = tuple(shape_of(name) for name in classes)
        self.config = config or LiftingConfig()

    def step(
        self, state: LiftState, tracks: Tracks, measured: Measurement, camera: Pose
    ) -> tuple[LiftState, Lifted]:
        """Lift the tracks of one frame; `state` is not changed.

        measured  depth image or lidar points at the time of the frame
        camera    pose of the optical frame in the fixed frame, whose z is up
        returns   the state for the next frame, and the boxes of this one

        Raises MeasurementError if the measurement is of another image size.
        """
        found = [instance for instance in tracks.found() if instance.mask.crop.size]
        clouds = measured.points(tracks, [instance.mask for instance in found], self.config)
        bodies, boxes, missing = dict(state.bodies), [], dict[int, str]()
        points = dict[int, Floats]()
        for instance, cloud in zip(found, clouds, strict=True):
            key, shape = instance.track_id, self._shape(instance.label)
            body = _predicted(bodies.get(key), shape, tracks.stamp)
            if len(cloud) >= self.config.least_points:
                noise = measured.noise(float(np.median(cloud[:, 2])), self.config)
                own = _own(cloud, noise, shape, self.config)
                points[key] = camera.apply(own)
                cut = _cut(instance, tracks)
                body = _measured(body, points[key], camera, noise, shape, cut, tracks.stamp)
            if body is None or tracks.stamp - body.measured > self.config.coast:
                missing[key] = f"{len(cloud)} points under the mask, expected {self.config.least_points}"
            else:
                bodies[key] = body
                boxes.append(_box(instance, body, len(points.get(key, ()))))
        kept = {key: body for key, body in bodies.items() if tracks.stamp - body.measured <= FORGOTTEN}
        return LiftState(kept, tracks.stamp), Lifted(tuple(boxes), points, missing)

    def _shape(self, label: int) -> ClassShape:
        return self._shapes[label] if label < len(self._shapes) else shape_of("")


def _predicted(body: Body | None, shape: ClassShape, stamp: float) -> Body | None:
    """Return a track's body at a time; None if it is new, or was seen later already."""
    if body is None or stamp < body.stamp:
        return None
    motion = kalman.predict(body.motion, stamp - body.stamp, shape.acceleration)
    return replace(body, motion=motion, stamp=stamp)


def _own(cloud: Floats, noise: float, shape: ClassShape, config: LiftingConfig) -> Floats:
    """Return the points of the object itself, (N, 3)."""
    kept = nearest_mode(cloud[:, 2], noise, share=config.mode_share, longest=shape.longest)
    own: Floats = cloud[kept]
    return own


def _measured(
    body: Body | None, points: Floats, sensor: Pose, noise: float, shape: ClassShape, cut: Cut, stamp: float
) -> Body:
    """Return a body updated with its points of this frame; `body` is None for a new track.

    cut  whether the left and the right border of the image cut it
    """
    yaw = body.yaw if body is not None and body.directed else None
    known = None if body is None else body.seen
    box = fit_box(points, sensor, noise, shape, yaw=yaw, known=known, cut=cut)
    spread = _covariance(box, sensor.translation, noise, any(cut))
    place, height, seen = box.centre[:2], float(box.centre[2]), box.seen
    beyond = 0 if body is None else _beyond(body, place, spread)
    if body is None or beyond > PATIENCE:
        motion, beyond = kalman.begin(place, spread, shape.speed), 0
    else:
        motion = kalman.correct(body.motion, place, spread)
        height = body.height + SMOOTH * (height - body.height)
        seen = np.maximum(body.seen, np.minimum(seen, body.seen + GROWTH))
    turned = motion.speed > max(shape.slow, SURE * motion.speed_noise)
    directed = turned or (body is not None and body.directed)
    heading = math.atan2(motion.mean[3], motion.mean[2]) if turned else box.yaw
    return Body(motion, height, box.size, seen, heading, directed, stamp, stamp, beyond)


def _beyond(body: Body, place: Floats, spread: Floats) -> int:
    """Return how many frames in a row were beyond the gate, with this one."""
    return body.beyond + 1 if kalman.distance(body.motion, place, spread) > kalman.GATE else 0


def _covariance(box: GroundBox, sensor: Floats, noise: float, cut: bool) -> Floats:
    """Return the covariance of a measured centre, (2, 2): more along the line of sight, and where hidden."""
    ray = box.centre[:2] - sensor[:2]
    ray = ray / max(float(np.linalg.norm(ray)), 1e-9)
    along = np.array([math.cos(box.yaw), math.sin(box.yaw)])
    across = np.array([-along[1], along[0]])
    hidden = HIDDEN_NOISE * np.maximum(box.size[:2] - box.seen[:2], 0.0)
    place = PLACE_NOISE + (CUT_NOISE * box.size[0] if cut else 0.0)
    covariance = place**2 * np.eye(2) + (noise / 2) ** 2 * np.outer(ray, ray)
    return covariance + hidden[0] ** 2 * np.outer(along, along) + hidden[1] ** 2 * np.outer(across, across)


def _cut(instance: TrackedInstance, tracks: Tracks) -> Cut:
    """Return whether the left and the right border of the image cut a mask."""
    mask = instance.mask
    return mask.x <= 1, mask.x + mask.crop.shape[1] >= tracks.width - 1


def _box(instance: TrackedInstance, body: Body, points: int) -> Box3D:
    return Box3D(
        track_id=instance.track_id,
        label=instance.label,
        score=instance.score,
        centre=np.array([*body.motion.mean[:2], body.height]),
        size=body.size,
        yaw=body.yaw,
        velocity=np.array([*body.motion.mean[2:], 0.0]),
        directed=body.directed,
        covariance=body.motion.covariance,
        points=points,
    )
