"""The figure of attention maps: frames from left to right, prototypes from top to bottom."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.visualization.attention_recorder import SIDE, AttentionView

RgbImage = NDArray[np.uint8]  # (H, W, 3) RGB
GOLDEN = 0.618033988749895  # hue step between prototypes
MARGIN, LABEL = 6, 108  # pixels between tiles, and for the row names
STRENGTH = 0.6  # opacity of the colours


def colours(count: int) -> NDArray[np.float32]:
    """Return well separated RGB colours, (count, 3) in 0..255."""
    turns = [colorsys.hsv_to_rgb((j * GOLDEN) % 1.0, 0.85, 1.0 - 0.25 * (j % 2)) for j in range(count)]
    return 255 * np.array(turns, np.float32).reshape(count, 3)


def most_active(views: Sequence[AttentionView], split: int, count: int) -> tuple[list[int], list[int]]:
    """Return the foreground and background prototypes with the largest total attention.

    split  number of foreground prototypes, which come first
    """
    total = np.zeros(len(views[0].maps))
    for view in views:
        inside = _small_mask(view)
        weight = np.where(np.arange(len(total)) < split, 1, 0)[:, None, None]
        total += (view.maps * (weight * inside + (1 - weight) * (1 - inside))).sum((1, 2))
    order = np.argsort(-total, kind="stable").tolist()
    return [j for j in order if j < split][:count], [j for j in order if j >= split][:count]


def _small_mask(view: AttentionView) -> NDArray[np.float32]:
    size = view.maps.shape[1:]
    mask = cv2.resize(view.mask, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return cast(NDArray[np.float32], mask)


def colour_map(view: AttentionView, chosen: Sequence[int]) -> RgbImage:
    """Colour each pixel of the crop by the prototypes that attend to it."""
    palette, maps = colours(len(chosen)), [_large(view.maps[j]) for j in chosen]
    weights = np.stack(maps, -1) if maps else np.zeros((SIDE, SIDE, 0), np.float32)
    share = STRENGTH * weights.sum(-1, keepdims=True)
    colour = weights @ palette / np.maximum(weights.sum(-1, keepdims=True), 1e-6)
    return (view.crop * (1 - share) + colour * share).astype(np.uint8)


def heat_map(view: AttentionView, prototype: int) -> RgbImage:
    """Draw the attention map of one prototype, scaled to its maximum."""
    weight = _large(view.maps[prototype])
    scaled = np.asarray(255 * weight / max(float(weight.max()), 1e-6), np.uint8)
    warm: Any = cv2.applyColorMap(scaled, cv2.COLORMAP_INFERNO)[..., ::-1]
    return (0.35 * view.crop + 0.65 * warm).astype(np.uint8)


def outlined(view: AttentionView) -> RgbImage:
    """Draw the outline of the mask on the crop."""
    canvas = view.crop.copy()
    inside = (cv2.resize(view.mask, (SIDE, SIDE)) > 0.5).astype(np.uint8)
    lines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, lines, -1, (255, 230, 0), 2)
    return canvas


def _large(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    large: Any = cv2.resize(weight, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32)


def draw(views: Sequence[AttentionView], split: int, count: int = 4) -> RgbImage:
    """Draw one track over time: the object, all prototypes by colour, and the most active ones in own rows.

    views  of one track, in order; at least one
    split  number of foreground prototypes
    count  foreground and background prototypes with their own row
    """
    total = len(views[0].maps)
    foreground, background = most_active(views, split, count)
    rows = [("object", [outlined(view) for view in views])]
    for name, side in (("foreground", range(split)), ("background", range(split, total))):
        rows.append((name, [colour_map(view, side) for view in views]))
    rows += [(f"+ {j}", [heat_map(view, j) for view in views]) for j in foreground]
    rows += [(f"- {j - split}", [heat_map(view, j) for view in views]) for j in background]
    return _tiles(rows, [f"frame {view.frame}" for view in views])


def _tiles(rows: list[tuple[str, list[RgbImage]]], heads: list[str]) -> RgbImage:
    step = SIDE + MARGIN
    canvas = np.full((24 + step * len(rows), LABEL + step * len(heads), 3), 255, np.uint8)
    for column, head in enumerate(heads):
        _write(canvas, head, (LABEL + column * step + 4, 16))
    for row, (name, images) in enumerate(rows):
        _write(canvas, name, (4, 24 + row * step + SIDE // 2))
        for column, image in enumerate(images):
            y, x = 24 + row * step, LABEL + column * step
            canvas[y : y + SIDE, x : x + SIDE] = image
    return canvas


def _write(canvas: RgbImage, text: str, place: tuple[int, int]) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
