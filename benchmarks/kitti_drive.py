"""Track a KITTI raw drive with and without the motion of the camera, and lift the tracks by its lidar.

    python benchmarks/kitti_drive.py --images image_02/data --lidar velodyne_points/data --out /tmp/kitti

The drive has no labels, so the script draws for each row a video and a sheet: ids, and the boxes by the lidar
from above. The odometry is visual: corners with the depth of the lidar, followed by optical flow, and PnP
with RANSAC. It prints the number of tracks and their median length, which switches shorten. --turn RADIANS
turns the camera to and fro about its centre by cutting 800 columns out of the images, as far as they reach.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcan_model.core.package_files import default_model
from pcan_model.core.space import OPTICAL, Floats, Pinhole, Pose
from pcan_model.core.structures import CameraPlace, Frame, Tracks
from pcan_model.data.scenes import read_points
from pcan_model.inference.backends import EngineOptions, open_engine
from pcan_model.lifting.lifter import Lifter, LiftState
from pcan_model.lifting.measurements import LidarPoints
from pcan_model.tracking.tracker import Tracker
from pcan_model.visualization.birds_eye import birds_eye
from pcan_model.visualization.overlay import RgbImage
from pcan_model.visualization.render import render

RATE = 10.0  # frames a second
HEIGHT = 1.65  # metres, of the cameras over the road
FOCAL, CENTRE = 721.5377, (609.5593, 172.8540)  # pixels, of the rectified images of 2011-09-26
OFFSET = 0.0622  # metres from camera 0 to camera 2
RECTIFIED = np.array(
    [
        [0.9999239, 0.00983776, -0.007445048],
        [-0.009869795, 0.9999421, -0.004278459],
        [0.007402527, 0.004351614, 0.9999631],
    ]
)
VELO_TO_CAMERA = Pose(
    np.array(
        [
            [0.007533745, -0.9999714, -0.000616602],
            [0.01480249, 0.0007280733, -0.9998902],
            [0.9998621, 0.00752379, 0.01480755],
        ]
    ),
    np.array([-0.004069766, -0.07631618, -0.2717806]),
)
NARROW, PERIOD = 800, 2.5  # columns, and seconds to and fro, of a camera that is turned
NEAR = 3.0  # pixels; a corner has the depth of the nearest lidar point within


def lidar_in_camera() -> Pose:
    """Return the pose of the lidar in the optical frame of camera 2."""
    return Pose(np.eye(3), np.array([OFFSET, 0.0, 0.0])) @ Pose(RECTIFIED, np.zeros(3)) @ VELO_TO_CAMERA


def motion(before: RgbImage, now: RgbImage, points: Floats, camera: Pinhole) -> Pose | None:
    """Return the pose of the camera of the first image in that of the second; None if it is not found.

    points  (P, 3) of the lidar, optical frame of the first image
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, now)]
    corners: Any = cv2.goodFeaturesToTrack(grey[0], 1500, 0.01, 6)
    moved, status, _ = cv2.calcOpticalFlowPyrLK(*grey, corners, cast(Any, None), winSize=(21, 21))
    back, again, _ = cv2.calcOpticalFlowPyrLK(*grey[::-1], moved, cast(Any, None), winSize=(21, 21))
    kept = ((status & again).ravel() > 0) & (np.linalg.norm(back - corners, axis=2).ravel() < 0.5)
    pixels = camera.project(points)
    places, owners = _nearest(corners.reshape(-1, 2)[kept], pixels)
    ahead = moved.reshape(-1, 2)[kept][places]
    known = camera.points(*corners.reshape(-1, 2)[kept][places].T, points[owners, 2])
    found, turn, shift, inside = cv2.solvePnPRansac(
        known, ahead.astype(np.float64), _matrix(camera), None, reprojectionError=1.0, iterationsCount=300
    )
    if not found or inside is None or len(inside) < 30:
        return None
    return Pose(cv2.Rodrigues(turn)[0].astype(np.float64), shift.ravel())


def _nearest(corners: NDArray[Any], pixels: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the corners that have a lidar point nearby, and the point of each."""
    matches = cv2.BFMatcher(cv2.NORM_L2).match(corners.astype(np.float32), pixels.astype(np.float32))
    near = [(match.queryIdx, match.trainIdx) for match in matches if match.distance < NEAR]
    found = np.array(near, np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def odometry(images: Sequence[RgbImage], clouds: Sequence[Floats], camera: Pinhole) -> list[Pose]:
    """Return the pose of the camera at each image; z is up, the first is HEIGHT over the ground at 0."""
    poses = [Pose(OPTICAL, np.array([0.0, 0.0, HEIGHT]))]
    step = Pose.identity()
    for before, now, cloud in zip(images, images[1:], clouds, strict=False):
        step = motion(before, now, cloud, camera) or step
        poses.append(poses[-1] @ step.inverse())
    return poses


def turned(
    images: Sequence[RgbImage], clouds: Sequence[Floats], poses: Sequence[Pose], camera: Pinhole, swing: float
) -> tuple[list[RgbImage], list[Floats], list[Pose], Pinhole]:
    """Return what a camera sees that is turned to and fro by up to `swing` radians."""
    narrow = replace(camera, width=NARROW, cx=NARROW / 2)
    yaws = [swing * np.sin(2 * np.pi * k / RATE / PERIOD) for k in range(len(images))]
    turns = [cast(Floats, cv2.Rodrigues(np.array([0.0, yaw, 0.0]))[0]) for yaw in yaws]
    cuts = [_matrix(narrow) @ turn.T @ np.linalg.inv(_matrix(camera)) for turn in turns]
    seen = [
        np.asarray(cv2.warpPerspective(image, cut, (NARROW, camera.height)), np.uint8)
        for image, cut in zip(images, cuts, strict=True)
    ]
    ahead = [cloud @ turn for cloud, turn in zip(clouds, turns, strict=True)]
    places = [pose @ Pose(turn, np.zeros(3)) for pose, turn in zip(poses, turns, strict=True)]
    return seen, [cloud[cloud[:, 2] > 1.0] for cloud in ahead], places, narrow


def _matrix(camera: Pinhole) -> Floats:
    return np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]])


def tracked(tracker: Tracker, frames: Sequence[Frame]) -> Iterator[Tracks]:
    """Yield the tracks of each frame."""
    state = tracker.start()
    for frame in frames:
        state, tracks = tracker.step(state, frame)
        yield tracks


def from_above(
    poses: Sequence[Pose], clouds: Sequence[Floats], camera: Pinhole, classes: tuple[str, ...]
) -> Any:
    """Return what draws the boxes of the tracks of each frame in turn, by the lidar."""
    lifter, state, frame = Lifter(classes), LiftState(), iter(zip(poses, clouds, strict=True))

    def view(tracks: Tracks | None, height: int) -> RgbImage:
        nonlocal state
        assert tracks is not None
        pose, cloud = next(frame)
        state, lifted = lifter.step(state, tracks, LidarPoints(camera, cloud), pose)
        return birds_eye(lifted.boxes, pose, height)

    return view


def sparse_depth(cloud: Floats, camera: Pinhole) -> NDArray[np.float32]:
    """Return lidar points as a depth image, (H, W) metres, 0 where there is none; near ones win."""
    depth = np.zeros((camera.height, camera.width), np.float32)
    far_first = cloud[np.argsort(-cloud[:, 2])]
    columns, rows = np.rint(camera.project(far_first)).astype(int).T
    inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    depth[rows[inside], columns[inside]] = far_first[inside, 2]
    return depth


def main() -> None:
    options = _options()
    paths = sorted(options.images.glob("*.*g"))[: options.frames]
    images = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    camera = Pinhole(FOCAL, FOCAL, *CENTRE, *images[0].shape[:2])
    scans = [read_points(options.lidar / f"{path.stem}.bin").astype(np.float64) for path in paths]
    clouds = [lidar_in_camera().apply(scan) for scan in scans]
    clouds = [cloud[cloud[:, 2] > 1.0] for cloud in clouds]
    poses = odometry(images, clouds, camera)
    ways = np.linalg.norm(np.diff([pose.translation for pose in poses], axis=0), axis=1) * RATE
    print(
        f"speed by visual odometry: {ways[:5].mean():.1f} m/s at first, {ways[-5:].mean():.1f} m/s at the end"
    )
    if options.turn:
        images, clouds, poses, camera = turned(images, clouds, poses, camera, options.turn)
    engine = open_engine(default_model(), EngineOptions(size=options.size, threads=1)).engine
    options.out.mkdir(parents=True, exist_ok=True)
    print("| rate | camera motion by | tracks | median age, s |\n|---|---|---|---|")
    for every in (1, 2):
        for name, image, odometric, deep in ROWS:
            tracker = Tracker(engine, replace(engine.config.tracker, camera_motion=image))
            frames = [
                Frame(images[k], k / RATE, place=CameraPlace(
                    poses[k], camera, depth=sparse_depth(clouds[k], camera) if deep else None
                ) if odometric else None)
                for k in range(0, len(images), every)
            ]  # fmt: skip
            found = list(tracked(tracker, frames))
            ids = [instance.track_id for tracks in found for instance in tracks.found()]
            _, counts = np.unique(ids, return_counts=True)
            rate = f"{RATE / every:.0f} Hz"
            print(f"| {rate} | {name} | {len(counts)} | {np.median(counts) * every / RATE:.1f} |", flush=True)
            view = from_above(poses[::every], clouds[::every], camera, engine.config.classes)
            stem = f"{rate.replace(' ', '')}_{name.replace(' ', '_').replace(',', '')}"
            render(
                zip(images[::every], found, strict=True), engine.config.classes, rate=RATE / every,
                video=options.out / f"{stem}.mp4", sheet=options.out / f"{stem}.png", view=view,
            )  # fmt: skip


ROWS = (  # name, by the image, by odometry, with measured depth
    ("nothing", False, False, False),
    ("visual odometry", False, True, False),
    ("visual odometry, lidar depth", False, True, True),
    ("the image", True, False, False),
    ("the image, visual odometry", True, True, False),
    ("the image, visual odometry, lidar depth", True, True, True),
)


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--images", type=Path, required=True, help="folder of the images of camera 2")
    parser.add_argument("--lidar", type=Path, required=True, help="folder of the scans, .bin")
    parser.add_argument("--out", type=Path, required=True, help="folder for videos and sheets")
    parser.add_argument("--size", default="", help="input size of the model")
    parser.add_argument("--turn", type=float, default=0.0, help="turn the camera by up to these radians")
    parser.add_argument("--frames", type=int, default=None, help="only the first frames")
    return parser.parse_args()


if __name__ == "__main__":
    main()
