"""KITTI-MOTS' numbers from result files, by TrackEval's own reader and metrics."""

from __future__ import annotations

from pathlib import Path

from pcan_model.core.errors import DataError
from pcan_model.evaluation.result_files.trackeval_files import Scores, official_scores

METHOD = "TrackEval's KittiMOTS: masks, match at IoU >= 0.5, ignore regions (class 10)"


def score_kitti_mots(truth: Path, said: Path, seqmap: Path | None = None) -> Scores:
    """Score a folder of `<sequence>.txt` against one; a `label_02` inside the labels' folder is found.

    seqmap   sequences with their lengths, in KITTI's form; without it all of `truth`, to the last line

    Raises DataError for what TrackEval refuses: overlapping masks, an id twice in a frame, missing files.
    """
    inner = truth / "label_02"
    folder = inner if inner.is_dir() else truth
    lengths = _from_seqmap(seqmap) if seqmap else _from_lines(folder, said)
    settings = {"GT_LOC_FORMAT": "{gt_folder}/{seq}.txt", "SEQ_INFO": lengths}
    return official_scores("KittiMOTS", folder, said, settings)


def _from_seqmap(path: Path) -> dict[str, int]:
    lengths = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        parts = line.split()
        if parts and (len(parts) != 4 or not (parts[0] + parts[3]).isdigit()):
            raise DataError(f"{path}: line {number}", "fields", "sequence, empty, first, last", repr(line))
        if parts:
            lengths[f"{int(parts[0]):04d}"] = int(parts[3]) + 1
    return lengths


def _from_lines(truth: Path, said: Path) -> dict[str, int]:
    names = sorted(path.stem for path in truth.glob("*.txt"))
    if not names:
        raise DataError(truth, "*.txt", "one label file per sequence", "none")
    return {name: 1 + max(_last(folder / f"{name}.txt") for folder in (truth, said)) for name in names}


def _last(path: Path) -> int:
    """Return the last time that a file speaks of."""
    if not path.is_file():
        raise DataError(path, "file", "a sequence's lines", "no such file")
    times = [line.split(maxsplit=1)[0] for line in path.read_text().splitlines() if line.strip()]
    if not all(time.isdigit() for time in times):
        raise DataError(path, "time", "a number in front of every line", "something else")
    return max(map(int, times), default=0)
