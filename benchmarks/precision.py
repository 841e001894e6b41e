"""Measure accuracy, agreement with fp32 and speed of models in 16 and 8 bits.

    python benchmarks/precision.py --out /tmp/precision \\
        --calibration ../shared/data/street#carpark_a,carpark_b,plaza,street_bike \\
        --data ../shared/data/street#highway_test

exports a model in every precision below --out (one that is there is used again), tracks --data and
synthetic drives that no training draws through ONNX Runtime on one thread, and prints the tables of
docs/precision.md. Calibration takes --calibration and drives of seeds below 500. Times are CPU time of
runs that take turns, so that other work on the machine costs all alike.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tqdm import tqdm

from pcan_model.core.structures import Frame, Tracks
from pcan_model.data.clips import Clip
from pcan_model.evaluation.predict import Prediction, predict_clip
from pcan_model.evaluation.predictions import collect_predictions
from pcan_model.evaluation.report.summary import summarise
from pcan_model.export.calibration import calibration_clips
from pcan_model.export.checkpoint_export import export_checkpoint
from pcan_model.export.options import ExportOptions
from pcan_model.export.quantise import LAYERS
from pcan_model.export.track_agreement import track_agreement
from pcan_model.inference.backends import EngineOptions, open_engine
from pcan_model.inference.manifest import PRECISIONS, is_model
from pcan_model.synthetic.drive import SyntheticDrive, write_drives
from pcan_model.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parent.parent
FIRST, FITTED = 100_000, 6  # seed of the first drive held out; drives of seeds from 0 to calibrate with
BACKENDS = ("onnxruntime", "openvino")
MIXED = tuple(f"{precision}+fp16" for precision in LAYERS)  # with the rest in fp16
RATES = {"hota": "HOTA", "motsa": "MOTSA", "idf1": "IDF1", "motsp": "MOTSP"}


def main() -> None:
    options = _options()
    folders = {name: _exported(name, options) for name in options.precisions}
    sets = {source: calibration_clips([source]) for source in options.data}
    if options.drives:
        seeds = range(FIRST, FIRST + options.drives)
        sets[f"{options.drives} synthetic drives"] = [SyntheticDrive(s, options.length) for s in seeds]
    print("\n".join(heads("precision")))
    for source, clips in sets.items():
        trackers = {precision: _tracker(folder, "onnxruntime") for precision, folder in folders.items()}
        for line in accuracy(Path(source).name, clips, trackers):
            print(line, flush=True)
    _times(folders)


def _exported(name: str, options: argparse.Namespace) -> Path:
    """Return the folder of the model in a precision, exporting it if missing."""
    folder: Path = options.out / name
    if is_model(folder):
        return folder
    drives = options.out / "drives"
    write_drives(drives, range(FITTED), length=8)
    precision, _, rest = name.partition("+")
    how = ExportOptions(precision=precision, rest=rest or None)  # type: ignore[arg-type]  # told by the name
    calibration = [*options.calibration, str(drives)]
    for line in export_checkpoint(folder, how, weights=options.weights, calibration=calibration):
        print(line)
    return folder


def heads(variant: str) -> tuple[str, str]:
    """Return the header of a table of `accuracy`; `variant` is the title of the first column."""
    names = ("clips", variant, *RATES.values(), "IDSw", "beside the first")
    return f"| {' | '.join(names)} |", "|---" * len(names) + "|"


def accuracy(name: str, clips: Sequence[Clip], trackers: dict[str, Tracker]) -> Iterator[str]:
    """Yield a row for each tracker on labelled clips."""
    reference: list[Tracks] = []
    for variant, tracker in trackers.items():
        predicted = list[Tracks]()

        def watched(
            clip: Clip, tracker: Tracker = tracker, predicted: list[Tracks] = predicted
        ) -> Iterator[Prediction]:
            for one in predict_clip(tracker, clip):
                predicted.append(one.tracks)
                yield one

        with tqdm(total=sum(map(len, clips)), unit="frame", desc=f"{name} {variant}", leave=False) as bar:
            total = summarise(
                collect_predictions(watched, clip, progress=bar.update) for clip in clips
            ).report.sum
        reference = reference or predicted
        rates = (getattr(total, rate) for rate in RATES)
        cells = ("-" if rate is None else f"{100 * rate:.1f}" for rate in rates)
        alike = track_agreement(predicted, reference) if predicted is not reference else "-"
        yield f"| {name} | {variant} | {' | '.join(cells)} | {total.id_switches} | {alike} |"


def _times(folders: dict[str, Path], rounds: int = 3) -> None:
    """Print CPU time per frame of every runtime and precision, run alternately, on one thread."""
    drive = SyntheticDrive(FIRST, 6)
    frames = [Frame(drive.frame(i).image, i / 10) for i in range(len(drive))]
    runs = {
        (backend, precision): _tracker(folder, backend)
        for backend in BACKENDS
        for precision, folder in folders.items()
    }
    spent: dict[tuple[str, str], list[float]] = {run: [] for run in runs}
    states = {run: tracker.start() for run, tracker in runs.items()}
    for frame in frames * rounds:
        for run, tracker in runs.items():
            began = time.process_time()
            states[run], _ = tracker.step(states[run], frame)
            spent[run].append(time.process_time() - began)
    print("\n| runtime | precision | CPU ms per frame | of fp32's |", "|---" * 4 + "|", sep="\n")
    for (backend, precision), times in spent.items():
        own, base = (statistics.median(values) for values in (times, spent[backend, next(iter(folders))]))
        print(f"| {backend} | {precision} | {1000 * own:.0f} | {own / base:.2f} |")


def _tracker(folder: Path, backend: str) -> Tracker:
    return Tracker(open_engine(folder, EngineOptions(backend, threads=1)).engine)


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = parser.add_argument
    add("--weights", type=Path, default=ROOT / "models/pcan_street_tiny/weights.safetensors")
    add("--out", type=Path, required=True, help="folder for the exported models")
    add("--calibration", nargs="+", default=[], help="clips of the training, as for pcan-export")
    add("--data", nargs="*", default=[], help="labelled clips held out, in the same form")
    add("--drives", type=int, default=6, help="synthetic drives held out (default: 6)")
    add("--length", type=int, default=10, help="frames of each (default: 10)")
    some, every = "precisions to set side by side, the first is the reference", [*PRECISIONS, *MIXED]
    add("--precisions", nargs="+", choices=every, default=every, help=some)
    return parser.parse_args()


if __name__ == "__main__":
    main()
