"""Measure 3D boxes of tracks against the drives' ground truth, by depth image and by lidar.

    python benchmarks/lifting.py --work /tmp/lifting            errors by distance and by class
    python benchmarks/lifting.py --work /tmp/lifting --speed    points per second beside a loop over points

Renders drives with geometry that no other measurement draws below --work (about 2 CPU seconds a frame; kept).
Tracks are the true masks and ids, so that only the lifting is measured; sensors have noise.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcan_model.core.config import CLASSES
from pcan_model.core.space import Box3D
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Tracks
from pcan_model.data.clips import Clip
from pcan_model.data.datasets.scalabel import read_clips
from pcan_model.data.scenes import Scene, Scenes
from pcan_model.data.true_tracks import true_tracks
from pcan_model.lifting.lifter import Lifter, LiftState
from pcan_model.lifting.measurements import DepthImage, LidarPoints, Measurement, without_border
from pcan_model.synthetic.drive import write_drives

FIRST = 220_000  # seeds of these drives
DISTANCES = (0, 10, 20, 40, 80)  # metres
SETTLED = 8  # frames after which a velocity is judged


@dataclass(frozen=True, slots=True)
class Error:
    """The error of one box in one frame."""

    label: int
    distance: float  # metres from the camera to the true centre
    place: float  # metres, of the centre on the ground
    height: float  # metres, of the centre's height
    velocity: float  # metres per second
    yaw: float  # radians, up to half a turn
    age: int  # frames with a box


def main() -> None:
    options = _options()
    count, length = options.drives, options.length
    write_drives(
        options.work, range(FIRST, FIRST + count), length=length, rate=10.0, swing=options.swing,
        geometry=True,
    )  # fmt: skip
    if options.speed:
        _speed(options.work)
        return
    for kind in ("depth", "lidar"):
        errors, lifted, tracks = _errors(options.work, kind)
        print(f"\n{kind}: {lifted} of {tracks} tracks have a box ({100 * lifted / tracks:.1f} %)\n")
        head = "| objects | boxes | centre, m | height, m | velocity, m/s | heading, degrees |"
        print(head, "|---" * 6 + "|", sep="\n")
        for low, high in pairwise(DISTANCES):
            _row(f"{low} to {high} m", [e for e in errors if low <= e.distance < high])
        for label, name in enumerate(CLASSES):
            _row(name, [e for e in errors if e.label == label])


def _errors(root: Path, kind: str) -> tuple[list[Error], int, int]:
    errors, lifted, tracks = list[Error](), 0, 0
    for frames in _drives(root):
        lifter, state, ages = Lifter(CLASSES), LiftState(), dict[int, int]()
        for scene, seen in frames:
            state, out = lifter.step(state, seen, measurement(scene, kind), scene.camera_in_map)
            lifted, tracks = lifted + len(out.boxes), tracks + len(seen.instances)
            truth = {box.track_id: box for box in scene.objects}
            for box in out.boxes:
                ages[box.track_id] = ages.get(box.track_id, 0) + 1
                errors.append(_error(box, truth[box.track_id], scene, ages[box.track_id]))
    return errors, lifted, tracks


def measurement(scene: Scene, kind: str) -> Measurement:
    """Return what a sensor measures: depth or lidar."""
    if kind == "depth":
        return DepthImage(scene.camera, scene.depth)
    return LidarPoints(scene.camera, (scene.optical.inverse() @ scene.lidar).apply(scene.points))


def _drives(root: Path) -> Iterator[Iterator[tuple[Scene, Tracks]]]:
    for clip in read_clips(root):
        yield _frames(clip, Scenes(root, clip.name))


def _frames(clip: Clip, scenes: Scenes) -> Iterator[tuple[Scene, Tracks]]:
    for index in range(len(scenes)):
        scene = scenes.read(index)
        yield scene, true_tracks(clip.frame(index), seconds(scene.time), index)


def _error(box: Box3D, true: Box3D, scene: Scene, age: int) -> Error:
    return Error(
        label=box.label,
        distance=float(np.linalg.norm(true.centre - scene.camera_in_map.translation)),
        place=float(np.linalg.norm((box.centre - true.centre)[:2])),
        height=abs(float(box.centre[2] - true.centre[2])),
        velocity=float(np.linalg.norm(box.velocity - true.velocity)),
        yaw=abs((box.yaw - true.yaw + np.pi / 2) % np.pi - np.pi / 2),
        age=age,
    )


def _row(name: str, errors: Sequence[Error]) -> None:
    if not errors:
        return
    settled = [e.velocity for e in errors if e.age > SETTLED]
    cells = [
        _spread([e.place for e in errors]),
        _spread([e.height for e in errors]),
        _spread(settled) if settled else "-",
        _spread([float(np.degrees(e.yaw)) for e in errors], digits=0),
    ]
    print(f"| {name} | {len(errors)} | {' | '.join(cells)} |")


def _spread(values: Sequence[float], digits: int = 2) -> str:
    """Return median and 90th percentile."""
    return " / ".join(f"{np.quantile(values, share):.{digits}f}" for share in (0.5, 0.9))


def _speed(root: Path) -> None:
    """Print the time of one core for all points of the first drive, beside a loop over single points."""
    kept = list(next(_drives(root)))[:10]
    for kind in ("depth", "lidar"):
        lifter, config = Lifter(CLASSES), Lifter(CLASSES).config
        measured = [(measurement(scene, kind), seen, scene) for scene, seen in kept]
        points = sum(
            int(np.isfinite(m.depth).sum()) if isinstance(m, DepthImage) else len(m.values)
            for m, _, _ in measured
        )
        start = time.process_time()
        for each, seen, _ in measured:
            each.points(seen, [i.mask for i in seen.instances], config)
        array = time.process_time() - start
        start, state = time.process_time(), LiftState()
        for each, seen, scene in measured:
            state, _ = lifter.step(state, seen, each, scene.camera_in_map)
        whole = time.process_time() - start
        start = time.process_time()
        for each, seen, scene in measured[:2]:
            _loop(each, seen, scene)
        loop = (time.process_time() - start) * len(measured) / 2
        print(
            f"{kind}: {points / len(measured):.0f} points a frame: {points / array:.3g} points/s, a loop "
            f"{points / loop:.3g}; the whole step {1000 * whole / len(measured):.1f} ms, "
            f"{sum(len(s.instances) for _, s, _ in measured) / len(measured):.0f} tracks"
        )


def _loop(measured: Measurement, tracks: Tracks, scene: Scene) -> dict[int, list[tuple[float, ...]]]:
    """Do what `points` does, point by point."""
    config, camera = Lifter(CLASSES).config, scene.camera
    owners = np.zeros((tracks.height, tracks.width), np.int64)
    for number, instance in enumerate(tracks.instances, start=1):
        mask, crop = instance.mask, without_border(instance.mask, config)
        height, width = crop.shape
        owners[mask.y : mask.y + height, mask.x : mask.x + width][crop > 0] = number
    found = dict[int, list[tuple[float, ...]]]()
    if isinstance(measured, DepthImage):
        for row in range(tracks.height):
            for column in range(tracks.width):
                z = float(measured.depth[row, column])
                if owners[row, column] and config.near < z < config.far:
                    x, y = (column - camera.cx) / camera.fx * z, (row - camera.cy) / camera.fy * z
                    found.setdefault(int(owners[row, column]), []).append((x, y, z))
        return found
    for x, y, z in measured.values.tolist():
        if config.near < z < config.far:
            column, row = round(camera.fx * x / z + camera.cx), round(camera.fy * y / z + camera.cy)
            if 0 <= column < tracks.width and 0 <= row < tracks.height and owners[row, column]:
                found.setdefault(int(owners[row, column]), []).append((x, y, z))
    return found


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--work", type=Path, required=True, help="folder for the drives")
    parser.add_argument("--drives", type=int, default=8, help="drives (default: %(default)s)")
    parser.add_argument("--length", type=int, default=24, help="frames of each (default: %(default)s)")
    parser.add_argument("--swing", type=float, default=0.2, help="yaw rate, rad/s (default: %(default)s)")
    parser.add_argument("--speed", action="store_true", help="measure the speed instead")
    return parser.parse_args()


if __name__ == "__main__":
    main()
