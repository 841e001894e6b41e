"""`pcan-evaluate`: track labelled clips from files and count with the official metrics."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from pcan_model.config import CLASSES, ConfigError, load_config
from pcan_model.data.clips import Clip, DataError, LabeledFrame
from pcan_model.data.scalabel import read_clips
from pcan_model.engine import Engine
from pcan_model.evaluation.comparison import Objects, labelled, predicted
from pcan_model.evaluation.metrics import Scorer
from pcan_model.evaluation.report import Report, to_plain, to_text
from pcan_model.structures import Frame, Tracks
from pcan_model.tracker import Tracker

FRAME_TIME = 0.2  # seconds between labelled frames; files carry none, and only velocity's unit asks

EXPLANATION = """\
Track every clip below DATA (images/<video>/*.jpg, labels/<video>.json, as BDD100K seg_track has
them) and print sMOTSA, MOTSA, MOTSP, IDF1, HOTA, ID switches and recall by size per class.

  pcan-evaluate pcan_street_tiny --weights street_tiny.safetensors --data drives
  pcan-evaluate models/street_tiny --engine onnx --data drives --videos a b --out report.json

The figures come from TrackEval: pip install scipy && pip install --no-deps trackeval==1.3.0
"""


def follow(tracker: Tracker, clip: Clip) -> Iterator[tuple[LabeledFrame, Tracks]]:
    """Track a clip from an empty state; yields each frame's labels and what the tracker says."""
    state = tracker.start()
    for index in range(len(clip)):
        frame = clip.frame(index)
        state, tracks = tracker.step(state, Frame(frame.image, index * FRAME_TIME))
        yield frame, tracks


def evaluate_clip(tracker: Tracker, clip: Clip) -> tuple[Objects, ...]:
    """Return what each frame of a clip shows, tracked from an empty state."""
    return tuple(predicted(tracks) for _, tracks in follow(tracker, clip))


def score(
    clips: Sequence[Clip],
    predictions: Sequence[Sequence[Objects]],
    classes: Sequence[str] = CLASSES,
) -> Report:
    """Count predictions against the labels of their clips, one sequence of frames per clip."""
    scorer = Scorer(classes)
    for clip, said in zip(clips, predictions, strict=True):
        scorer.add(truth_of(clip), said)
    return scorer.report()


def truth_of(clip: Clip) -> tuple[Objects, ...]:
    """Return the labels of every frame of a clip."""
    return tuple(_truth(clip.frame(index)) for index in range(len(clip)))


def _truth(frame: LabeledFrame) -> Objects:
    return labelled(frame.masks, frame.labels, frame.ids, frame.ignore)


def evaluate(tracker: Tracker, clips: Sequence[Clip]) -> Report:
    """Track and count clips one by one, each frame read once; only one clip is in memory."""
    scorer = Scorer(tracker.engine.config.classes)
    with tqdm(total=sum(map(len, clips)), unit="frame", desc="evaluate") as bar:
        for clip in clips:
            bar.set_postfix_str(clip.name)
            truth, said = [], []
            for frame, tracks in follow(tracker, clip):
                truth.append(_truth(frame))
                said.append(predicted(tracks))
                bar.update()
            scorer.add(truth, said)
    return scorer.report()


def make_engine(kind: str, model: str, weights: Path | None) -> Engine:
    """Load a network; its runtime is imported only now, so that the others need not be there.

    kind     torch: `model` is a configuration, with `weights`; onnx: `model` is a model folder
    """
    if kind == "onnx":
        return cast(Engine, import_module("pcan_ros.runtime.onnx_engine").OnnxEngine(Path(model)))
    if weights is None:
        raise ConfigError(f"{model}: --weights: expected a .safetensors file, got none")
    if not weights.is_file():
        raise ConfigError(f"{weights}: --weights: expected a .safetensors file, got no such file")
    engine = import_module("pcan_model.torch_engine").TorchEngine(load_config(model), weights)
    return cast(Engine, engine)


def write_report(path: Path, report: Report, provenance: dict[str, Any]) -> None:
    """Save the report as JSON with where it comes from, whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_text(json.dumps(provenance | to_plain(report), indent=1) + "\n")
    partial.replace(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after an error that the user can mend."""
    options = _parser().parse_args(arguments)
    try:
        clips = read_clips(options.data, videos=options.videos)
        tracker = Tracker(make_engine(options.engine, options.model, options.weights))
        report = evaluate(tracker, clips)
    except (ConfigError, DataError, ImportError, OSError) as error:
        print(f"pcan-evaluate: {error}", file=sys.stderr)
        return 2
    print(to_text(report))
    if options.out:
        write_report(options.out, report, _provenance(options, arguments, clips))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "pcan-evaluate",
        description=EXPLANATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", help="configuration (name or YAML file); a model folder with --engine onnx")
    add("--weights", type=Path, help="trained weights (.safetensors), for --engine torch")
    add("--engine", choices=("torch", "onnx"), default="torch", help="runtime (default: torch)")
    add("--data", type=Path, required=True, help="folder with images/ and labels/")
    add("--videos", nargs="+", metavar="NAME", help="only these clips (default: all)")
    add("--out", type=Path, help="also write the report as JSON")
    return parser


def _provenance(
    options: argparse.Namespace, arguments: Sequence[str] | None, clips: Sequence[Clip]
) -> dict[str, Any]:
    """Say which command, weights and clips a report is of."""
    words = sys.argv[1:] if arguments is None else arguments
    weights = options.weights
    return {
        "command": shlex.join(["pcan-evaluate", *words]),
        "weights_sha256": sha256(weights.read_bytes()).hexdigest() if weights else None,
        "videos": [clip.name for clip in clips],
    }


if __name__ == "__main__":
    sys.exit(main())
