"""KITTI-MOTS' numbers from result files, by TrackEval's own reader and metrics."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from pcan_model.core.errors import DataError
from pcan_model.core.numbers import whole_text
from pcan_model.data.formats.kitti_mots import read_lines
from pcan_model.data.formats.reading import read_rows
from pcan_model.evaluation.result_files.checked_files import MOST_FRAMES, name_strangers, result_file
from pcan_model.evaluation.result_files.checked_masks import check_masks, write_masks
from pcan_model.evaluation.result_files.trackeval_files import Scores, official_scores

METHOD = "TrackEval's KittiMOTS: masks, match at IoU >= 0.5, ignore regions (class 10)"


def score_kitti_mots(ground_truth: Path, predicted: Path, seqmap: Path | None = None) -> Scores:
    """Score a folder of `<sequence>.txt` against one; a `label_02` inside the labels' folder is found.

    seqmap   sequences with their lengths, in KITTI's form; without it all of `truth`, to the last line

    Every line is checked first. A sequence without a result file is missed, which is said.
    Raises DataError for lines that are none, and for what TrackEval refuses: overlapping masks, an id twice
    in a frame, frames beyond the sequence.
    """
    inner = ground_truth / "label_02"
    folder = inner if inner.is_dir() else ground_truth
    lengths = _from_seqmap(seqmap) if seqmap else dict.fromkeys(_names(folder))
    if not seqmap:
        name_strangers(predicted, list(lengths))
    with TemporaryDirectory() as place:
        true, mine = Path(place) / "truth", Path(place) / "results"
        true.mkdir()
        mine.mkdir()
        known = {
            name: _copy(name, (folder, predicted), (true, mine), length) for name, length in lengths.items()
        }
        settings = {"GT_LOC_FORMAT": "{gt_folder}/{seq}.txt", "SEQ_INFO": known}
        return official_scores("KittiMOTS", true, mine, settings, source=predicted)


def _copy(name: str, sources: tuple[Path, Path], places: tuple[Path, Path], length: int | None) -> int:
    """Check a sequence's labels and results and write them as the tool reads them; returns its length."""
    ground_truth = read_lines(sources[0] / f"{name}.txt", results=True)
    file = result_file(sources[1], name)
    predicted = {} if file is None else read_lines(file, results=True)
    check_masks(ground_truth, predicted, length)
    write_masks(ground_truth, places[0] / f"{name}.txt", labels=True)
    write_masks(predicted, places[1] / f"{name}.txt", labels=False)
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
