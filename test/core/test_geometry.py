from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.shared import PARITY, needs

from pcan_model.core.geometry import Letterbox, box_iou, paste_mask, remove_overlaps, sigmoid, trim
from pcan_model.core.structures import EMPTY_MASK, Mask

BLOCKS = PARITY / "unit" / "blocks.npz"


def f32(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def slow_paste(logits: NDArray[np.float32], box: list[float], height: int, width: int) -> Mask:
    """Paste pixel by pixel and corner by corner, as the definition says."""
    m, pixels = len(logits), np.zeros((height, width), np.uint8)
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    for y in range(height):
        for x in range(width):
            u = (x + 0.5 - box[0]) / (box[2] - box[0]) * m - 0.5
            v = (y + 0.5 - box[1]) / (box[3] - box[1]) * m - 0.5
            total = 0.0
            for j in (int(np.floor(v)), int(np.floor(v)) + 1):
                for i in (int(np.floor(u)), int(np.floor(u)) + 1):
                    if 0 <= i < m and 0 <= j < m:
                        total += probability[j, i] * (1 - abs(u - i)) * (1 - abs(v - j))
            pixels[y, x] = total >= 0.5
    return trim(Mask(0, 0, pixels))


@pytest.mark.parametrize("source", [(720, 1280), (290, 960), (1080, 1920), (480, 480), (17, 333)])
def test_a_box_survives_the_way_to_the_network_and_back(source: tuple[int, int]) -> None:
    letterbox = Letterbox(source, (384, 640))
    boxes = np.random.default_rng(0).uniform(0, min(source), (20, 4)).astype(np.float32)

    back = letterbox.to_image(letterbox.to_network(boxes))

    np.testing.assert_allclose(back, boxes, rtol=1e-6)


def test_letterbox_fits_top_left_and_fills_the_rest() -> None:
    letterbox = Letterbox((20, 40), (64, 64), (1, 2, 3))
    pixels = letterbox.apply(np.full((20, 40, 3), 200, np.uint8))

    assert letterbox.size == (32, 64) and letterbox.scale == (1.6, 1.6)
    assert (pixels[:32] == 200).all() and (pixels[32:] == (1, 2, 3)).all()


def test_letterbox_moves_the_image_as_it_moves_boxes() -> None:
    image = np.zeros((90, 160, 3), np.uint8)
    image[30:60, 40:100] = 255
    letterbox = Letterbox((90, 160), (192, 320))

    seen = np.argwhere(letterbox.apply(image)[:180, :, 0] > 127)

    box = letterbox.to_network(np.array([40, 30, 100, 60], np.float32))
    assert [*seen.min(0)[::-1], *(seen.max(0)[::-1] + 1)] == pytest.approx(box.tolist())


def test_letterbox_leaves_a_fitting_image_alone_and_refuses_another_size() -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3)).astype(np.uint8)
    letterbox = Letterbox((32, 64), (32, 64))

    assert (letterbox.apply(image) == image).all()
    with pytest.raises(ValueError, match="expected \\(32, 64\\), got \\(31, 64\\)"):
        letterbox.apply(image[1:])


def test_box_iou_equals_fractions_by_hand() -> None:
    a = np.array([[0, 0, 4, 4], [5, 5, 5, 9]], np.float32)
    b = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [5, 5, 5, 9]], np.float32)

    np.testing.assert_allclose(box_iou(a, b), [[1, 4 / 28, 0, 0], [0, 0, 0, 0]], rtol=1e-6)
    assert box_iou(a[:0], b).shape == (0, 4)


@pytest.mark.parametrize(
    "box",
    [
        [10.3, 5.7, 31.9, 27.2],  # larger than its grid
        [3.2, 4.1, 9.4, 8.8],  # smaller
        [-7.5, -3.0, 12.0, 20.0],  # cut by the image on the left and above
        [30.0, 20.0, 77.0, 55.5],  # cut on the right and below
        [20.6, 20.7, 21.3, 21.2],  # under a pixel
        [50.0, 50.0, 60.0, 60.0],  # outside
    ],
)
def test_paste_equals_the_slow_definition(box: list[float]) -> None:
    logits = np.random.default_rng(3).normal(1, 3, (28, 28)).astype(np.float32)

    fast = paste_mask(logits, np.array(box, np.float32), 32, 40)

    slow = slow_paste(logits, f32(box).tolist(), 32, 40)
    assert (fast.full(32, 40) == slow.full(32, 40)).all()
    assert (fast.x, fast.y, fast.crop.shape) == (slow.x, slow.y, slow.crop.shape)


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 9, 5, 5], [np.nan, 0, 4, 4]])
def test_a_box_without_area_gives_an_empty_mask(box: list[float]) -> None:
    assert paste_mask(np.ones((28, 28), np.float32), f32(box), 32, 40) is EMPTY_MASK


def test_a_mask_is_cut_to_its_pixels() -> None:
    logits = np.full((28, 28), -9, np.float32)
    logits[14:, :14] = 9

    mask = paste_mask(logits, np.array([0, 0, 28, 28], np.float32), 28, 28)

    assert (mask.x, mask.y, mask.area, mask.crop.shape) == (0, 14, 14 * 14, (14, 14))


def test_sigmoid_bears_huge_logits() -> None:
    np.testing.assert_allclose(sigmoid(f32([-1e9, 0, 1e9])), [0, 0.5, 1])


def test_published_masks_never_overlap_and_the_first_wins() -> None:
    square = np.ones((10, 10), np.uint8)
    masks = [Mask(5, 5, square), Mask(0, 0, square), Mask(6, 6, square[:4, :4]), EMPTY_MASK]

    first, second, hidden, empty = remove_overlaps(masks, 20, 20)

    assert first.area == 100 and second.area == 100 - 25
    assert hidden is EMPTY_MASK and empty is EMPTY_MASK
    assert (first.full(20, 20) + second.full(20, 20)).max() == 1
    assert square.all(), "the masks handed in stay as they are"


def test_pasting_a_typical_object_takes_well_under_a_millisecond() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (28, 28)).astype(np.float32)
    box = np.array([301.3, 200.2, 421.7, 290.1], np.float32)
    times = []
    for _ in range(200):
        since = perf_counter()
        paste_mask(logits, box, 720, 1280)
        times.append(perf_counter() - since)
    assert np.median(times) < 1e-3  # 0.1 ms on a quiet core


@needs(BLOCKS)
def test_pasting_equals_the_released_implementation() -> None:
    recorded = np.load(BLOCKS)
    for probability, box, expected in zip(
        recorded["paste_masks"][:, 0], recorded["paste_boxes"], recorded["paste_bool"], strict=True
    ):
        clear = np.clip(probability, 1e-7, 1 - 1e-7)
        logits = np.log(clear / (1 - clear)).astype(np.float32)
        assert (paste_mask(logits, box, 80, 100).full(80, 100) == expected).all()
