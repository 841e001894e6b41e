"""Copy-paste augmentation: cut-outs of objects from other clips, pasted onto both frames of a pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.augment import AugmentConfig, fit_scale, ignore_remains, object_boxes
from pcan_model.data.clips import Clip, FlatFrame
from pcan_model.data.colour import ColourChange, apply_colour_change
from pcan_model.data.formats.labels import no_boxes

PASTED_ID = 1_000_000  # ids of pasted objects start here
RIDER, RIDDEN = "rider", ("motorcycle", "bicycle")  # cut out together
PATCH_MAX = 320  # longest side of a stored cut-out, pixels


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """An object, or a rider with the vehicle, cut from an image."""

    image: NDArray[np.uint8]  # (h, w, 3) RGB, with a margin of one pixel
    index: NDArray[np.int16]  # (h, w) 0, or k + 1 at pixels of object k
    labels: NDArray[np.int64]  # (K,) index into the classes, the main object first
    scale: float  # factor to the size in an input that shows the whole source image


@dataclass(frozen=True, slots=True)
class Placement:
    """Position and appearance of a cut-out in a frame."""

    foot_x: float  # pixels of the input, centre of the bottom edge
    foot_y: float
    height: float  # pixels
    flip: bool
    colour_change: ColourChange


class CutOutBank:
    """At most `per_class` cut-outs of each class, collected once from randomly sampled frames.

    probabilities  of sampling each clip
    names          class names, in the order of labels
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        probabilities: NDArray[np.float64],
        *,
        height: int,
        width: int,
        height_min: int,
        names: Sequence[str],
        rng: np.random.Generator,
        frames: int = 1200,
        per_class: int = 250,
    ) -> None:
        self._names, size = names, (height, width)
        self._by_class: dict[int, list[CutOut]] = {}
        chosen = rng.choice(len(clips), frames, p=probabilities).tolist()
        drawn = {(c, int(rng.integers(len(clips[c])))) for c in chosen}
        for clip, number in sorted(drawn):
            frame = clips[clip].flat(number)
            for cut in cut_objects(frame, size, height_min=height_min, names=names):
                self._keep(cut, per_class, rng)

    def _keep(self, cut: CutOut, per_class: int, rng: np.random.Generator) -> None:
        kept = self._by_class.setdefault(int(cut.labels[0]), [])
        if len(kept) < per_class:
            kept.append(cut)
        else:
            kept[rng.integers(per_class)] = cut

    def __len__(self) -> int:
        return sum(map(len, self._by_class.values()))

    def draw(self, shares: Mapping[str, float], rng: np.random.Generator) -> CutOut:
        """Sample a class by relative frequency (default 1), then one of its cut-outs."""
        known = sorted(self._by_class)
        probabilities = np.array([shares.get(self._names[label], 1.0) for label in known], np.float64)
        probabilities += 1e-9  # avoids zero probabilities only
        kept = self._by_class[known[rng.choice(len(known), p=probabilities / probabilities.sum())]]
        return kept[rng.integers(len(kept))]


def cut_objects(
    frame: FlatFrame, size: tuple[int, int], *, height_min: int, names: Sequence[str]
) -> list[CutOut]:
    """Cut out all objects with a mask, of sufficient height and not touching the image border.

    size   (height, width) of the input
    names  class names
    """
    h, w = frame.index.shape
    boxes = object_boxes(frame.index, len(frame.ids)).astype(int)
    cuts = []
    for group in _group_riders(np.array(names)[frame.labels], boxes):
        x1, y1 = boxes[group, :2].min(0) - 1
        x2, y2 = boxes[group, 2:].max(0) + 1
        at_edge = x1 < 0 or y1 < 0 or x2 > w or y2 > h
        if at_edge or y2 - y1 - 2 < height_min or frame.boxed[group].any():
            continue
        part = FlatFrame(frame.image[y1:y2, x1:x2], frame.index[y1:y2, x1:x2], frame.labels, frame.ids)
        cuts.append(_make_cut_out(part, group, fit_scale((h, w), *size)))
    return cuts


def _group_riders(kinds: NDArray[np.str_], boxes: NDArray[np.int_]) -> list[list[int]]:
    """Return groups of objects: riders with the bicycle or motorcycle below them, all others alone."""
    groups: list[list[int]] = []
    ridden: set[int] = set()
    for k in np.flatnonzero(kinds == RIDER):
        near = [j for j in np.flatnonzero(np.isin(kinds, RIDDEN)) if _sits_on(boxes[k], boxes[j])]
        groups.append([int(k), *map(int, near[:1])])
        ridden.update(map(int, near[:1]))
    alone = [k for k in range(len(kinds)) if kinds[k] != RIDER and k not in ridden]
    return groups + [[k] for k in alone]


def _sits_on(rider: NDArray[np.int_], ride: NDArray[np.int_]) -> bool:
    middle = (rider[0] + rider[2]) / 2
    return bool(
        ride[0] <= middle <= ride[2] and rider[1] < ride[1] <= rider[3] + 4 and rider[3] <= ride[3] + 4
    )


def _make_cut_out(part: FlatFrame, group: list[int], scale: float) -> CutOut:
    index: NDArray[np.int16] = np.zeros(part.index.shape, np.int16)
    for number, k in enumerate(group, start=1):
        index[part.index == k + 1] = number
    image, shrink = part.image.copy(), min(1.0, PATCH_MAX / max(index.shape))
    if shrink < 1:
        h, w = part.index.shape
        size = (max(1, round(w * shrink)), max(1, round(h * shrink)))
        image = cast(NDArray[np.uint8], cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        index = cast(NDArray[np.int16], cv2.resize(index, size, interpolation=cv2.INTER_NEAREST))
    return CutOut(image, index, part.labels[group], scale / shrink)


def draw_placement(
    cut: CutOut, height: int, width: int, config: AugmentConfig, rng: np.random.Generator
) -> Placement:
    """Sample the placement in the key frame: anywhere, with the foot in the lower two thirds."""
    low, high = math.log(config.paste_scale_min), math.log(config.paste_scale_max)
    size = cut.index.shape[0] * cut.scale * math.exp(rng.uniform(low, high))
    brightness, contrast, saturation = rng.normal(0, (0.1, 0.2, 0.2)).tolist()
    hue = rng.uniform(-0.5, 0.5) if rng.random() < config.paste_hue else 0.0
    return Placement(
        foot_x=rng.uniform(0, width),
        foot_y=rng.uniform(0.35, 1.05) * height,
        height=float(np.clip(size, 10, 0.7 * height)),
        flip=bool(rng.random() < 0.5),
        colour_change=ColourChange(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue),
    )


def move_placement(placement: Placement, rng: np.random.Generator) -> Placement:
    """Perturb a placement for the reference frame, by up to a third of its height."""
    x, y, grow = rng.normal(0, (0.15, 0.05, 0.05)).clip(-0.3, 0.3)
    return replace(
        placement,
        foot_x=placement.foot_x + x * placement.height,
        foot_y=placement.foot_y + y * placement.height,
        height=placement.height * (1 + grow),
    )


def paste(
    frame: FlatFrame, cuts: Sequence[CutOut], placements: Sequence[Placement], *,
    config: AugmentConfig, rng: np.random.Generator,
) -> FlatFrame:  # fmt: skip
    """Paste cut-outs onto a frame in order; objects occluded too much become ignore."""
    image, index = frame.image.copy(), frame.index.copy()
    labels = np.concatenate([frame.labels, *(cut.labels for cut in cuts)])
    ids = np.concatenate([frame.ids, PASTED_ID + np.arange(len(labels) - len(frame.ids))])
    whole = np.zeros(len(labels))
    whole[: len(frame.ids)] = frame.areas()
    first = len(frame.ids)
    for cut, placement in zip(cuts, placements, strict=True):
        whole[first : first + len(cut.labels)] = _paste_one(image, index, cut, placement, first, rng)
        first += len(cut.labels)
    ignore_remains(index, whole, config.paste_visible_min, area_min=config.area_min)
    boxes = np.concatenate([frame.boxes, no_boxes(len(labels) - len(frame.ids))])
    return FlatFrame(image, index, labels, ids, boxes)


def _paste_one(
    image: NDArray[np.uint8], index: NDArray[np.int16], cut: CutOut, placement: Placement, first: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:  # fmt: skip
    """Paste one cut-out onto an image, in place; returns its objects' areas without occlusion."""
    patch, numbers = _resize(cut, placement, rng)
    h, w = numbers.shape
    x, y = round(placement.foot_x - w / 2), round(placement.foot_y - h)
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + w, index.shape[1]), min(y + h, index.shape[0])
    areas = np.bincount(numbers.ravel(), minlength=len(cut.labels) + 1)[1:]
    if x1 >= x2 or y1 >= y2:
        return areas
    inside = (slice(y1 - y, y2 - y), slice(x1 - x, x2 - x))
    target = (slice(y1, y2), slice(x1, x2))
    solid = (numbers > 0).astype(np.float32)
    alpha = cv2.GaussianBlur(solid, (3, 3), 0)[inside][..., None]
    image[target] = (image[target] * (1 - alpha) + patch[inside] * alpha + 0.5).astype(np.uint8)
    visible = numbers[inside]
    index[target] = np.where(visible > 0, visible + first, index[target])
    return areas


def _resize(
    cut: CutOut, placement: Placement, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    factor = placement.height / cut.index.shape[0]
    size = (max(2, round(cut.index.shape[1] * factor)), max(2, round(placement.height)))
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    image = cast(NDArray[np.uint8], cv2.resize(cut.image, size, interpolation=kind))
    index = cast(NDArray[np.int16], cv2.resize(cut.index, size, interpolation=cv2.INTER_NEAREST))
    if placement.flip:
        image, index = image[:, ::-1], index[:, ::-1]
    return apply_colour_change(np.ascontiguousarray(image), placement.colour_change, rng), index
