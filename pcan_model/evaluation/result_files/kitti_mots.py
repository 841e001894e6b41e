"""KITTI-MOTS scores of result files, with TrackEval's reader and metrics."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole_text
from pcan_model.data.formats.kitti_mots import read_lines
from pcan_model.data.formats.reading import read_rows
from pcan_model.evaluation.result_files.checked_files import (
    MOST_FRAMES,
    result_file,
    warn_of_unknown_sequences,
)
from pcan_model.evaluation.result_files.checked_masks import check_masks, write_masks
from pcan_model.evaluation.result_files.trackeval_files import Scores, official_scores

METHOD = "TrackEval's KittiMOTS: masks, match at IoU >= 0.5, ignore regions (class 10)"


def score_kitti_mots(ground_truth: Path, predicted: Path, seqmap: Path | None = None) -> Scores:
    """Score a folder of `<sequence>.txt` against another, or against its subfolder `label_02`.

    seqmap   sequences with their lengths, in KITTI's format; by default all of `ground_truth`, to the last
             line

    Every line is validated first. A missing result file is reported and counts as missed objects.
    Raises DataError for invalid lines and for what TrackEval rejects: overlapping masks, duplicate ids in a
    frame, and frames beyond the sequence.
    """
    inner = ground_truth / "label_02"
    folder = inner if inner.is_dir() else ground_truth
    lengths = _from_seqmap(seqmap) if seqmap else dict.fromkeys(_names(folder))
    if not seqmap:
        warn_of_unknown_sequences(predicted, list(lengths))
    with TemporaryDirectory() as temporary:
        targets, predictions = Path(temporary) / "truth", Path(temporary) / "results"
        targets.mkdir()
        predictions.mkdir()
        known = {
            name: _copy(name, (folder, predicted), (targets, predictions), length)
            for name, length in lengths.items()
        }
        settings = {"GT_LOC_FORMAT": "{gt_folder}/{seq}.txt", "SEQ_INFO": known}
        return official_scores("KittiMOTS", targets, predictions, settings, source=predicted)


def _copy(
    name: str, sources: tuple[Path, Path], targets_and_predictions: tuple[Path, Path], length: int | None
) -> int:
    """Validate a sequence's labels and results and write them for TrackEval; returns its length."""
    ground_truth = read_lines(sources[0] / f"{name}.txt", results=True)
    file = result_file(sources[1], name)
    predicted = {} if file is None else read_lines(file, results=True)
    check_masks(ground_truth, predicted, length)
    write_masks(ground_truth, targets_and_predictions[0] / f"{name}.txt", labels=True)
    write_masks(predicted, targets_and_predictions[1] / f"{name}.txt", labels=False)
    return 1 + max([*ground_truth, *predicted], default=0) if length is None else length


def _from_seqmap(path: Path) -> dict[str, int | None]:
    lengths: dict[str, int | None] = {}
    for number, line in read_rows(path, "a seqmap"):
        parts = line.split()
        first, last = (whole_text(parts[k]) for k in (0, 3)) if len(parts) == 4 else (None, None)
        if first is None or last is None or last >= MOST_FRAMES:
            raise DataError(f"{path}: line {number}", "fields", "sequence, empty, first, last", repr(line))
        lengths[f"{first:04d}"] = last + 1
    if not lengths:
        raise DataError(path, "lines", "a sequence in each", "none")
    return lengths


def _names(ground_truth: Path) -> list[str]:
    names = sorted(path.stem for path in ground_truth.glob("*.txt"))
    if not names:
        raise DataError(ground_truth, "*.txt", "one label file per sequence", "none")
    return names
