"""Parameters of `pcan_lifter`."""

from __future__ import annotations

from dataclasses import dataclass, field

from pcan_model.core.fields import setting
from pcan_model.lifting.config import LiftingConfig
from pcan_ros.node.parameters import ParameterError


@dataclass(frozen=True, slots=True)
class LifterSettings:
    """Topics, frames and synchronisation of the node."""

    tracks: str = setting("/pcan_tracker/tracks", "topic of the tracks (pcan_ros/TrackedInstanceArray)")
    depth: str = setting(
        "/camera/depth/image", "topic of a depth image registered to the images of the tracks"
    )
    points: str = setting(
        "", "topic of lidar points (sensor_msgs/PointCloud2), used instead of the depth image if set"
    )
    camera_info: str = setting("/camera/camera_info", "topic of the calibration of the images")
    rectified: bool = setting(
        False, "whether the images are rectified: their calibration is then P, not K and D"
    )
    fixed_frame: str = setting("odom", "frame with z up in which boxes are published; the car moves in it")
    slop: float = setting(
        0.05,
        "largest difference between the stamps of tracks and measurement",
        unit="seconds",
        low=0.0,
        high=10.0,
    )
    timeout: float = setting(
        0.5,
        "how long tracks wait for their measurement and for transforms",
        unit="seconds",
        low=0.01,
        high=60.0,
    )
    status_period: float = setting(1.0, "period of /diagnostics", unit="seconds", low=0.1, high=3600.0)
    lifting: LiftingConfig = field(default_factory=LiftingConfig)

    def __post_init__(self) -> None:
        for name in ("tracks", "camera_info", "fixed_frame", "points" if self.points else "depth"):
            if not getattr(self, name):
                raise ParameterError(f"{name}: expected a name, got an empty text")
