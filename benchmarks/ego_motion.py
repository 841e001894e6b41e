"""Measure what odometry does for association on turning drives: ID switches with, without, with bad odometry.

    python benchmarks/ego_motion.py                       boxes of the drives' 3D objects, no images
    python benchmarks/ego_motion.py --images /tmp/lifting true masks of rendered drives, and their images

Detections are true boxes, of which 10 % are dropped and all are jittered by 3 % of their side; embeddings are
noisy and similar within a class. So the association is measured, not a network. A switch is a change of the
track id of an object. Settings are those of pcan_street.yaml, but for what the row says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.damaged_odometry import DAMAGES, Damage
from pcan_model.core.config import load_config
from pcan_model.core.engine import Engine
from pcan_model.core.geometry import box_iou
from pcan_model.core.space import Box3D
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import CameraPlace, Detections, Frame, Slots
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.data.datasets.scalabel import read_clips
from pcan_model.data.scenes import Scenes
from pcan_model.synthetic.drive import SyntheticDrive
from pcan_model.tracking.tracker import Tracker

FIRST = 230_000  # seeds of the drives
DRIVES = {5: 12, 30: 12}  # frames a second: number of drives
SWING = 0.35  # radians per second
HEIGHT, WIDTH, SECONDS = 384, 640, 6.0
DROPPED, JITTER = 0.1, 0.03  # share of the detections; of their side
EMBED, APART, NOISE = 16, 0.7, 0.55  # length; how far objects of a class differ; noise of an embedding
HIDDEN = 0.7  # share covered by nearer boxes from which on an object is not detected


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame of a drive: what a detector would find, and where the camera is."""

    frame: Frame
    boxes: NDArray[np.float32]  # (N, 4)
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    place: CameraPlace


class TrueBoxes(Engine):
    """Finds the true boxes of a drive, with jitter; its memory is the index of the frame."""

    def __init__(self, config: Any, seen: Sequence[Seen], seed: int) -> None:
        self.config = config
        rng, objects = np.random.default_rng(seed), dict[int, NDArray[np.float64]]()
        classes = rng.normal(0, 1, (16, EMBED))
        self.found, self.ids = list[Detections](), list[NDArray[np.int64]]()
        for each in seen:
            kept = rng.random(len(each.ids)) >= DROPPED
            boxes, labels, ids = each.boxes[kept], each.labels[kept], each.ids[kept]
            side = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(1))[:, None]
            boxes = boxes + rng.normal(0, 1, boxes.shape) * (JITTER * side + 0.5)
            for label, identity in zip(labels, ids, strict=True):
                objects.setdefault(int(identity), classes[label] + APART * rng.normal(0, 1, EMBED))
            embeds = np.array([objects[int(i)] for i in ids]).reshape(-1, EMBED)
            embeds = embeds + NOISE * rng.normal(0, 1, embeds.shape)
            scores = rng.uniform(0.82, 0.99, len(ids)).astype(np.float32)
            order = np.argsort(-scores, kind="stable")
            self.ids.append(ids[order])
            scores, embeds = scores[order], embeds[order].astype(np.float32)
            found = boxes[order].astype(np.float32), scores, labels[order], embeds
            self.found.append(Detections(*found, rows=np.arange(len(ids))))

    def start(self, camera: int = 0) -> int:
        """Return the index of the first frame."""
        return 0

    def detect(self, image: Any, memory: int) -> tuple[Detections, Any]:
        """Return what was found in the frame."""
        return self.found[memory], None

    def segment(self, features: Any, slots: Slots, memory: int, *, remember: bool) -> tuple[Any, int]:
        """Return masks of one cell, and the index of the next frame."""
        return np.ones((100, 1, 1), np.float32), memory + 1


def drives(rate: float, swing: float) -> Iterator[list[Seen]]:
    """Yield the frames of drives whose camera turns, without images."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for seed in range(FIRST, FIRST + DRIVES[round(rate)]):
        drive = SyntheticDrive(seed, round(SECONDS * rate), HEIGHT, WIDTH, rate=rate, swing=swing)
        seen = []
        for index in range(len(drive)):
            place = drive.place(index)
            found = projected(drive.objects(index), place)
            seen.append(Seen(Frame(image, seconds(drive.time(index))), *found, place))
        yield seen


def projected(
    objects: Sequence[Box3D], place: CameraPlace
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Return boxes, labels and ids of the objects that the image shows, by their corners."""
    found = []
    for box in objects:
        corners = np.concatenate([np.column_stack([box.footprint, np.full(4, z)]) for z in (
            box.centre[2] - box.size[2] / 2, box.centre[2] + box.size[2] / 2)])  # fmt: skip
        local = place.pose.inverse().apply(corners)
        if local[:, 2].min() < 1.0:
            continue
        pixels = place.camera.project(local)
        low, high = pixels.min(0).clip(0, (WIDTH, HEIGHT)), pixels.max(0).clip(0, (WIDTH, HEIGHT))
        if (high - low).min() >= 6:
            found.append((float(local[:, 2].mean()), [*low, *high], box))
    found.sort(key=lambda entry: entry[0])
    boxes = np.array([entry[1] for entry in found], np.float32).reshape(-1, 4)
    kept = [k for k in range(len(found)) if _covered(boxes[k], boxes[:k]) < HIDDEN]
    labels = np.array([found[k][2].label for k in kept], np.int64)
    return boxes[kept], labels, np.array([found[k][2].track_id for k in kept], np.int64)


def _covered(box: NDArray[np.float32], nearer: NDArray[np.float32]) -> float:
    """Return the greatest share of a box that one nearer box covers."""
    if not len(nearer):
        return 0.0
    low, high = np.maximum(box[:2], nearer[:, :2]), np.minimum(box[2:], nearer[:, 2:])
    area = float((box[2:] - box[:2]).prod())
    return float(np.clip(high - low, 0, None).prod(1).max() / area)


def rendered(root: Path, every: int) -> Iterator[list[Seen]]:
    """Yield every n-th frame of rendered drives, with true masks as boxes."""
    for clip in read_clips(root):
        scenes, seen = Scenes(root, clip.name), []
        for index in range(0, len(scenes), every):
            frame, scene = clip.frame(index), scenes.read(index)
            boxes = [_around(mask) for mask in frame.masks]
            place = CameraPlace(scene.camera_in_map, scene.camera)
            image = Frame(frame.image, seconds(scene.time))
            array = np.array(boxes, np.float32).reshape(-1, 4)
            seen.append(Seen(image, array, frame.labels, frame.ids, place))
        yield seen


def _around(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def damaged(seen: Sequence[Seen], damage: Damage | None, seed: int) -> Iterator[Frame]:
    """Yield the frames with the odometry that a row is about; None: without."""
    if damage is None:
        yield from (each.frame for each in seen)
        return
    poses, stamps = [each.place.pose for each in seen], [each.frame.stamp for each in seen]
    told = damage(poses, stamps, np.random.default_rng(seed))
    for each, pose in zip(seen, told, strict=True):
        place = None if pose is None else replace(each.place, pose=pose)
        yield replace(each.frame, place=place)


def switches(seen: Sequence[Seen], how: Damage | None, config: TrackerConfig, seed: int) -> tuple[int, int]:
    """Return how often the track id of an object changes, and the number of tracks."""
    base = load_config("pcan_street_tiny")
    base = replace(base, input=replace(base.input, height=HEIGHT, width=WIDTH), tracker=config)
    engine = TrueBoxes(base, seen, seed)
    tracker = Tracker(engine, config)
    state, known, count, tracks = tracker.start(), dict[int, int](), 0, set[int]()
    for index, frame in enumerate(damaged(seen, how, seed)):
        state, out = tracker.step(state, frame)
        found = engine.found[index].boxes
        for instance in out.found():
            row = int(box_iou(instance.box[None], np.clip(found, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))).argmax())
            identity = int(engine.ids[index][row])
            count += known.get(identity, instance.track_id) != instance.track_id
            known[identity] = instance.track_id
            tracks.add(instance.track_id)
    return count, len(tracks)


ROWS: dict[str, Damage | None] = {"nothing": None, **DAMAGES}  # what is known of the motion of the camera


def main() -> None:
    options = _options()
    street = load_config("pcan_street").tracker
    sets: dict[str, list[list[Seen]]] = {}
    if options.images:
        sets["10 Hz"], sets["5 Hz"] = list(rendered(options.images, 1)), list(rendered(options.images, 2))
    else:
        for rate in DRIVES:
            sets[f"{rate} Hz"] = list(drives(rate, SWING))
    print(f"| camera motion by | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|", sep="\n")
    for image in (True, False) if options.images else (False,):
        config = replace(street, camera_motion=image)
        for name, how in ROWS.items():
            cells = []
            for clips in sets.values():
                counts = [switches(seen, how, config, seed) for seed, seen in enumerate(clips)]
                cells.append(f"{sum(c for c, _ in counts)} ({sum(n for _, n in counts)})")
            label = f"image, {name}" if image else name
            print(f"| {label} | {' | '.join(cells)} |", flush=True)


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument(
        "--images", type=Path, help="drives with geometry and images, of benchmarks/lifting.py"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
