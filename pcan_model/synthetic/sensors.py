"""Depth camera and lidar of the synthetic drive, exact or with the noise of real ones."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pcan_model.core.space import Pose
from pcan_model.synthetic.canvas import PinholeCamera
from pcan_model.synthetic.depth import paint_depth
from pcan_model.synthetic.sampled_world import World

DISPARITY = 0.25  # pixels, noise of stereo matching
BASELINE = 0.5  # metres between the two cameras
FARTHEST_DEPTH = 80.0  # metres
MIXED = 0.5  # share of the pixels at an edge that average both of its sides
EDGE = 0.1  # relative step of the depth that counts as an edge
LOST_DEPTH = 0.05  # share of the pixels without a measurement

BEAMS = np.deg2rad(np.linspace(2.0, -24.8, 64))  # elevations
AZIMUTHS = np.deg2rad(np.arange(-45.0, 45.0, 0.2))  # to the right; only what is ahead is simulated
ABOVE = 0.4  # metres, of the lidar over the camera
LIDAR_NOISE = 0.02  # metres along the beam
FARTHEST_POINT = 100.0  # metres
LOST_POINTS = 0.02, 0.2  # share of the points lost at 0 metres and at FARTHEST_POINT
FOCAL, SIZE, HORIZON = 720.0, (536, 1442), 30.0  # canvas of the lidar, pixels: 0.08 degrees and less


@dataclass(frozen=True, slots=True)
class SensorNoise:
    """How much noise the sensors have, and its random generator."""

    rng: np.random.Generator
    scale: float = 1.0  # 1: as above; 0: exact


def measured_depth(depth: NDArray[np.float32], focal: float, noise: SensorNoise) -> NDArray[np.float32]:
    """Return the depth as a stereo camera measures it, (H, W) metres, NaN where it measures nothing.

    Noise grows with the square of the distance; pixels at edges may average both sides.

    depth  (H, W)  exact, infinite where there is nothing
    focal  pixels
    """
    exact = np.where(depth < FARTHEST_DEPTH, depth, np.nan).astype(np.float32)
    if not noise.scale:
        return exact
    rng, shape = noise.rng, depth.shape
    near = np.minimum(depth, FARTHEST_DEPTH).astype(np.float32)
    window = np.ones((3, 3), np.uint8)
    step = cv2.dilate(near, window) - cv2.erode(near, window)
    edge = (step > EDGE * near) & (rng.random(shape) < MIXED * noise.scale)
    value = np.where(edge, cv2.blur(near, (3, 3)), exact)
    spread = value**2 * (DISPARITY / (focal * BASELINE) * noise.scale)
    value = value + spread * rng.standard_normal(shape, np.float32)
    lost = (rng.random(shape) < LOST_DEPTH * noise.scale) | (value <= 0)
    return np.where(lost, np.nan, value).astype(np.float32)


def lidar_points(
    world: World, camera: PinholeCamera, moment: float, noise: SensorNoise
) -> NDArray[np.float32]:
    """Return the points of a lidar with 64 beams above the camera, (P, 3) in the lidar's frame.

    The frame has x forward, y left, z up. The simulated beams cover 90 degrees ahead.

    camera  of the image; its pose is used only
    moment  time in frames of RATE
    """
    seen = PinholeCamera(
        FOCAL, SIZE[1] // 2, HORIZON, camera.height + ABOVE, camera.x, camera.z, camera.yaw
    )  # fmt: skip
    depth = paint_depth(world, seen, moment, SIZE)
    azimuth, elevation = np.meshgrid(AZIMUTHS, BEAMS)
    columns = np.rint(seen.centre + FOCAL * np.tan(azimuth)).astype(int)
    rows = np.rint(HORIZON - FOCAL * np.tan(elevation) / np.cos(azimuth)).astype(int)
    inside = (columns >= 0) & (columns < SIZE[1]) & (rows >= 0) & (rows < SIZE[0])
    columns, rows = columns[inside], rows[inside]
    ahead = depth[rows, columns].astype(np.float64)
    beams = np.stack([np.ones(len(rows)), (seen.centre - columns) / FOCAL, (HORIZON - rows) / FOCAL], 1)
    length = np.linalg.norm(beams, axis=1)
    distance = ahead * length
    kept = distance < FARTHEST_POINT
    if noise.scale:
        low, high = LOST_POINTS
        share = (low + (high - low) * np.minimum(distance / FARTHEST_POINT, 1.0)) * noise.scale
        kept &= noise.rng.random(len(distance)) >= share
        distance = distance + LIDAR_NOISE * noise.scale * noise.rng.standard_normal(len(distance))
    return (beams[kept] * (distance / length)[kept, None]).astype(np.float32)


def lidar_pose(height: float) -> Pose:
    """Return the pose of the lidar in base_link, the ground below the camera.

    height  of the camera over the ground, metres
    """
    return Pose(np.eye(3), np.array([0.0, 0.0, height + ABOVE]))


def base_pose(camera: PinholeCamera) -> Pose:
    """Return the pose of base_link, the ground below the camera, in the map frame."""
    return Pose.planar(camera.z, -camera.x, -camera.yaw)
