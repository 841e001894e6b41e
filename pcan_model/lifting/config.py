"""Constants of the lifting, with unit, meaning and limits, and what is known of each class."""

from __future__ import annotations

from dataclasses import dataclass

from pcan_model.core.fields import setting, share


@dataclass(frozen=True, slots=True)
class LiftingConfig:
    """How masks become boxes."""

    near: float = setting(0.3, "least depth that counts", unit="metres", low=0.0, high=100.0)
    far: float = setting(80.0, "greatest depth that counts", unit="metres", low=1.0, high=1000.0)
    least_points: int = setting(
        5, "measured points on a track below which it is not lifted", low=1, high=10_000
    )
    most_points: int = setting(2000, "pixels of a mask that are used, evenly spaced", low=10, high=1_000_000)
    erosion: float = share(0.04, "border of a mask that is left out, as a share of the root of its area")
    mode_share: float = share(0.3, "share of the greatest mode from which on the nearest one is the object")
    depth_noise: float = setting(
        0.001,
        "noise of a depth image at 1 metre, growing with the square of the distance",
        unit="metres",
        low=0.0,
        high=1.0,
    )
    lidar_noise: float = setting(0.03, "noise of lidar points", unit="metres", low=0.0, high=10.0)
    coast: float = setting(
        1.0, "how long a track without measured points is predicted", unit="seconds", low=0.0, high=60.0
    )


@dataclass(frozen=True, slots=True)
class ClassShape:
    """Sizes and motion of the objects of one class; metres and seconds."""

    size: tuple[float, float, float]  # length, width, height of a typical one
    longest: float  # length of the longest
    acceleration: float = 2.0  # standard deviation of the acceleration
    speed: float = 8.0  # standard deviation of the velocity before it is measured
    slow: float = 1.5  # speed above which the direction of motion is the heading


UNKNOWN = ClassShape((1.5, 1.0, 1.5), 8.0)
SHAPES = {  # by class name
    "pedestrian": ClassShape((0.6, 0.6, 1.7), 1.2, acceleration=1.0, speed=1.5, slow=0.4),
    "person": ClassShape((0.6, 0.6, 1.7), 1.2, acceleration=1.0, speed=1.5, slow=0.4),
    "rider": ClassShape((0.9, 0.7, 1.3), 1.5, speed=4.0),
    "car": ClassShape((4.4, 2.0, 1.55), 5.6),
    "truck": ClassShape((7.0, 2.5, 3.0), 13.0),
    "bus": ClassShape((11.0, 2.7, 3.2), 19.0),
    "train": ClassShape((25.0, 2.7, 3.5), 60.0),
    "motorcycle": ClassShape((2.0, 0.8, 1.2), 2.6, speed=6.0),
    "bicycle": ClassShape((1.75, 0.6, 1.1), 2.2, speed=4.0),
}


def shape_of(name: str) -> ClassShape:
    """Return what is known of a class; of other classes than those of street scenes, little."""
    return SHAPES.get(name, UNKNOWN)
