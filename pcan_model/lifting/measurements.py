"""The measured points of each track: from a depth image, or from lidar points projected into the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.errors import UserError
from pcan_model.core.space import Floats, Pinhole
from pcan_model.core.structures import Mask, Tracks
from pcan_model.lifting.config import LiftingConfig

LARGEST_BORDER = 4  # pixels of a mask's border that are left out at most
KEPT = 0.3  # least share of a mask that remains without its border; smaller ones keep it


class MeasurementError(UserError, ValueError):
    """A measurement that does not belong to the image of the tracks."""


@dataclass(frozen=True, slots=True, eq=False)
class DepthImage:
    """A depth image registered to the image of the tracks."""

    camera: Pinhole
    depth: NDArray[np.float32]  # (H, W) metres along the optical axis; NaN, infinite or <= 0: not measured

    def noise(self, distance: float, config: LiftingConfig) -> float:
        """Return the standard deviation of a point at a distance, metres."""
        return config.depth_noise * max(1.0, distance * distance)

    def points(self, tracks: Tracks, masks: Sequence[Mask], config: LiftingConfig) -> list[Floats]:
        """Return the points under each mask, (N, 3) of the optical frame; raises MeasurementError."""
        _check_size("camera_info", (self.camera.height, self.camera.width), tracks)
        _check_size("depth", self.depth.shape[:2], tracks)
        _check_masks(masks, tracks)
        return [self._under(mask, config) for mask in masks]

    def _under(self, mask: Mask, config: LiftingConfig) -> Floats:
        height, width = mask.crop.shape
        region = self.depth[mask.y : mask.y + height, mask.x : mask.x + width]
        with np.errstate(invalid="ignore"):
            known = (without_border(mask, config) > 0) & (region > config.near) & (region < config.far)
        flat = np.flatnonzero(known)
        flat = flat[:: max(1, len(flat) // config.most_points)]
        rows, columns = np.divmod(flat, max(width, 1))
        return self.camera.points(columns + mask.x, rows + mask.y, region[rows, columns])


@dataclass(frozen=True, slots=True, eq=False)
class LidarPoints:
    """Lidar points in the optical frame of the camera."""

    camera: Pinhole
    values: NDArray[np.float64]  # (P, 3) metres, x right, y down, z forward; not finite: no return

    def noise(self, distance: float, config: LiftingConfig) -> float:
        """Return the standard deviation of a point at a distance, metres."""
        return config.lidar_noise

    def points(self, tracks: Tracks, masks: Sequence[Mask], config: LiftingConfig) -> list[Floats]:
        """Return the points that project into each mask, (N, 3); raises MeasurementError."""
        _check_size("camera_info", (self.camera.height, self.camera.width), tracks)
        _check_masks(masks, tracks)
        owners = np.zeros((tracks.height, tracks.width), np.int32)
        for number, mask in enumerate(masks, start=1):
            height, width = mask.crop.shape
            region = owners[mask.y : mask.y + height, mask.x : mask.x + width]
            region[without_border(mask, config, strict=True) > 0] = number
        z = self.values[:, 2]
        with np.errstate(invalid="ignore"):
            ahead = self.values[np.isfinite(self.values).all(1) & (z > config.near) & (z < config.far)]
        pixels = np.rint(self.camera.project(ahead))
        inside = (pixels >= 0).all(1) & (pixels < (tracks.width, tracks.height)).all(1)
        ahead, pixels = ahead[inside], pixels[inside].astype(np.int64)
        owner = owners[pixels[:, 1], pixels[:, 0]]
        order = np.argsort(owner, kind="stable")
        cuts = np.searchsorted(owner[order], np.arange(1, len(masks) + 2))
        return [ahead[order[a:b]] for a, b in pairwise(cuts)]


Measurement = DepthImage | LidarPoints


def without_border(mask: Mask, config: LiftingConfig, *, strict: bool = False) -> NDArray[np.uint8]:
    """Return the crop of a mask without its border, where measurements mix object and background.

    strict  of any mask at least one pixel, for a sensor in another place; else small and thin masks keep it
    """
    area = mask.area
    border = min(max(round(config.erosion * area**0.5), int(strict)), LARGEST_BORDER)
    if border < 1:
        return mask.crop
    kernel = np.ones((2 * border + 1, 2 * border + 1), np.uint8)
    inner = cv2.erode(mask.crop, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    whole = strict or np.count_nonzero(inner) >= KEPT * area
    return cast(NDArray[np.uint8], inner) if whole else mask.crop


def _check_size(name: str, size: tuple[int, ...], tracks: Tracks) -> None:
    if tuple(size) != (tracks.height, tracks.width):
        expected, got = f"{tracks.width} x {tracks.height}", " x ".join(map(str, reversed(size)))
        raise MeasurementError(f"{name}: expected {expected} like the image of the tracks, got {got}")


def _check_masks(masks: Sequence[Mask], tracks: Tracks) -> None:
    for mask in masks:
        bottom, right = mask.y + mask.crop.shape[0], mask.x + mask.crop.shape[1]
        if mask.x < 0 or mask.y < 0 or right > tracks.width or bottom > tracks.height:
            size = f"{tracks.width} x {tracks.height}"
            raise MeasurementError(f"mask: expected inside {size}, reaches to column {right}, row {bottom}")
