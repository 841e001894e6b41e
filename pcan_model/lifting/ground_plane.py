"""Boxes of tracks without depth: by where their lower edge meets a flat road, under stated assumptions.

For drawings only. A hidden foot, a slope or a pitching camera move a box by far more than depth would allow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcan_model.core.fields import setting
from pcan_model.core.space import OPTICAL, Box3D, Pinhole, Pose
from pcan_model.core.structures import TrackedInstance, Tracks
from pcan_model.lifting.config import shape_of

FARTHEST = 80.0  # metres


@dataclass(frozen=True, slots=True)
class FlatRoad:
    """A camera that looks along a flat road."""

    focal: float = setting(1.0, "focal length", unit="image widths", low=0.1, high=20.0)
    camera_height: float = setting(
        1.5, "height of the camera over the road", unit="metres", low=0.1, high=100.0
    )
    horizon: float = setting(0.5, "row of the horizon", unit="image heights", low=-1.0, high=2.0)

    @property
    def words(self) -> str:
        """Return the assumptions."""
        return (
            f"assuming a flat road, a camera {self.camera_height:g} m over it with a focal length of "
            f"{self.focal:g} image widths, the horizon at {self.horizon:g} of the image height"
        )

    def camera(self, height: int, width: int) -> Pinhole:
        """Return the camera for images of a size."""
        focal = self.focal * width
        return Pinhole(focal, focal, width / 2, self.horizon * height, height, width)

    @property
    def pose(self) -> Pose:
        """Return the pose of the optical frame over the road below it."""
        return Pose(OPTICAL, np.array([0.0, 0.0, self.camera_height]))

    def boxes(self, tracks: Tracks, classes: tuple[str, ...]) -> tuple[Box3D, ...]:
        """Return typical boxes of the tracks of one image, looking ahead; without those at the horizon."""
        camera = self.camera(tracks.height, tracks.width)
        placed = (self._box(instance, camera, classes) for instance in tracks.found())
        return tuple(box for box in placed if box is not None)

    def _box(self, instance: TrackedInstance, camera: Pinhole, classes: tuple[str, ...]) -> Box3D | None:
        x1, _, x2, foot = (float(side) for side in instance.box)
        if foot <= camera.cy:
            return None
        depth = camera.fy * self.camera_height / (foot - camera.cy)
        if depth > FARTHEST:
            return None
        size = np.array(shape_of(classes[instance.label]).size)
        centre = self.pose.apply(
            camera.points(np.array([(x1 + x2) / 2]), np.array([foot]), np.array([depth]))
        )[0] + np.array([size[0] / 2, 0.0, size[2] / 2])
        return Box3D(
            instance.track_id, instance.label, instance.score, centre, size, 0.0, np.zeros(3), directed=False
        )
