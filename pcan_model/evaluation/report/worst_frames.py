"""The frames with the most ID switches and misses, for visual inspection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pcan_model.evaluation.metrics.clear import Pair, pairs
from pcan_model.evaluation.metrics.comparison import Compared, compare
from pcan_model.evaluation.predictions import ClipPredictions

SWITCH = 3  # weight of an ID switch, in misses
MIN_DISTANCE = 3  # frames between two entries of a clip, so that one mistake does not fill the list


@dataclass(frozen=True, slots=True)
class WorstFrame:
    """A frame with its errors."""

    clip: str
    frame: int
    missed: tuple[tuple[int, int], ...]  # label and identity of unmatched ground-truth objects
    switched: tuple[tuple[int, int], ...]  # … of those with an ID switch
    false: int  # unmatched predictions

    @property
    def severity(self) -> int:
        """Return the number of misses, with switches counted three times."""
        return len(self.missed) + SWITCH * len(self.switched)


def worst_frames(predictions: ClipPredictions, classes: int) -> list[WorstFrame]:
    """Return the frames of a clip with a miss or an ID switch."""
    found: list[list[tuple[int, Compared, list[Pair]]]] = [[] for _ in range(len(predictions))]
    for label in range(classes):
        frames = [
            compare(t, s, label) for t, s in zip(predictions.ground_truth, predictions.predicted, strict=True)
        ]
        for time, matched in enumerate(pairs(frames)):
            found[time].append((label, frames[time], matched))
    every = (_worst_frame(predictions.name, time, classes) for time, classes in enumerate(found))
    return [worst for worst in every if worst.severity]


def _worst_frame(clip: str, time: int, classes: Sequence[tuple[int, Compared, list[Pair]]]) -> WorstFrame:
    missed, switched, false = [], [], 0
    for label, frame, matched in classes:
        hit = {pair.true_id for pair in matched}
        missed += [(label, i) for i in frame.true_ids.tolist() if i not in hit]
        switched += [(label, pair.true_id) for pair in matched if pair.before is not None]
        false += len(frame.ids) - len(matched)
    return WorstFrame(clip, time, tuple(missed), tuple(switched), false)


def select_worst(worst_frames: Iterable[WorstFrame], count: int) -> list[WorstFrame]:
    """Return the frames of highest severity, at least MIN_DISTANCE apart within a clip."""
    chosen: list[WorstFrame] = []
    for worst in sorted(worst_frames, key=lambda m: (-m.severity, m.clip, m.frame)):
        near = any(m.clip == worst.clip and abs(m.frame - worst.frame) < MIN_DISTANCE for m in chosen)
        if not near:
            chosen.append(worst)
        if len(chosen) == count:
            break
    return chosen
