"""Drawing of tracks: a stable colour per track, translucent masks, outlines and labels."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.structures import FrameKind, TrackedInstance, Tracks
from pcan_model.visualization.outlines import outlines

RgbImage = NDArray[np.uint8]  # (H, W, 3) RGB
GOLDEN = 0.618033988749895  # hue step between ids, for distinct colours of neighbours
FILL = 0.45  # opacity of masks
NARROW = 0.5  # objects narrower than this share of their label are labelled with the id only
LIFTS = 4  # label positions tried above an object
FONT = cv2.FONT_HERSHEY_SIMPLEX


def colour(track_id: int) -> tuple[int, int, int]:
    """Return the RGB colour of a track, the same in every frame and run."""
    hue = (track_id * GOLDEN + 0.05) % 1.0
    value = (1.0, 0.85, 0.95)[track_id % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, (0.85, 0.7, 0.95)[track_id % 3], value)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw(image: RgbImage, tracks: Tracks, classes: tuple[str, ...], *, boxes: bool = False) -> RgbImage:
    """Draw all tracks found in an RGB image on a copy of it, near ones on top; a propagated frame says so."""
    canvas = np.array(image, np.uint8, order="C")
    found = sorted(tracks.found(), key=lambda instance: float(instance.box[3]))
    for instance in found:
        _fill(canvas, instance)
    for instance in found:
        _outline(canvas, instance, boxes or not instance.mask.crop.size)
    _labels(canvas, found[::-1], classes)
    if tracks.kind is FrameKind.PROPAGATED:
        _plate(canvas, FrameKind.PROPAGATED.value, text_scale(canvas), top=True)
    return canvas


def caption(instance: TrackedInstance, classes: tuple[str, ...]) -> str:
    """Return class, id and score of an object; ground truth has no score."""
    text = f"{classes[instance.label]} {instance.track_id}"
    return text if instance.score >= 1 else f"{text} {instance.score:.2f}".replace(" 0.", " .")


def text_scale(image: RgbImage) -> float:
    """Return a font scale that stays legible from thumbnails to 4K."""
    return float(np.clip(image.shape[0] / 1100, 0.34, 2.0))


def _fill(canvas: RgbImage, instance: TrackedInstance) -> None:
    mask = instance.mask
    h, w = mask.crop.shape
    region = canvas[mask.y : mask.y + h, mask.x : mask.x + w]
    on = mask.crop.astype(bool)
    tint = np.array(colour(instance.track_id), np.float32) * FILL
    region[on] = (region[on] * (1 - FILL) + tint).astype(np.uint8)


def _outline(canvas: RgbImage, instance: TrackedInstance, box: bool) -> None:
    thickness = max(1, round(canvas.shape[0] / 480))
    found = outlines(instance.mask)
    cv2.drawContours(canvas, found, -1, colour(instance.track_id), thickness, cv2.LINE_AA)
    if box:
        x1, y1, x2, y2 = (round(float(side)) for side in instance.box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour(instance.track_id), thickness, cv2.LINE_AA)


def _labels(canvas: RgbImage, nearest_first: Sequence[TrackedInstance], classes: tuple[str, ...]) -> None:
    """Draw labels with class, id and score; near objects are placed first."""
    scale = text_scale(canvas)
    taken: list[Plate] = []
    for instance in nearest_first:
        plate = _place(canvas, instance, caption(instance, classes), scale, taken)
        if float(instance.box[2] - instance.box[0]) < NARROW * plate.width:
            plate = _place(canvas, instance, str(instance.track_id), scale, taken)
        taken.append(plate)
    for instance, plate in zip(nearest_first, taken, strict=True):
        plate.draw(canvas, colour(instance.track_id), scale)


@dataclass(frozen=True, slots=True)
class Plate:
    """A label: a filled box with a line of text; pixels."""

    text: str
    left: int
    bottom: int
    width: int
    height: int
    pad: int
    base: int  # baseline of the text above the bottom edge

    def overlaps(self, other: Plate) -> bool:
        """Return whether two plates share pixels."""
        beside = self.left + self.width <= other.left or other.left + other.width <= self.left
        above = self.bottom <= other.bottom - other.height or other.bottom <= self.bottom - self.height
        return not (beside or above)

    def draw(self, canvas: RgbImage, colour: tuple[int, int, int], scale: float) -> None:
        """Draw box and text."""
        upper, lower = (self.left, self.bottom - self.height), (self.left + self.width, self.bottom)
        cv2.rectangle(canvas, upper, lower, colour, cv2.FILLED)
        write(canvas, self.text, (self.left + self.pad, self.bottom - self.base), scale, ink(colour))


def _place(
    canvas: RgbImage, instance: TrackedInstance, text: str, scale: float, taken: Sequence[Plate]
) -> Plate:
    """Place a label above the object, higher if another one is in the way."""
    (width, height), base = cv2.getTextSize(text, FONT, scale, 1)
    pad = max(2, height // 4)
    width, height = width + 2 * pad, height + base + pad
    left = int(np.clip(instance.box[0], 0, max(0, canvas.shape[1] - width)))
    bottoms = (float(instance.box[1]) - step * height for step in range(LIFTS))
    choices = [
        Plate(text, left, int(np.clip(bottom, height, canvas.shape[0])), width, height, pad, base)
        for bottom in bottoms
    ]
    free = (plate for plate in choices if not any(plate.overlaps(other) for other in taken))
    return next(free, choices[0])


def ink(plate: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, whichever contrasts more with an RGB colour."""
    luma = 0.299 * plate[0] + 0.587 * plate[1] + 0.114 * plate[2]
    return (0, 0, 0) if luma > 130 else (255, 255, 255)


def write(
    canvas: RgbImage, text: str, origin: tuple[int, int], scale: float, ink: tuple[int, int, int]
) -> None:
    """Draw a line of text; origin is its bottom left corner."""
    cv2.putText(canvas, text, origin, FONT, scale, ink, max(1, round(scale * 1.6)), cv2.LINE_AA)


def contact_sheet(tiles: Sequence[RgbImage], *, columns: int = 3) -> RgbImage:
    """Arrange tiles of equal width in a grid; at least one."""
    height, width = max(t.shape[0] for t in tiles), tiles[0].shape[1]
    rows = -(-len(tiles) // columns)
    gap = max(4, width // 100)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 24, np.uint8)
    for index, each in enumerate(tiles):
        y, x = gap + index // columns * (height + gap), gap + index % columns * (width + gap)
        sheet[y : y + each.shape[0], x : x + width] = each
    return sheet


def tile(number: int, image: RgbImage, width: int = 640) -> RgbImage:
    """Resize an RGB image to a numbered tile of a contact sheet; `width` in pixels."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    shrinks = width < image.shape[1]
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    small = np.asarray(cv2.resize(image, (width, height), interpolation=kernel), np.uint8)
    _plate(small, f"frame {number}", 0.5)
    return small


def _plate(canvas: RgbImage, text: str, scale: float, *, top: bool = False) -> None:
    """Write a line of text on a dark plate in the lower left corner, or in the upper left one."""
    (wide, high), base = cv2.getTextSize(text, FONT, scale, 1)
    bottom = high + base + 8 if top else canvas.shape[0]
    cv2.rectangle(canvas, (0, bottom - high - base - 8), (wide + 12, bottom), (24, 24, 24), cv2.FILLED)
    write(canvas, text, (6, bottom - base - 3), scale, (255, 255, 255))
