"""Measure the effect of each setting of the association, on drives at 30, 5 and 2 Hz and on real streets.

    python benchmarks/association.py MODEL --work /tmp/association

renders synthetic drives that no training draws below --work, runs MODEL (an exported folder) once over them
and over test/street_val (its images are in --images), keeps what it found, and replays the association with
each row of VARIANTS. In all variants masks are those of new objects. Stored results in --work are used again.
`--only WORD` chooses rows, `--sets` clips, `--set KEY=VALUE` adds a row.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pcan_model.core.atomic_write import write_bytes
from pcan_model.core.config import Config
from pcan_model.core.engine import Engine
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Detections, Frame, Slots
from pcan_model.core.tracker_config import TrackerConfig
from pcan_model.data.clips import Clip
from pcan_model.data.datasets.scalabel import read_clips
from pcan_model.evaluation.metrics.comparison import Objects, objects_of
from pcan_model.evaluation.metrics.scores import Score
from pcan_model.evaluation.metrics.tracking import Scorer
from pcan_model.evaluation.predictions import ground_truth_of
from pcan_model.inference.backends import EngineOptions, open_engine
from pcan_model.inference.manifest import ModelFiles
from pcan_model.synthetic.drive import write_drives
from pcan_model.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parent.parent
FIRST = 200_000  # seeds that no training and no other measurement draws
DRIVES = {30: (7, 75), 5: (10, 50), 2: (10, 20)}  # frames a second: drives, frames of each
STREET_RATE = 10.0  # frames a second of street_val's bursts, roughly
REFERENCE: dict[str, Any] = {  # the paper's rules with overlap, as the street presets had them before
    "motion": "mean", "camera_motion": False, "gate": 0.0, "motion_weight": 0.0, "least_cosine": -1.0,
    "match_classes": "same", "class_momentum": 1.0, "second_pass": "none", "iou_weight": 0.5,
    "lost_frames": 10, "lost_seconds": 0.0, "confirm_frames": 1, "confirm_score": 1.0,
}  # fmt: skip
STREET: dict[str, Any] = {  # as configs/pcan_street.yaml has them
    "motion": "kalman", "camera_motion": True, "gate": 13.3, "lost_frames": 2, "lost_seconds": 2.0,
    "confirm_frames": 2, "confirm_score": 0.8,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "reference": {},
    "street": STREET,
    "street without camera motion": STREET | {"camera_motion": False},
    "street without gate": STREET | {"gate": 0.0},
    "street without confirmed births": STREET | {"confirm_frames": 1},
    "street, lost tracks kept 10 frames": STREET | {"lost_frames": 10, "lost_seconds": 0.0},
    "street with motion in the similarity": STREET | {"motion_weight": 0.25, "iou_weight": 0.25},
    "street with a second pass (weak)": STREET | {"second_pass": "weak"},
    "street with a second pass (all)": STREET | {"second_pass": "all"},
    "street with class votes": STREET | {"match_classes": "any", "class_momentum": 0.4},
    "street, least cosine 0.5": STREET | {"least_cosine": 0.5},
}


class Recorder(Engine):
    """Wraps an engine and records its detections and masks of each frame."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.config, self.camera_format = engine, engine.config, engine.camera_format
        self.found: list[Detections] = []
        self.logits: list[np.ndarray[Any, Any]] = []

    def start(self, camera: int = 0) -> Any:
        """Return the engine's empty memory."""
        return self._engine.start(camera)

    def detect(self, image: Any, memory: Any) -> tuple[Detections, Any]:
        """Keep what the engine finds."""
        found, features = self._engine.detect(image, memory)
        self.found.append(found)
        return found, features

    def segment(self, features: Any, slots: Slots, memory: Any, *, remember: bool) -> tuple[Any, Any]:
        """Keep the masks, each as of an object that is new."""
        fresh = replace(slots, fresh=np.ones_like(slots.fresh))
        logits, after = self._engine.segment(features, fresh, memory, remember=remember)
        self.logits.append(logits[self.found[-1].rows])
        return logits, after

    def write(self, path: Path) -> None:
        """Save the recorded frames."""
        names = ("boxes", "scores", "labels", "embeds")
        arrays = {name: np.concatenate([getattr(f, name) for f in self.found]) for name in names}
        counts = np.array([len(f) for f in self.found])
        logits = np.concatenate([part.astype(np.float16) for part in self.logits])
        buffer = io.BytesIO()
        np.savez_compressed(buffer, counts=counts, logits=logits, **arrays)
        write_bytes(path, buffer.getvalue())


class Replay(Engine):
    """Replays recorded frames; its memory is the frame index."""

    def __init__(self, config: Any, path: Path) -> None:
        self.config = config
        record = np.load(path)
        cuts = np.cumsum(record["counts"])[:-1]
        parts = {name: np.split(record[name], cuts) for name in record.files if name != "counts"}
        self._logits = parts.pop("logits")
        frames = [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]
        self._found = [Detections(**f, rows=np.arange(len(f["scores"]))) for f in frames]

    def start(self, camera: int = 0) -> int:
        """Return the index of the first frame."""
        return 0

    def detect(self, image: Any, memory: int) -> tuple[Detections, Any]:
        """Return what was found in the frame."""
        return self._found[memory], None

    def segment(self, features: Any, slots: Slots, memory: int, *, remember: bool) -> tuple[Any, int]:
        """Return the masks of the frame, and the index of the next."""
        return self._logits[memory].astype(np.float32), memory + 1


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A clip in memory."""

    frames: Sequence[Frame]
    truth: Sequence[Objects]
    found: Path  # what was recorded


def main() -> None:
    options = _options()
    sets = {name: clips for name, clips in _sets(options).items() if name in options.sets}
    for name, clips in sets.items():
        _record(clips, options, name)
    known = {
        name: [_read(clip, _file(clip, options, name)) for clip in clips] for name, clips in sets.items()
    }
    base = replace(ModelFiles(options.model).config.tracker, **REFERENCE)
    print("| clips | variant | HOTA | IDF1 | MOTSA | FP | IDSw | hops | AssA |", "|---" * 9 + "|", sep="\n")
    for variant, changes in _variants(options).items():
        for name, clips in known.items():
            score = _scored(clips, ModelFiles(options.model).config, replace(base, **changes))
            print(f"| {name} | {variant} | {' | '.join(_cells(score))} |", flush=True)


def _variants(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    own = {" ".join(row): dict(_setting(word) for word in row) for row in options.set}
    known = {name: row for name, row in VARIANTS.items() if any(word in name for word in options.only)}
    return own or known


def _setting(word: str) -> tuple[str, Any]:
    key, _, value = word.partition("=")
    return key, yaml.safe_load(value)


def _sets(options: argparse.Namespace) -> dict[str, list[Clip]]:
    sets: dict[str, list[Clip]] = {}
    for rate, (count, length) in DRIVES.items():
        folder = options.work / f"drives_{rate}"
        write_drives(folder, range(FIRST, FIRST + count), length=length, rate=rate)
        sets[f"{rate}Hz"] = _at(rate, read_clips(folder))
    street = options.work / "street_val"
    if not street.exists() and options.images.exists():
        street.mkdir(parents=True)
        (street / "labels").symlink_to(ROOT / "test/street_val/labels")
        (street / "images").symlink_to(options.images.resolve())
    if street.exists():
        sets["street_val"] = _at(STREET_RATE, read_clips(street))
    return sets


def _at(rate: float, clips: Sequence[Clip]) -> list[Clip]:
    for clip in clips:
        clip.rate = rate
    return list(clips)


def _file(clip: Clip, options: argparse.Namespace, name: str) -> Path:
    folder: Path = options.work / f"found_{options.model.name}" / name
    return folder / f"{clip.name}.npz"


def _record(clips: Sequence[Clip], options: argparse.Namespace, name: str) -> None:
    missing = [clip for clip in clips if not _file(clip, options, name).exists()]
    if not missing:
        return
    engine = open_engine(options.model, EngineOptions("onnxruntime", threads=1)).engine
    for clip in missing:
        recorder = Recorder(engine)
        tracker = Tracker(recorder)
        state = tracker.start()
        for frame in clip.frames():
            state, _ = tracker.step(state, Frame(frame.image, seconds(frame.time)))
        _file(clip, options, name).parent.mkdir(parents=True, exist_ok=True)
        recorder.write(_file(clip, options, name))


def _read(clip: Clip, found: Path) -> Known:
    frames = list(clip.frames())
    truth = [ground_truth_of(frame) for frame in frames]
    return Known([Frame(frame.image, seconds(frame.time)) for frame in frames], truth, found)


def _scored(clips: Sequence[Known], config: Config, tracker: TrackerConfig) -> Score:
    scorer = Scorer(config.classes)
    for clip in clips:
        scorer.add(clip.truth, list(_replayed(clip.frames, Tracker(Replay(config, clip.found), tracker))))
    return scorer.report().sum


def _replayed(frames: Sequence[Frame], tracker: Tracker) -> Iterator[Objects]:
    state = tracker.start()
    for frame in frames:
        state, tracks = tracker.step(state, frame)
        yield objects_of(tracks)


def _cells(score: Score) -> Iterator[str]:
    yield from (f"{100 * (rate or 0):.1f}" for rate in (score.hota, score.idf1, score.motsa))
    yield from map(str, (score.false_positives, score.id_switches, score.hops))
    yield f"{100 * (score.assa or 0):.1f}"


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("model", type=Path, help="exported model")
    add("--work", type=Path, required=True, help="folder for drives and what was found")
    shared = ROOT.parent / "shared/data/street2_research/images"
    add("--images", type=Path, default=shared, help="of street_val (default: %(default)s)")
    add("--sets", nargs="+", default=["30Hz", "5Hz", "2Hz", "street_val"], help="clips (default: all)")
    add("--only", nargs="+", default=[""], help="rows of VARIANTS with this in their name")
    add("--set", nargs="+", action="append", default=[], metavar="KEY=VALUE", help="an additional row")
    return parser.parse_args()


if __name__ == "__main__":
    main()
