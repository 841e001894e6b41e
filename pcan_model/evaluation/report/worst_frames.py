"""The worst moments of clips: frames with ID switches and misses, to be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pcan_model.evaluation.metrics.clear import Pair, pairs
from pcan_model.evaluation.metrics.comparison import Compared, compare
from pcan_model.evaluation.predictions import ClipPredictions

SWITCH = 3  # misses that an ID switch weighs
APART = 3  # frames between two moments of a clip, else one mishap would fill the list


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame of a clip and what went wrong in it."""

    clip: str
    frame: int
    missed: tuple[tuple[int, int], ...]  # label and identity of true objects that nothing found
    switched: tuple[tuple[int, int], ...]  # … that another track found than before
    false: int  # predictions that are no object

    @property
    def badness(self) -> int:
        """Return how much it weighs: misses, and switches three times."""
        return len(self.missed) + SWITCH * len(self.switched)


def moments(predictions: ClipPredictions, classes: int) -> list[Moment]:
    """Return every frame of a clip in which something was missed or switched."""
    found: list[list[tuple[int, Compared, list[Pair]]]] = [[] for _ in range(len(predictions))]
    for label in range(classes):
        frames = [
            compare(t, s, label) for t, s in zip(predictions.ground_truth, predictions.predicted, strict=True)
        ]
        for time, matched in enumerate(pairs(frames)):
            found[time].append((label, frames[time], matched))
    every = (_moment(predictions.name, time, classes) for time, classes in enumerate(found))
    return [moment for moment in every if moment.badness]


def _moment(clip: str, time: int, classes: Sequence[tuple[int, Compared, list[Pair]]]) -> Moment:
    missed, switched, false = [], [], 0
    for label, frame, matched in classes:
        hit = {pair.true_id for pair in matched}
        missed += [(label, i) for i in frame.true_ids.tolist() if i not in hit]
        switched += [(label, pair.true_id) for pair in matched if pair.before is not None]
        false += len(frame.ids) - len(matched)
    return Moment(clip, time, tuple(missed), tuple(switched), false)


def worst(moments: Iterable[Moment], count: int) -> list[Moment]:
    """Return the worst ones, of any clip none that follow close on each other."""
    chosen: list[Moment] = []
    for moment in sorted(moments, key=lambda m: (-m.badness, m.clip, m.frame)):
        near = any(m.clip == moment.clip and abs(m.frame - moment.frame) < APART for m in chosen)
        if not near:
            chosen.append(moment)
        if len(chosen) == count:
            break
    return chosen
