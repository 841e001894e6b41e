"""Geometric augmentation: scale, crop, flip and rotate a flat frame, with the remaining objects."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.clips import BACKGROUND, IGNORE, FlatFrame, pixel_counts
from pcan_model.data.formats.labels import runs

PASTED = {
    "pedestrian": 3,
    "rider": 1.5,
    "car": 2,
    "bus": 0.7,
    "train": 0.3,
}  # relative frequency; 1 for other classes
FILL = (114.0, 114.0, 114.0)  # outside the image; counts as background


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Strength of the augmentation of training pairs."""

    scale_min: float = 0.6  # 1 = as large as the input; log-uniform
    scale_max: float = 2.0
    flip: float = 0.5  # probability
    rotate: float = 3.0  # degrees to either side
    shear: float = 0.04  # tangent, to either side
    stretch: float = 0.1  # width against height, relative, to either side
    aim: float = 0.7  # probability that a crop is placed to contain a random object
    drift: float = 0.03  # extra motion between key and reference, relative to the input size
    drift_scale: float = 0.05  # extra change of scale between them, relative
    colour: float = 1.0  # strength of all colour changes; 0 = none
    colour_shared: float = 0.75  # share of the colour change common to key and reference
    grey: float = 0.04  # probability of a grey image
    night: float = 0.1  # probability of darkening
    noise: float = 0.35  # probability of sensor noise
    blur: float = 0.2  # probability
    jpeg: float = 0.25  # probability of JPEG artefacts
    paste_max: int = 6  # cut-outs pasted, 1 .. paste_max
    paste: float = 0.75  # probability of pasting
    paste_height_min: int = 20  # minimum height of a cut-out, pixels of the source
    paste_scale_min: float = 0.5  # of a cut-out, relative to its size in its own image; log-uniform
    paste_scale_max: float = 2.5
    paste_classes: Mapping[str, float] = field(default_factory=lambda: PASTED)  # relative frequencies
    paste_hue: float = 0.5  # probability of a random hue of a cut-out
    crop_visible_min: float = 0.2  # objects cropped below this share of their area become ignore
    paste_visible_min: float = 0.25  # objects occluded below this share become ignore
    area_min: int = 16  # objects with fewer visible pixels become ignore

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max:
            raise ValueError(
                f"AugmentConfig: scale: expected 0 < min <= max, got {self.scale_min}, {self.scale_max}"
            )


PLAIN = AugmentConfig(
    scale_min=1, scale_max=1, flip=0, rotate=0, shear=0, stretch=0, drift=0, drift_scale=0,
    colour=0, grey=0, night=0, noise=0, blur=0, jpeg=0, paste=0,
)  # only scaled to the input  # fmt: skip
FLIP = replace(PLAIN, flip=0.5)  # and flipped, key and reference alike


@dataclass(frozen=True, slots=True)
class View:
    """The part of an image shown in the input; coordinates start at the left and top edges, as for boxes."""

    scale: float  # input pixels per image pixel
    stretch: float  # horizontal scale over vertical scale
    angle: float  # radians
    shear: float  # tangent
    flip: bool
    aim_x: float  # image point shown at (at_x, at_y), pixels of the image
    aim_y: float
    at_x: float  # pixels of the input
    at_y: float

    def matrix(self) -> NDArray[np.float64]:
        """Return the affine map (2, 3) from image to input coordinates."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        root = math.sqrt(self.stretch)
        grow = np.diag([self.scale * root * (-1 if self.flip else 1), self.scale / root])
        turn = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, self.shear], [0, 1]])
        linear = turn @ grow
        offset = np.array([self.at_x, self.at_y]) - linear @ [self.aim_x, self.aim_y]
        return np.hstack([linear, offset[:, None]])


def fit_scale(source: tuple[int, ...], height: int, width: int) -> float:
    """Return the scale at which an image of (H, W) has the area of the input."""
    return math.sqrt(height / source[0] * width / source[1])


def draw_view(
    frame: FlatFrame, height: int, width: int, config: AugmentConfig, rng: np.random.Generator
) -> View:
    """Sample the view of the key frame."""
    source = frame.index.shape
    low, high = math.log(config.scale_min), math.log(config.scale_max)
    scale = fit_scale(source, height, width) * math.exp(rng.uniform(low, high))
    flip = bool(rng.random() < config.flip)
    aim_x, at_x = _draw_position(source[1], width, scale, rng)
    aim_y, at_y = _draw_position(source[0], height, scale, rng)
    if len(frame.ids) and rng.random() < config.aim:
        aim_x, aim_y, at_x, at_y = _aim(frame, height, width, -scale if flip else scale, rng)
    return View(
        scale=scale,
        stretch=1 + rng.uniform(-1, 1) * config.stretch,
        angle=math.radians(rng.uniform(-1, 1) * config.rotate),
        shear=rng.uniform(-1, 1) * config.shear,
        flip=flip,
        aim_x=aim_x, aim_y=aim_y, at_x=at_x, at_y=at_y,
    )  # fmt: skip


def drift_view(view: View, height: int, width: int, config: AugmentConfig, rng: np.random.Generator) -> View:
    """Perturb the view of the key frame slightly, for the reference frame."""
    return replace(
        view,
        scale=view.scale * (1 + rng.uniform(-1, 1) * config.drift_scale),
        angle=view.angle + math.radians(rng.uniform(-1, 1) * config.rotate / 3),
        at_x=view.at_x + rng.uniform(-1, 1) * config.drift * width,
        at_y=view.at_y + rng.uniform(-1, 1) * config.drift * height,
    )


def _draw_position(source: int, target: int, scale: float, rng: np.random.Generator) -> tuple[float, float]:
    """Sample the position along one axis: the image inside the input, or the input inside the image."""
    slack = target - source * scale
    return source / 2, target / 2 + rng.uniform(-0.5, 0.5) * slack


def _aim(
    frame: FlatFrame, height: int, width: int, scale: float, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Place a random object somewhere in the input, without unnecessary margins.

    scale    input pixels per image pixel, negative if the image is flipped in x
    returns  aim_x, aim_y, at_x, at_y of the View
    """
    box = object_boxes(frame.index, len(frame.ids))[rng.integers(len(frame.ids))]
    aims, ats = [], []
    for low, high, source, target, step in (
        (box[0], box[2], frame.index.shape[1], width, scale),
        (box[1], box[3], frame.index.shape[0], height, abs(scale)),
    ):
        aim, at = float(low + high) / 2, rng.uniform(0.15, 0.85) * target
        before, after = (aim, source - aim) if step > 0 else (source - aim, aim)
        first, last = before * abs(step), target - after * abs(step)  # no margin before, after
        ats.append(float(np.clip(at, min(first, last), max(first, last))))
        aims.append(aim)
    return aims[0], aims[1], ats[0], ats[1]


def warp(frame: FlatFrame, view: View, height: int, width: int, *, visible_min: float) -> FlatFrame:
    """Warp a frame to a view; objects cropped below `visible_min` of their area become ignore."""
    matrix = view.matrix()
    image, shrunk = _shrink(frame.image, view.scale)
    image_matrix = matrix.copy()
    image_matrix[:, :2] /= shrunk
    size, flags = (width, height), (cv2.INTER_LINEAR, cv2.INTER_NEAREST)
    warped = cv2.warpAffine(image, _centred(image_matrix), size, flags=flags[0], borderValue=FILL)
    index = cv2.warpAffine(frame.index, _centred(matrix), size, flags=flags[1], borderValue=BACKGROUND)
    index = cast(NDArray[np.int16], index)
    whole = frame.areas() * abs(np.linalg.det(matrix[:, :2]))
    ignore_remains(index, whole, visible_min, area_min=0)
    boxes = warp_boxes(frame.boxes, matrix, height, width)
    return FlatFrame(cast(NDArray[np.uint8], warped), index, frame.labels, frame.ids, boxes)


def _centred(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same map for OpenCV, whose origin is the centre of the first pixel."""
    half = np.array([0.5, 0.5])
    return np.hstack([matrix[:, :2], (matrix @ [*half, 1] - half)[:, None]])


def warp_boxes(
    boxes: NDArray[np.float32], matrix: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    """Return the bounding boxes of the warped corners of boxes (N, 4), pixel edges, clipped; NaN stays NaN.

    With rotation or shear they are slightly larger than the object, whose outline is unknown.
    """
    corners = boxes[:, [[0, 1], [2, 1], [0, 3], [2, 3]]]
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    around = np.hstack([moved.min(1), moved.max(1)])
    return around.clip(0, [width, height, width, height]).astype(np.float32)


def _shrink(image: NDArray[np.uint8], scale: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Downscale by area averaging first if the scale is small, to avoid aliasing.

    returns the image and the ratio of its size to the original size, (x, y)
    """
    if scale > 0.75:
        return image, np.ones(2)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    ratio = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
    return cast(NDArray[np.uint8], small), ratio


def ignore_remains(
    index: NDArray[np.int16], whole: NDArray[np.float64], part: float, *, area_min: int
) -> None:
    """Set the pixels of mostly hidden objects to ignore, in place.

    index    (H, W)  as in FlatFrame
    whole    (N,)    pixels of each object without occlusion
    part             minimum visible share
    area_min         minimum visible pixels
    """
    seen = pixel_counts(index, len(whole))
    hidden = (seen > 0) & ((seen < part * whole) | (seen < area_min))
    if hidden.any():
        table = np.concatenate([[IGNORE, BACKGROUND], np.arange(1, len(whole) + 1)]).astype(np.int16)
        table[2:][hidden] = IGNORE
        index[:] = table[index + 1]


def object_boxes(index: NDArray[np.int16], count: int) -> NDArray[np.float32]:
    """Return tight boxes of objects 0 .. count - 1.

    index   (H, W)      as in FlatFrame
    returns (count, 4)  x1 y1 x2 y2, pixel edges: x2 and y2 are exclusive; 0 if not visible
    """
    values, starts, lengths = runs(index)
    seen = values > 0
    k = values[seen].astype(np.int64) - 1
    y, x = np.divmod(starts[seen], index.shape[1])
    boxes = np.zeros((count, 4), np.float32)
    low = np.full((count, 2), np.iinfo(np.int64).max)
    high = np.zeros((count, 2), np.int64)
    for axis, first, last in ((0, x, x + lengths[seen]), (1, y, y + 1)):
        np.minimum.at(low[:, axis], k, first)
        np.maximum.at(high[:, axis], k, last)
    seen = high[:, 0] > 0
    boxes[seen, :2], boxes[seen, 2:] = low[seen], high[seen]
    return boxes
