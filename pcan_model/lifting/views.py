"""Boxes of the frames of one clip for a bird's-eye view: by its depth if it has any, else by a flat road."""

from __future__ import annotations

from collections.abc import Callable

from pcan_model.core.space import Box3D, Pose
from pcan_model.core.structures import Tracks
from pcan_model.lifting.ground_plane import FlatRoad
from pcan_model.lifting.lifter import Lifter, LiftState
from pcan_model.lifting.measurements import Measurement

Placed = tuple[tuple[Box3D, ...], Pose]  # boxes, and the pose of the camera in their frame


class ClipBoxes:
    """Returns the boxes of the tracks of each frame, in order."""

    def __init__(
        self,
        classes: tuple[str, ...],
        road: FlatRoad,
        measured: Callable[[int], tuple[Measurement, Pose]] | None = None,
    ) -> None:
        """Start before the first frame.

        measured  returns what was measured in a frame, by its index, and the camera's pose; None: nothing
        """
        self._classes, self._road, self._measured = classes, road, measured
        self._lifter, self._state = Lifter(classes), LiftState()

    def boxes(self, tracks: Tracks | None) -> Placed:
        """Return the boxes of a frame; of one without tracks, none."""
        if tracks is None or self._measured is None:
            return (self._road.boxes(tracks, self._classes) if tracks else ()), self._road.pose
        measurement, pose = self._measured(tracks.frame_index)
        self._state, lifted = self._lifter.step(self._state, tracks, measurement, pose)
        return lifted.boxes, pose
