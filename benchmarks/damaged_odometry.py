"""What can be wrong with odometry: functions of a drive's poses, their stamps and a random generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from pcan_model.core.space import Floats, Pose

Poses = list[Pose | None]  # of the camera at each image; None: no message
Damage = Callable[[Sequence[Pose], Sequence[float], np.random.Generator], Poses]


def exact(poses: Sequence[Pose], stamps: Sequence[float], rng: np.random.Generator) -> Poses:
    """Return the poses as they are."""
    return [*poses]


def missing(share: float) -> Damage:
    """Return what drops a share of the messages."""
    return lambda poses, stamps, rng: [None if rng.random() < share else pose for pose in poses]


def noisy(times: float) -> Damage:
    """Return the drift of wheels: 5 % of the way and 0.67 degrees in a second, times a factor."""

    def damage(poses: Sequence[Pose], stamps: Sequence[float], rng: np.random.Generator) -> Poses:
        turn, shift, last, drifted = np.eye(3), np.zeros(3), poses[0], Poses()
        root = times * float(np.sqrt(np.median(np.diff(stamps)) / 0.2))
        for pose in poses:
            way, last = float(np.linalg.norm(pose.translation - last.translation)), pose
            place = rng.normal(0, times * 0.05 * way + 0.01 * root, 2)
            step = Pose.planar(*place, rng.normal(0, np.deg2rad(0.3) * root))
            turn, shift = step.rotation @ turn, shift + step.translation
            drifted.append(Pose(turn @ pose.rotation, pose.translation + shift))
        return drifted

    return damage


def mounted(*, yaw: float = 0.0, roll: float = 0.0) -> Damage:
    """Return what turns the camera on the car by degrees that the transforms do not tell."""
    about = [np.deg2rad([0.0, yaw, 0.0]), np.deg2rad([0.0, 0.0, roll])]
    turn: Floats = cv2.Rodrigues(about[0])[0] @ cv2.Rodrigues(about[1])[0]
    return lambda poses, stamps, rng: [Pose(pose.rotation @ turn, pose.translation) for pose in poses]


def mirrored(poses: Sequence[Pose], stamps: Sequence[float], rng: np.random.Generator) -> Poses:
    """Give the yaw the wrong sign."""
    world, image = np.diag([1.0, -1.0, 1.0]), np.diag([-1.0, 1.0, 1.0])
    return [Pose(world @ pose.rotation @ image, pose.translation) for pose in poses]


def frozen(poses: Sequence[Pose], stamps: Sequence[float], rng: np.random.Generator) -> Poses:
    """Repeat the first pose."""
    return [poses[0] for _ in poses]


def shifted(delay: float) -> Damage:
    """Return what stamps poses too late, as a clock that is behind by `delay` seconds."""
    return lambda poses, stamps, rng: [_at(poses, stamps, stamp - delay) for stamp in stamps]


def late(delay: float, period: float = 0.05) -> Damage:
    """Return poses that come `delay` seconds after the image, so that two older ones are extrapolated."""

    def damage(poses: Sequence[Pose], stamps: Sequence[float], rng: np.random.Generator) -> Poses:
        known = [[_at(poses, stamps, stamp - delay - back) for back in (period, 0.0)] for stamp in stamps]
        return [older.towards(newer, 1 + delay / period) for older, newer in known]

    return damage


def _at(poses: Sequence[Pose], stamps: Sequence[float], stamp: float) -> Pose:
    """Return the pose at a time, between those of two images; before the first one, the first one."""
    after = int(np.clip(np.searchsorted(stamps, stamp), 1, len(stamps) - 1))
    share = (stamp - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
    return poses[after - 1].towards(poses[after], min(max(float(share), 0.0), 1.0))


DAMAGES: dict[str, Damage] = {  # by what is known of the motion of the camera
    "odometry": exact,
    "odometry, noise (5 % of the way, 0.67 degrees after a second)": noisy(1.0),
    "odometry, five times that noise": noisy(5.0),
    "odometry, 10 % of the messages missing": missing(0.1),
    "odometry, half of the messages missing": missing(0.5),
    "odometry, 0.1 s late, extrapolated": late(0.1),
    "odometry, stamps wrong by 0.1 s": shifted(0.1),
    "odometry, camera mounted with 5 degrees of yaw more": mounted(yaw=5.0),
    "odometry, with 90 degrees of yaw more": mounted(yaw=90.0),
    "odometry, with 90 degrees of roll more": mounted(roll=90.0),
    "odometry, yaw with the wrong sign": mirrored,
    "odometry, frozen": frozen,
}
