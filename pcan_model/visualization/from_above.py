"""The bird's-eye view of a source: by the depth of a drive with geometry, else by a flat road."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pcan_model.core.space import Pose
from pcan_model.core.structures import Tracks
from pcan_model.data.scenes import Scenes, has_scenes
from pcan_model.lifting.ground_plane import FlatRoad
from pcan_model.lifting.measurements import DepthImage, Measurement
from pcan_model.lifting.views import ClipBoxes
from pcan_model.visualization.birds_eye import birds_eye
from pcan_model.visualization.overlay import RgbImage


def view_of(
    source: Path, classes: tuple[str, ...], road: FlatRoad
) -> Callable[[Tracks | None, int], RgbImage]:
    """Return what draws the view beside each image, of a height in pixels.

    source  a folder ROOT/images/NAME with ROOT/geometry/NAME.json has depth; anything else has not
    """
    scenes = Scenes(source.parent.parent, source.name) if _is_drive(source) else None

    def measured(index: int) -> tuple[Measurement, Pose]:
        assert scenes is not None
        scene = scenes.read(index)
        return DepthImage(scene.camera, scene.depth), scene.camera_in_map

    clip = ClipBoxes(classes, road, measured if scenes is not None else None)

    def view(tracks: Tracks | None, height: int) -> RgbImage:
        return birds_eye(*clip.boxes(tracks), height)

    return view


def basis_of(source: Path, road: FlatRoad) -> str:
    """Return what the view of a source rests on, as words."""
    return "by the depth of the drive" if _is_drive(source) else road.words


def _is_drive(source: Path) -> bool:
    return source.parent.name == "images" and has_scenes(source.parent.parent, source.name)
