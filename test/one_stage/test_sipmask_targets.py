"""SipMask's targets against a brute force over cells and objects."""

from __future__ import annotations

import numpy as np
import pytest
from support.sipmask import target

torch = pytest.importorskip("torch")

from pcan_model.core.sipmask_config import SipMaskConfig  # noqa: E402
from pcan_model.sipmask.losses import not_ignored  # noqa: E402
from pcan_model.sipmask.strides import STRIDES  # noqa: E402
from pcan_model.sipmask.targets import BACKGROUND, assign, centreness, image_cells  # noqa: E402

CONFIG = SipMaskConfig()
SIZES = [(12, 20), (6, 10), (3, 5), (2, 3), (1, 2)]
CELLS = image_cells(SIZES, CONFIG, torch.device("cpu"))


def slow_assign(boxes: list[list[float]]) -> list[int]:
    """Return the object of every cell, or BACKGROUND, one by one."""
    found = []
    limits = [-1, 64, 128, 256, 512, 1e8]
    for level, ((height, width), stride) in enumerate(zip(SIZES, STRIDES, strict=True)):
        for row in range(height):
            for column in range(width):
                x, y = column * stride + stride // 2, row * stride + stride // 2
                best, smallest = BACKGROUND, float("inf")
                for index, (x1, y1, x2, y2) in enumerate(boxes):
                    cx, cy, half = (x1 + x2) / 2, (y1 + y2) / 2, 1.5 * stride
                    inside = max(x1, cx - half) < x < min(x2, cx + half)
                    inside &= max(y1, cy - half) < y < min(y2, cy + half)
                    far = max(x - x1, y - y1, x2 - x, y2 - y)
                    area = (x2 - x1 + 1) * (y2 - y1 + 1)
                    if inside and limits[level] <= far <= limits[level + 1] and area < smallest:
                        best, smallest = index, area
                found.append(best)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_cells_learn_what_the_brute_force_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    low = random.integers(0, 100, (7, 2))
    boxes = np.concatenate([low, low + random.integers(2, 120, (7, 2))], 1).astype(np.float32)
    boxes[6] = boxes[5]  # of equal objects the first
    labels = torch.arange(7) % 4
    found = assign(CELLS, torch.from_numpy(boxes), labels, CONFIG)
    expected = slow_assign(boxes.tolist())
    assert found.index.tolist() == expected
    for cell in found.positive.tolist():
        (x, y), (x1, y1, x2, y2) = CELLS.points[cell].tolist(), boxes[expected[cell]].tolist()
        assert found.distances[cell].tolist() == [x - x1, y - y1, x2 - x, y2 - y]
        assert found.labels[cell] == labels[expected[cell]]
    assert (found.labels == BACKGROUND).sum() == expected.count(BACKGROUND)


def test_an_image_without_objects_is_background() -> None:
    found = assign(CELLS, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), CONFIG)
    assert not len(found.positive) and found.labels.eq(BACKGROUND).all()
    assert found.distances.shape == (len(CELLS.points), 4)


def test_centreness_is_one_in_the_middle_and_falls_to_the_side() -> None:
    assert centreness(torch.tensor([[4.0, 6, 4, 6]])).item() == 1
    assert centreness(torch.tensor([[1.0, 2, 3, 2]])).item() == pytest.approx((1 / 3) ** 0.5)


def test_cells_in_an_ignore_region_do_not_count() -> None:
    scene = target([], (96, 160))
    scene.ignore[:16, 80:] = True
    counted = not_ignored(CELLS, scene)
    for point, counts in zip(CELLS.points.tolist(), counted.tolist(), strict=True):
        assert counts != (point[0] >= 80 and point[1] < 16)
