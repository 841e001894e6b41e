"""SipMask's decoding, fast NMS and masks against plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.sipmask import random_boxes

torch = pytest.importorskip("torch")

from pcan_model.sipmask.boxes import cell_points, overlap  # noqa: E402
from pcan_model.sipmask.decode import best_cells, candidates, detect  # noqa: E402
from pcan_model.sipmask.head import HeadMaps  # noqa: E402
from pcan_model.sipmask.masks import crop_masks, enlarge, paste  # noqa: E402
from pcan_model.sipmask.parity.public import LIMITS  # noqa: E402
from pcan_model.sipmask.strides import STRIDES  # noqa: E402
from pcan_model.sipmask.suppression import DetectionLimits, fast_nms  # noqa: E402


def iou(a: np.ndarray, b: np.ndarray, extra: int = 0) -> np.float32:
    width = max(np.float32(0), min(a[2], b[2]) - max(a[0], b[0]) + extra)
    height = max(np.float32(0), min(a[3], b[3]) - max(a[1], b[1]) + extra)
    shared = width * height
    areas = [(x[2] - x[0] + extra) * (x[3] - x[1] + extra) for x in (a, b)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.float32(shared) / np.float32(areas[0] + areas[1] - shared)


def slow_nms(boxes: np.ndarray, scores: np.ndarray, config: DetectionLimits) -> list[tuple[int, int]]:
    found = []
    for label in range(scores.shape[1]):
        ranked = sorted(range(len(boxes)), key=lambda i: -scores[i, label])[: config.per_class]
        for rank, row in enumerate(ranked):
            free = all(iou(boxes[other], boxes[row]) <= config.iou for other in ranked[:rank])
            if free and scores[row, label] > config.score:
                found.append((row, label))
    return sorted(found, key=lambda pair: -scores[pair])[: config.count]


@pytest.mark.parametrize("seed", range(6))
def test_fast_nms_is_the_plain_loop(seed: int) -> None:
    boxes = random_boxes(80, seed, size=30)
    scores = np.random.default_rng(seed).uniform(0, 1, (80, 4)).astype(np.float32).round(2)  # with ties
    config = replace(LIMITS, per_class=50, score=0.2, count=60)
    rows, labels = fast_nms(torch.from_numpy(boxes), torch.from_numpy(scores), config)
    assert list(zip(rows.tolist(), labels.tolist(), strict=True)) == slow_nms(boxes, scores, config)


def test_a_suppressed_box_still_suppresses() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10]], dtype=torch.float32)
    assert overlap(boxes[0], boxes[2], extra=0) < 0.5 < overlap(boxes[1], boxes[2], extra=0)
    rows, _ = fast_nms(boxes, torch.tensor([[0.9], [0.8], [0.7]]), LIMITS)
    assert rows.tolist() == [0]


def test_nothing_above_the_threshold_is_nothing() -> None:
    rows, labels = fast_nms(torch.rand(5, 4), torch.full((5, 3), 0.03), replace(LIMITS, score=0.03))
    assert not len(rows) and not len(labels)


def test_points_are_the_middles_of_cells_by_row() -> None:
    assert cell_points(2, 3, 8).tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12]]


def test_levels_keep_their_best_cells_in_order_and_small_levels_all() -> None:
    scores = torch.tensor([[0.1, 0.2], [0.9, 0.0], [0.3, 0.4], [0.4, 0.1]])
    assert best_cells(scores, 3).tolist() == [1, 2, 3]  # equal scores: the lower row first
    assert best_cells(scores, 4).tolist() == [0, 1, 2, 3]


def maps_of(size: tuple[int, int], classes: int = 2, seed: int = 0) -> HeadMaps:
    """Return random maps of one image of (height, width)."""
    torch.manual_seed(seed)
    sizes = [(-(-size[0] // s), -(-size[1] // s)) for s in STRIDES]

    def levels(channels: int, scale: float) -> list[torch.Tensor]:
        return [scale * torch.randn(1, channels, *each) for each in sizes]

    basis, track = torch.randn(1, 4, size[0] // 2, size[1] // 2), torch.randn(1, 8, 8, 12)
    return HeadMaps(levels(classes, 2), levels(4, 30), levels(1, 2), levels(16, 1), basis, track)


def test_detections_are_where_their_cells_say() -> None:
    config = replace(LIMITS, per_level=20)
    maps = maps_of((64, 96))
    chosen = candidates(maps, 0, (60, 90), 0.5, config)
    found = detect(maps, 0, chosen, config)
    assert len(chosen.cells) == 20 + 20 + 6 + 2 + 1 and len(found.cells) > 3
    distances = torch.cat([x[0].flatten(1).T for x in maps.distances])
    points = torch.cat([cell_points(*x.shape[-2:], s) for x, s in zip(maps.logits, STRIDES, strict=True)])
    for cell, box, score, label, coefficients in zip(
        found.cells, found.boxes, found.scores, found.labels, found.coefficients, strict=True
    ):
        (x, y), (left, top, right, bottom) = points[cell].tolist(), distances[cell].tolist()
        sides = [
            (x - left, 89), (y - top, 59), (x + right, 89), (y + bottom, 59)
        ]  # fmt: skip
        expected = [min(max(side, 0), most) / 0.5 for side, most in sides]
        assert box.tolist() == pytest.approx(expected, abs=1e-4)
        logit = torch.cat([m[0].flatten(1).T for m in maps.logits])[cell, label]
        centre = torch.cat([m[0].flatten() for m in maps.centres])[cell]
        assert score == pytest.approx(float(logit.sigmoid() * centre.sigmoid()), rel=1e-5)
        assert torch.equal(coefficients, torch.cat([m[0].flatten(1).T for m in maps.coefficients])[cell])


def slow_masks(basis: np.ndarray, coefficients: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    count, (channels, height, width) = len(boxes), basis.shape
    masks = np.zeros((count, height, width), np.float32)
    for n, (x1, y1, x2, y2) in enumerate(boxes):
        half_width, half_height = (x2 - x1 + np.float32(0.1)) / 2, (y2 - y1 + np.float32(0.1)) / 2
        for i in range(height):
            for j in range(width):
                if x1 <= j < x2 and y1 <= i < y2:
                    quadrant = 2 * math.floor((i - y1) / half_height) + math.floor((j - x1) / half_width)
                    own = coefficients[n, channels * quadrant : channels * (quadrant + 1)]
                    masks[n, i, j] = 1 / (1 + np.exp(-(basis[:, i, j] * own).sum()))
    return masks


def test_masks_are_put_together_pixel_by_pixel_as_a_plain_loop_does() -> None:
    random = np.random.default_rng(0)
    basis = random.standard_normal((5, 20, 24)).astype(np.float32)
    boxes = random_boxes(26, 1, size=22)
    boxes[:3] = [[0, 0, 24, 20], [2.5, 3, 2.9, 9], [-4, -3, 30, 7.5]]
    coefficients = random.standard_normal((26, 20)).astype(np.float32)
    ours = crop_masks(*(torch.from_numpy(x) for x in (basis, coefficients, boxes)))
    np.testing.assert_allclose(ours.numpy(), slow_masks(basis, coefficients, boxes), atol=1e-6)


def test_masks_fill_or_leave_the_camera_image() -> None:
    masks = paste(torch.full((2, 5, 6), 0.8), (7, 4))
    assert masks.shape == (2, 7, 4) and masks[:, :5].all() and not masks[:, 5:].any()
    assert not paste(torch.full((1, 2, 2), 0.5), (2, 2)).any()  # the threshold itself is outside


def test_enlarged_masks_keep_a_straight_edge_straight() -> None:
    ramp = torch.arange(8.0).expand(1, 4, 8)
    large = enlarge(ramp, 3.75)
    assert large.shape == (1, 15, 30)
    inner = large[0, 7, 3:-3]
    torch.testing.assert_close(inner[1:] - inner[:-1], torch.full((23,), 8 / 30))
    assert enlarge(torch.zeros(0, 4, 8), 3.75).shape == (0, 15, 30)
