"""Tracks as visualization_msgs, which are part of every ROS 2 installation."""

from __future__ import annotations

from typing import Any

from pcan_model.core.structures import Tracks
from pcan_model.visualization.outlines import polygons
from pcan_model.visualization.overlay import colour

TOLERANCE = 1.0  # largest distance between outline and mask contour, pixels


def to_image_marker(tracks: Tracks, header: Any) -> Any:
    """Return the outlines of all tracks of one image as one visualization_msgs/ImageMarker.

    It is a LINE_LIST with two points and one colour per line; it replaces the previous image's marker.
    """
    from visualization_msgs.msg import ImageMarker

    marker = ImageMarker(header=header, ns="tracks", type=ImageMarker.LINE_LIST, action=ImageMarker.ADD)
    marker.scale = max(1.0, tracks.height / 480)
    for instance in tracks.found():
        one = _colour(colour(instance.track_id))
        for outline in polygons(instance, TOLERANCE):
            corners = [_point(x, y) for x, y in outline.tolist()]
            for here, there in zip(corners, corners[1:] + corners[:1], strict=True):
                marker.points += [here, there]
                marker.outline_colors.append(one)
    return marker


def _point(x: float, y: float) -> Any:
    from geometry_msgs.msg import Point

    return Point(x=float(x), y=float(y))


def _colour(rgb: tuple[int, int, int]) -> Any:
    from std_msgs.msg import ColorRGBA

    red, green, blue = rgb
    return ColorRGBA(r=red / 255, g=green / 255, b=blue / 255, a=1.0)
