"""CLEAR MOT as in py-motmetrics, on which BDD100K's official metrics are based.

TrackEval's CLEAR differs in two rules: here an object keeps its track over any gap, and a continued
pair takes precedence over one with higher IoU. py-motmetrics is unmaintained since 2022 and fails with
NumPy 2; the tests compare with results that it produced.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from pcan_model.evaluation.metrics.comparison import MATCH_IOU, Compared, best_pairs

MOSTLY, PARTLY = 0.8, 0.2  # minimum shares of an object's frames with a match


@dataclass(frozen=True, slots=True)
class Pair:
    """A ground-truth object matched with a track."""

    true_id: int
    track_id: int
    iou: float
    before: int | None  # previous track of the object if another one: an ID switch


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one class in one clip, or sums of these."""

    objects: int = 0  # ground-truth masks
    matches: int = 0  # matched ones, including ID switches
    switches: int = 0
    false_positives: int = 0
    fragments: int = 0  # number of interruptions of tracks
    mostly_tracked: int = 0  # objects matched in at least 80 % of their frames
    partly_tracked: int = 0
    mostly_lost: int = 0  # objects matched in less than 20 % of their frames
    overlap: float = 0.0  # sum of the IoU of the matches
    id_matches: int = 0  # IDTP of the best matching of whole tracks
    id_false_positives: int = 0
    id_misses: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def misses(self) -> int:
        """Return the number of unmatched ground-truth masks."""
        return self.objects - self.matches

    @property
    def mota(self) -> float | None:
        """Return 1 - errors / objects."""
        errors = self.misses + self.switches + self.false_positives
        return 1 - errors / self.objects if self.objects else None

    @property
    def motp(self) -> float | None:
        """Return the mean IoU of the matches."""
        return self.overlap / self.matches if self.matches else None

    @property
    def idf1(self) -> float | None:
        """Return IDF1; 0 with predictions but without ground truth."""
        everything = 2 * self.id_matches + self.id_false_positives + self.id_misses
        return 2 * self.id_matches / everything if everything else None


def pairs(frames: Sequence[Compared]) -> Iterator[list[Pair]]:
    """Match frame by frame: first continued pairs with sufficient IoU, then the best others."""
    partner: dict[int, int] = {}  # ground-truth id to its last track
    for frame in frames:
        found = _kept(frame, partner)
        iou = frame.iou.copy()
        iou[[row for row, _ in found]] = 0
        iou[:, [column for _, column in found]] = 0
        rows, columns = best_pairs(iou)
        found += zip(rows.tolist(), columns.tolist(), strict=True)
        yield [_pair(frame, row, column, partner) for row, column in found]


def _kept(frame: Compared, partner: dict[int, int]) -> list[tuple[int, int]]:
    """Return (row, column) of the objects whose last track is present with sufficient IoU."""
    column_of = {track: column for column, track in enumerate(frame.ids.tolist())}
    found, taken = [], set()
    for row, true_id in enumerate(frame.true_ids.tolist()):
        column = column_of.get(partner[true_id]) if true_id in partner else None
        if column is not None and column not in taken and frame.iou[row, column] >= MATCH_IOU:
            found.append((row, column))
            taken.add(column)
    return found


def _pair(frame: Compared, row: int, column: int, partner: dict[int, int]) -> Pair:
    """Record a match, with the previous track of the object if another one."""
    true_id, track_id = int(frame.true_ids[row]), int(frame.ids[column])
    before = partner.get(true_id, track_id)
    partner[true_id] = track_id
    return Pair(true_id, track_id, float(frame.iou[row, column]), None if before == track_id else before)


def tally(frames: Sequence[Compared]) -> Tally:
    """Count one class of a clip, without identity metrics."""
    matched = list(pairs(frames))
    history: dict[int, list[bool]] = {}  # by object: whether it is matched in each of its frames
    for frame, found in zip(frames, matched, strict=True):
        hit = {pair.true_id for pair in found}
        for true_id in frame.true_ids.tolist():
            history.setdefault(true_id, []).append(true_id in hit)
    shares = np.array([np.mean(seen) for seen in history.values()])
    everyone = [pair for found in matched for pair in found]
    return Tally(
        objects=sum(len(frame.true_ids) for frame in frames),
        matches=len(everyone),
        switches=sum(pair.before is not None for pair in everyone),
        false_positives=sum(len(frame.ids) for frame in frames) - len(everyone),
        fragments=sum(map(_fragments, history.values())),
        mostly_tracked=int((shares >= MOSTLY).sum()),
        partly_tracked=int(((shares >= PARTLY) & (shares < MOSTLY)).sum()),
        mostly_lost=int((shares < PARTLY).sum()),
        overlap=sum(pair.iou for pair in everyone),
    )


def hops(frames: Sequence[Compared]) -> int:
    """Count how often a track changes to another true object: an ID switch from the side of the track."""
    followed: dict[int, int] = {}  # track id to the true object that it found last
    count = 0
    for pair in (pair for found in pairs(frames) for pair in found):
        count += followed.get(pair.track_id, pair.true_id) != pair.true_id
        followed[pair.track_id] = pair.true_id
    return count


def _fragments(seen: list[bool]) -> int:
    """Count the gaps between an object's first and last match."""
    where = np.flatnonzero(seen)
    return int((np.diff(where) > 1).sum())
