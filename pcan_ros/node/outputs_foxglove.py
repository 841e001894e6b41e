"""Tracks as image annotations for Foxglove and Lichtblick."""

from __future__ import annotations

from typing import Any

from pcan_model.core.structures import TrackedInstance, Tracks
from pcan_model.visualization.outlines import Outline, polygons
from pcan_model.visualization.overlay import FILL, caption, colour, ink

TOLERANCE = 1.0  # largest distance between outline and mask contour, pixels
CENTRE = 0.5  # of a pixel: the upper left corner of the image is Foxglove's origin


def to_annotations(tracks: Tracks, header: Any, classes: tuple[str, ...]) -> Any:
    """Return the tracks of one image as a foxglove_msgs/ImageAnnotations: filled outlines and labels."""
    from foxglove_msgs.msg import ImageAnnotations

    message, found, stamp = ImageAnnotations(), tracks.found(), header.stamp
    if hasattr(message, "timestamp"):  # since 2026: the time of a message without annotations
        message.timestamp = stamp
    thickness, size = max(1.0, tracks.height / 480), max(10.0, tracks.height / 45)
    message.points = [
        _loop(outline, colour(instance.track_id), stamp, thickness)
        for instance in found
        for outline in polygons(instance, TOLERANCE)
    ]
    message.texts = [_text(instance, classes, stamp, size) for instance in found]
    return message


def _loop(outline: Outline, rgb: tuple[int, int, int], stamp: Any, thickness: float) -> Any:
    from foxglove_msgs.msg import Point2, PointsAnnotation

    return PointsAnnotation(
        timestamp=stamp,
        type=PointsAnnotation.LINE_LOOP,
        points=[Point2(x=x + CENTRE, y=y + CENTRE) for x, y in outline.tolist()],
        outline_color=_colour(rgb, 1.0),
        fill_color=_colour(rgb, FILL),
        thickness=thickness,
    )


def _text(instance: TrackedInstance, classes: tuple[str, ...], stamp: Any, size: float) -> Any:
    from foxglove_msgs.msg import Point2, TextAnnotation

    rgb = colour(instance.track_id)
    return TextAnnotation(
        timestamp=stamp,
        position=Point2(x=float(instance.box[0]), y=float(instance.box[1])),
        text=caption(instance, classes),
        font_size=size,
        text_color=_colour(ink(rgb), 1.0),
        background_color=_colour(rgb, 1.0),
    )


def _colour(rgb: tuple[int, int, int], opacity: float) -> Any:
    from foxglove_msgs.msg import Color

    red, green, blue = rgb
    return Color(r=red / 255, g=green / 255, b=blue / 255, a=opacity)
