"""Camera motion is estimated from the static background, and unknown without it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pcan_model.core.config import InputConfig
from pcan_model.core.geometry import fit_image
from pcan_model.core.structures import Frame
from pcan_model.tracking.camera_motion import WIDTH, camera_motion, small_view

HEIGHT = 160
LETTERBOX = fit_image((HEIGHT * 4, WIDTH * 4), InputConfig(height=HEIGHT * 2, width=WIDTH * 2))
NOBODY = np.zeros((0, 4), np.float32)


def scene(seed: int = 0) -> NDArray[np.uint8]:
    """Return a grey image with corners, larger than what the camera sees."""
    noise = np.random.default_rng(seed).integers(0, 255, (30, 50), np.uint8)
    return cv2.resize(noise, (500, 300), interpolation=cv2.INTER_CUBIC)


def seen(x: int, y: int) -> NDArray[np.uint8]:
    return scene()[y : y + HEIGHT, x : x + WIDTH].copy()


def test_a_pan_is_found_in_pixels_of_the_network() -> None:
    found = camera_motion(seen(60, 40), seen(52, 43), NOBODY, LETTERBOX)

    assert found.matrix is not None
    np.testing.assert_allclose(found.matrix, [[1, 0, 16], [0, 1, -6]], atol=0.4)


def test_motion_inside_the_boxes_of_tracks_is_ignored() -> None:
    before, now = seen(60, 40), seen(60, 40)
    bus = scene(seed=1)[:HEIGHT, :240]
    before[:, :240], now[:, 20:260] = bus, bus  # it covers three quarters of the image

    taken = camera_motion(before, now, NOBODY, LETTERBOX)
    kept = camera_motion(before, now, np.array([[0, 0, 520, 320]], np.float32), LETTERBOX)

    assert taken.matrix is not None and taken.matrix[0, 2] > 30, "the bus is most of what there is"
    assert kept.matrix is not None
    np.testing.assert_allclose(kept.matrix, [[1, 0, 0], [0, 1, 0]], atol=0.4)


@pytest.mark.parametrize(
    "before",
    [None, np.full((HEIGHT, WIDTH), 90, np.uint8), scene(1)[:HEIGHT, :WIDTH], seen(0, 0)[:-2]],
    ids=["no earlier image", "nothing to see", "another place", "another shape"],
)
def test_without_a_consistent_fit_the_motion_is_unknown(before: NDArray[np.uint8] | None) -> None:
    assert camera_motion(before, seen(60, 40), NOBODY, LETTERBOX).matrix is None


def test_a_view_is_small_and_the_same_in_both_orders_of_channels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    view = small_view(Frame(image, 0.0))

    assert view.shape == (180, WIDTH)
    np.testing.assert_array_equal(view, small_view(Frame(image[..., ::-1].copy(), 0.0, "bgr")))


def test_a_view_made_in_steps_is_that_of_one_step() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    once = cv2.resize(pixels, (WIDTH, 180), interpolation=cv2.INTER_AREA)
    expected = cv2.cvtColor(once, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(small_view(Frame(pixels, 0.0)) - expected).max() <= 2
