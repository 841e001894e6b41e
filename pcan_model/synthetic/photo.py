"""Post-processing of the canvas to a photo: camera, light, glow and image degradation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.data.colour import compress
from pcan_model.synthetic.canvas import (
    SUPERSAMPLE,
    Canvas,
    Colour,
    Light,
)


@dataclass(frozen=True, slots=True)
class Drive:
    """Motion of the camera and its effects on the image."""

    focal: float  # image widths
    height: float  # metres over the ground
    horizon: float  # image heights from the top
    speed: float  # metres per frame
    turn: float  # radians per frame
    shake: float  # image pixels
    blur: float  # standard deviation, pixels
    noise: float  # standard deviation, of 255
    quality: int  # of the JPEG
    bonnet: float  # image heights of the camera's own car in view
    exposure: float  # factor
    cast: Colour  # factors


def make_drive(rng: np.random.Generator) -> Drive:
    """Sample the camera: mostly behind a windscreen, sometimes on a mast."""
    mast = rng.random() < 0.12
    still = mast or rng.random() < 0.2
    return Drive(
        focal=float(rng.uniform(0.7, 1.25)),
        height=float(rng.uniform(3.5, 6) if mast else rng.uniform(1.2, 2.1)),
        horizon=float(rng.uniform(0.12, 0.25) if mast else rng.uniform(0.38, 0.56)),
        speed=0.0 if still else float(rng.uniform(0.2, 1.6)),
        turn=0.0 if still else float(rng.normal(0, 0.006)),
        shake=float(rng.uniform(0, 1.5)),
        blur=float(rng.choice([0.0, 0.5, 0.9], p=[0.4, 0.4, 0.2])),
        noise=float(rng.uniform(0.5, 5)),
        quality=int(rng.integers(55, 96)),
        bonnet=float(rng.uniform(0.04, 0.14)) if not mast and rng.random() < 0.3 else 0.0,
        exposure=float(rng.uniform(0.8, 1.2)),
        cast=tuple(rng.normal(1, 0.04, 3).tolist()),
    )


def make_light(hour: str, rng: np.random.Generator) -> tuple[Light, tuple[Colour, Colour]]:
    """Sample sun, haze and the colours of the sky at the horizon and above."""
    side, up = rng.uniform(-1, 1, 2)
    sun = np.array([side, 0.5 + 0.5 * abs(up), rng.uniform(-0.8, 0.4)])
    low, high, ambient, far = {
        "day": ((206, 220, 234), (84, 138, 204), 0.5, 260.0),
        "grey": ((214, 216, 218), (168, 174, 180), 0.78, 130.0),
        "dusk": ((238, 176, 120), (96, 100, 140), 0.6, 200.0),
        "night": ((40, 40, 52), (14, 16, 28), 0.55, 220.0),
    }[hour]
    tone = rng.uniform(0.88, 1.06)
    sky = (_scale(low, tone), _scale(high, tone * rng.uniform(0.85, 1.1)))
    light = Light(
        sun=sun / np.linalg.norm(sun),
        ambient=ambient * rng.uniform(0.85, 1.1),
        haze=sky[0],
        visibility=far * rng.uniform(0.6, 1.5),
        sky=sky[1] if hour != "night" else (60, 60, 70),
        night=hour == "night" or (hour == "dusk" and bool(rng.random() < 0.6)),
    )
    return light, sky


def _scale(colour: Colour, factor: float) -> Colour:
    r, g, b = (min(255.0, c * factor) for c in colour)
    return r, g, b


def develop(
    canvas: Canvas, drive: Drive, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Convert the canvas to a photo and its ids, (H, W, 3) and (H, W)."""
    height, width = (n // SUPERSAMPLE for n in canvas.pixels.shape[:2])
    if drive.bonnet:
        _paint_bonnet(canvas, drive)
    small = cv2.resize(canvas.pixels, (width, height), interpolation=cv2.INTER_AREA)
    numbers = np.ascontiguousarray(canvas.pixels[::SUPERSAMPLE, ::SUPERSAMPLE, 3])
    photo = small[..., :3].astype(np.float32)
    if canvas.light.haze[0] < 100:
        photo *= _night(height, width, drive, rng)
    if canvas.light.night:
        photo += _glow(canvas, height, width)
    photo *= np.array(drive.cast, np.float32) * np.float32(drive.exposure)
    image = cast(NDArray[np.uint8], photo.clip(0, 255).astype(np.uint8))
    if drive.blur:  # after the 8 bit conversion: three times as fast
        image = cast(NDArray[np.uint8], cv2.GaussianBlur(image, (0, 0), drive.blur))
    grain = rng.standard_normal((height // 2 + 1, width, 3), np.float32) * np.float32(drive.noise)
    grain = np.concatenate([grain, grain[:, ::-1]])[:height]
    image = cast(NDArray[np.uint8], cv2.add(image, grain, dtype=cv2.CV_8U))
    return compress(image, drive.quality), numbers


def bonnet(drive: Drive, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return centre and half axes of the ellipse that the bonnet covers, canvas pixels."""
    centre = width // 2, height + height // 12
    return centre, (int(width * 0.62), int(height * (drive.bonnet + 1 / 12)))


def _paint_bonnet(canvas: Canvas, drive: Drive) -> None:
    """Paint the bonnet of the camera's own car at the bottom edge."""
    centre, axes = bonnet(drive, *canvas.pixels.shape[:2])
    tone = 30 + 800 * abs(drive.bonnet - 0.09)
    cv2.ellipse(canvas.pixels, centre, axes, 0, 180, 360, (tone, tone, tone * 1.05, 0), -1)
    cv2.ellipse(canvas.pixels, centre, axes, 0, 200, 340, (tone * 1.6, tone * 1.6, tone * 1.7, 0), 3)


def _night(height: int, width: int, drive: Drive, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the light at night, (H, W, 3): dim blue everywhere, and the cone of the headlights."""
    y, x = np.mgrid[0:24, 0:40].astype(np.float32)
    x, y = x / 39 - 0.5, y / 23 - (drive.horizon + 0.16)
    cone = np.exp(-((x / 0.33) ** 2) - (y / np.where(y < 0, 0.13, 0.45)) ** 2)
    dim = np.array([0.3, 0.31, 0.36])
    lit = dim + cone[..., None] * np.array([0.75, 0.72, 0.6])
    return cast(NDArray[np.float32], cv2.resize(lit.astype(np.float32), (width, height)))


def _glow(canvas: Canvas, height: int, width: int) -> NDArray[np.float32]:
    """Return the glow of visible lamps, (H, W, 3)."""
    sheet = np.zeros((height // 2, width // 2, 3), np.float32)
    shrink = 2 * SUPERSAMPLE
    limit = canvas.pixels.shape
    for u, v, radius, colour, number in canvas.lamps:
        inside = 0 <= u < limit[1] and 0 <= v < limit[0]
        if inside and (number == 0 or canvas.pixels[v, u, 3] == number):
            cv2.circle(sheet, (u // shrink, v // shrink), max(1, round(radius / shrink)), colour, -1)
    soft = cv2.GaussianBlur(sheet, (0, 0), 1.2) * 0.8 + cv2.GaussianBlur(sheet, (0, 0), 7) * 1.6
    return cast(NDArray[np.float32], cv2.resize(soft, (width, height)))
