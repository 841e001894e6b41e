"""Colour augmentation: a random `ColourChange` per image, partly shared by a pair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.augment import AugmentConfig

Image = NDArray[np.uint8]
GREY = -9.0  # saturation of an image without colour


@dataclass(frozen=True, slots=True)
class ColourChange:
    """Parameters of a colour change; the defaults change nothing."""

    brightness: float = 0.0  # added, 1 = full range
    contrast: float = 0.0  # natural logarithm of the factor around mid grey
    gamma: float = 0.0  # natural logarithm of the exponent
    saturation: float = 0.0  # natural logarithm of the factor
    hue: float = 0.0  # shift in [-1, 1] of the circle
    warmth: float = 0.0  # red up and blue down, relative
    night: float = 0.0  # 0 = day, 1 = dark
    noise: float = 0.0  # standard deviation, of 255
    blur: float = 0.0  # standard deviation, pixels
    jpeg: float = 0.0  # 0 = none, 1 = worst quality


def draw_colour_change(config: AugmentConfig, rng: np.random.Generator) -> ColourChange:
    """Sample a colour change; each degradation has its own probability."""
    s = config.colour
    deviations = np.array([0.08, 0.2, 0.2, 0.25, 0.015, 0.06])
    values = deviations * rng.standard_normal(6).clip(-2.5, 2.5) * s
    brightness, contrast, gamma, saturation, hue, warmth = values.tolist()
    grey = rng.random() < config.grey
    return ColourChange(
        brightness=brightness,
        contrast=contrast,
        gamma=gamma,
        saturation=GREY if grey else saturation,
        hue=hue,
        warmth=warmth,
        night=_uniform_or_zero(config.night, 0.3, 1.0, rng),
        noise=_uniform_or_zero(config.noise, 1.0, 9.0, rng),
        blur=_uniform_or_zero(config.blur, 0.4, 1.3, rng),
        jpeg=_uniform_or_zero(config.jpeg, 0.0, 1.0, rng),
    )


def _uniform_or_zero(probability: float, low: float, high: float, rng: np.random.Generator) -> float:
    value = rng.uniform(low, high)
    return float(value) if rng.random() < probability else 0.0


def mix_colour_changes(a: ColourChange, b: ColourChange, part: float) -> ColourChange:
    """Blend two colour changes, `part` of a and the rest of b; night, degradations and grey are a's."""
    blended = {
        name: part * getattr(a, name) + (1 - part) * getattr(b, name)
        for name in ("brightness", "contrast", "gamma", "hue", "warmth")
    }
    if GREY not in (a.saturation, b.saturation):
        blended["saturation"] = part * a.saturation + (1 - part) * b.saturation
    return replace(a, **blended)


def apply_colour_change(image: Image, colour_change: ColourChange, rng: np.random.Generator) -> Image:
    """Apply a colour change to an image, (H, W, 3)."""
    if colour_change.hue or colour_change.saturation:
        image = _turn_colours(image, colour_change)
    image = cast(Image, cv2.LUT(image, _curves(colour_change)))
    if colour_change.blur:
        image = cast(Image, cv2.GaussianBlur(image, (0, 0), colour_change.blur))
    if colour_change.noise:
        image = _add_noise(image, colour_change.noise, rng)
    if colour_change.jpeg:
        image = compress(image, round(85 - 65 * colour_change.jpeg))
    return image


def _curves(colour_change: ColourChange) -> Image:
    """Return a lookup table per channel for all pointwise changes, (1, 256, 3)."""
    x = np.linspace(0, 1, 256)[:, None]
    x = (x - 0.45) * np.exp(colour_change.contrast) + 0.45 + colour_change.brightness
    tint = np.array([1 + colour_change.warmth, 1, 1 - colour_change.warmth])
    dark = 1 - colour_change.night * np.array([0.72, 0.68, 0.6])
    x = np.clip(x, 0, 1) ** np.exp(colour_change.gamma + 0.25 * colour_change.night) * tint * dark
    return cast(Image, (np.clip(x, 0, 1) * 255).round().astype(np.uint8)[None])


def _turn_colours(image: Image, colour_change: ColourChange) -> Image:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    steps = np.arange(256)
    table = np.empty((1, 256, 3), np.uint8)
    table[0, :, 0] = (steps + round(colour_change.hue * 180)) % 180
    table[0, :, 1] = np.clip(steps * np.exp(colour_change.saturation), 0, 255)
    table[0, :, 2] = steps
    return cast(Image, cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2RGB))


def _add_noise(image: Image, sigma: float, rng: np.random.Generator) -> Image:
    """Add Gaussian noise, sampled for a quarter of the rows and shifted for the others."""
    rows = -(-image.shape[0] // 4)
    grain = rng.standard_normal((rows, *image.shape[1:]), np.float32) * np.float32(sigma)
    sheet = np.concatenate([np.roll(grain, 37 * n, 1) for n in range(4)])[: image.shape[0]]
    return cast(Image, cv2.add(image, sheet, dtype=cv2.CV_8U))


def compress(image: Image, quality: int) -> Image:
    """Compress an image as JPEG and decode it."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cast(Image, cv2.imdecode(data, cv2.IMREAD_COLOR))
