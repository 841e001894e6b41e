"""Augmented training clips of a key, its reference and older frames."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import CLASSES
from pcan_model.data.augment import (
    AugmentConfig,
    draw_view,
    drift_view,
    ignore_remains,
    object_boxes,
    warp,
)
from pcan_model.data.clips import IGNORE, Clip, FlatFrame
from pcan_model.data.colour import ColourChange, apply_colour_change, draw_colour_change, mix_colour_changes
from pcan_model.data.copy_paste import CutOutBank, draw_placement, move_placement, paste

__all__ = ["AugmentConfig", "PairDataset", "Sample"]

CACHED_BYTES = 1 << 30  # of decoded frames per process


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An augmented image with N target objects; N may be 0."""

    image: NDArray[np.uint8]  # (H, W, 3) RGB
    boxes: NDArray[np.float32]  # (N, 4) x1 y1 x2 y2, pixel edges, tight around the mask if there is one
    labels: NDArray[np.int64]  # (N,) index into the classes
    ids: NDArray[np.int64]  # (N,) identity, the same in all samples of a clip
    masks: NDArray[np.bool_]  # (N, H, W) visible pixels, never overlapping; empty for objects with a box only
    ignore: NDArray[np.bool_]  # (H, W) neither object nor background

    def __post_init__(self) -> None:
        lengths = {len(self.boxes), len(self.labels), len(self.ids), len(self.masks)}
        if len(lengths) > 1:
            raise ValueError(f"Sample: fields disagree on N: {sorted(lengths)}")


class PairDataset:
    """A map-style dataset of `length` clips, each determined by (seed, index).

    The reference lies before or after the key; in clips of more than two frames all lie before it, in even
    steps.


    clips            clips to sample from, read lazily; decoded frames are cached
    weights          relative frequency of each clip; None: its number of frames
    height, width    of the input, pixels
    reference_range  maximum distance between key and reference, and between older frames, frames
    frames           T, frames of a clip
    names            class names, in the order of labels
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        height: int,
        width: int,
        seed: int,
        reference_range: int = 3,
        frames: int = 2,
        augment: AugmentConfig | None = None,
        length: int = 10_000,
        weights: Sequence[float] | None = None,
        names: Sequence[str] = CLASSES,
    ) -> None:
        self._clips = list(clips)
        self._size = (height, width)
        self._seed = seed
        self._range, self._frames = reference_range, frames
        self._config = augment or AugmentConfig()
        self._length = length
        self._probabilities = _probabilities(self._clips, weights)
        self._cache: OrderedDict[tuple[int, int], FlatFrame] = OrderedDict()
        self._cached = 0  # bytes
        self._bank = self._make_bank(names)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> tuple[Sample, ...]:
        """Return clip `index`: the key, the reference and older samples."""
        if not 0 <= index < self._length:
            raise IndexError(f"PairDataset: expected an index below {self._length}, got {index}")
        rng = np.random.default_rng((self._seed, index))
        frames = self._paste(self._warp(self._draw_frames(rng), rng), rng)
        key = draw_colour_change(self._config, rng)
        others = [draw_colour_change(self._config, rng) for _ in frames[1:]]
        mixed = [mix_colour_changes(key, other, self._config.colour_shared) for other in others]
        return tuple(_sample(*pair, rng) for pair in zip(frames, (key, *mixed), strict=True))

    def _make_bank(self, names: Sequence[str]) -> CutOutBank | None:
        if not self._config.paste or not self._config.paste_max:
            return None
        height, width = self._size
        bank = CutOutBank(
            self._clips,
            self._probabilities,
            height=height,
            width=width,
            height_min=self._config.paste_height_min,
            names=names,
            rng=np.random.default_rng((self._seed, 2**31)),
        )
        return bank if len(bank) else None

    def _draw_frames(self, rng: np.random.Generator) -> list[FlatFrame]:
        clip = int(rng.choice(len(self._clips), p=self._probabilities))
        draw = draw_pair if self._frames == 2 else partial(draw_past, frames=self._frames)
        numbers = draw(len(self._clips[clip]) - 1, self._range, rng)
        return [self._frame(clip, number) for number in numbers]

    def _frame(self, clip: int, number: int) -> FlatFrame:
        if (clip, number) not in self._cache:
            new = self._cache[clip, number] = self._clips[clip].flat(number)
            self._cached += _bytes(new)
            while self._cached > CACHED_BYTES and len(self._cache) > 2:
                self._cached -= _bytes(self._cache.popitem(last=False)[1])
        self._cache.move_to_end((clip, number))
        return self._cache[clip, number]

    def _warp(self, frames: list[FlatFrame], rng: np.random.Generator) -> list[FlatFrame]:
        views = [draw_view(frames[0], *self._size, self._config, rng)]
        for _ in frames[1:]:
            views.append(drift_view(views[-1], *self._size, self._config, rng))
        part = self._config.crop_visible_min
        return [warp(f, v, *self._size, visible_min=part) for f, v in zip(frames, views, strict=True)]

    def _paste(self, frames: list[FlatFrame], rng: np.random.Generator) -> list[FlatFrame]:
        config, count = self._config, int(rng.integers(1, self._config.paste_max + 1))
        if self._bank is None or rng.random() >= config.paste:
            for frame in frames:
                ignore_remains(frame.index, np.zeros(len(frame.ids)), 0, area_min=config.area_min)
            return frames
        cuts = [self._bank.draw(config.paste_classes, rng) for _ in range(count)]
        placements = [[draw_placement(cut, *self._size, config, rng) for cut in cuts]]
        for _ in frames[1:]:
            placements.append([move_placement(placement, rng) for placement in placements[-1]])
        return [paste(f, cuts, p, config=config, rng=rng) for f, p in zip(frames, placements, strict=True)]


def draw_pair(last: int, reach: int, rng: np.random.Generator) -> list[int]:
    """Draw a key of frames 0 to `last`, and a reference at most `reach` frames before or behind it."""
    key = int(rng.integers(last + 1))
    near = range(max(0, key - reach), min(last, key + reach) + 1)
    others = [i for i in near if i != key] or [key]
    return [key, others[rng.integers(len(others))]]


def draw_past(last: int, reach: int, rng: np.random.Generator, *, frames: int) -> list[int]:
    """Draw a key and the frames before it, at most `reach` apart; a short clip's first one is repeated."""
    step = int(rng.integers(1, max(1, min(reach, last // (frames - 1))) + 1))
    key = int(rng.integers(min(last, step * (frames - 1)), last + 1))
    return [max(0, key - step * age) for age in range(frames)]


def _bytes(frame: FlatFrame) -> int:
    return frame.image.nbytes + frame.index.nbytes


def _probabilities(clips: Sequence[Clip], weights: Sequence[float] | None) -> NDArray[np.float64]:
    if not clips or not all(map(len, clips)):
        raise ValueError(f"PairDataset: clips: expected clips with frames, got {[len(c) for c in clips]}")
    probabilities = np.array([len(c) for c in clips] if weights is None else weights, np.float64)
    if probabilities.shape != (len(clips),) or (probabilities < 0).any() or not probabilities.sum() > 0:
        raise ValueError(f"PairDataset: weights: expected {len(clips)} weights, got {weights}")
    return np.asarray(probabilities / probabilities.sum())


def _sample(frame: FlatFrame, colour_change: ColourChange, rng: np.random.Generator) -> Sample:
    seen = np.flatnonzero(frame.areas())
    masks = frame.index[None] == (seen + 1)[:, None, None].astype(np.int16)
    masks[frame.boxed[seen]] = False
    known = (frame.boxes[:, 2:] - frame.boxes[:, :2]).min(1) >= 1  # else no box, or a sliver at the border
    boxes = np.where(known[:, None], frame.boxes, object_boxes(frame.index, len(frame.ids)))
    return Sample(
        image=apply_colour_change(frame.image, colour_change, rng),
        boxes=boxes[seen],
        labels=frame.labels[seen],
        ids=frame.ids[seen],
        masks=masks,
        ignore=frame.index == IGNORE,
    )
