"""Which of a model's input sizes a time budget allows, and the state of a camera at another size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pcan_model.core.config import InputConfig
from pcan_model.core.geometry import Letterbox, fit_image
from pcan_model.core.structures import Motion, State, Track
from pcan_model.tracking.pace import Pace, shortest_interval

SHORT = 2  # frames; a larger size is for key frames at least this often, otherwise a smaller one is better
RESERVE = 1.1  # times the seconds expected of a larger size must fit in the budget
PATIENT = 15  # key frames for which a larger size must have fitted before it is taken


@dataclass(frozen=True, slots=True)
class SizeChoice:
    """The input size of one camera, as a value: the largest at which every SHORT-th frame is a key frame.

    If none is, the smallest. No size but the smallest enlarges the camera's images. A size is left as soon
    as it is too slow; a larger one is taken only after a while, so that it does not swing with the
    measurements.
    """

    pixels: tuple[int, ...] = (1,)  # of the inputs, ascending
    index: int = 0  # of the present size
    seconds: tuple[float | None, ...] = (None,)  # of a key frame at each size; None: never taken
    fitting: int = 0  # key frames for which a larger size has fitted

    def __post_init__(self) -> None:
        if not (self.pixels and list(self.pixels) == sorted(set(self.pixels)) and min(self.pixels) > 0):
            raise ValueError(f"SizeChoice: pixels: expected ascending numbers > 0, got {self.pixels}")
        if not 0 <= self.index < len(self.pixels) == len(self.seconds):
            raise ValueError(f"SizeChoice: expected an index and seconds of {len(self.pixels)} sizes")

    @classmethod
    def of(cls, pixels: tuple[int, ...]) -> SizeChoice:
        """Return the choice before the first frame: the smallest size."""
        return cls(pixels, 0, (None,) * len(pixels))

    def after(self, pace: Pace, usable: int | None = None) -> SizeChoice:
        """Return the choice after a key frame, from the times and the budget of its camera's pace.

        usable  how many of the sizes do not enlarge the camera's images; None: all
        """
        if not pace.budget or pace.key is None:
            return self
        measured = replace(self, seconds=self._scaled(pace.key))
        wanted = measured._wanted(pace, usable or len(self.pixels))
        if wanted == self.index:
            return replace(measured, fitting=0)
        if wanted > self.index and self.fitting + 1 < PATIENT:
            return replace(measured, fitting=self.fitting + 1)
        seconds = list(measured.seconds)
        seconds[wanted] = measured.expected(wanted)
        return replace(measured, index=wanted, seconds=tuple(seconds), fitting=0)

    def expected(self, index: int) -> float:
        """Return the seconds of a key frame at a size, as measured or from those of the present size.

        About half of a key frame's time at the present size does not depend on the size.
        """
        known, own = self.seconds[index], self.seconds[self.index]
        if known is not None or own is None:
            return known or 0.0
        return own * (1 + self.pixels[index] / self.pixels[self.index]) / 2

    def _scaled(self, now: float) -> tuple[float | None, ...]:
        """Return the times with the newest; the others change in proportion, as the machine's speed does."""
        before = self.seconds[self.index]
        factor = 1.0 if not before else now / before
        others = [None if each is None else each * factor for each in self.seconds]
        return (*others[: self.index], now, *others[self.index + 1 :])

    def _wanted(self, pace: Pace, usable: int) -> int:
        """Return the index of the largest size that is fast enough, with a reserve if above the present."""
        for index in range(usable - 1, 0, -1):
            key = self.expected(index) * (RESERVE if index > self.index else 1.0)
            if shortest_interval(key, pace.propagated or 0.0, pace.budget) <= SHORT:
                return index
        return 0


def usable_sizes(source: tuple[int, int], inputs: Sequence[InputConfig]) -> int:
    """Return how many of the input sizes, ascending, do not enlarge images of (height, width); at least 1."""
    return max(1, sum(max(fit_image(source, each).scale) <= 1 for each in inputs))


def resized(state: State, before: Letterbox, after: Letterbox) -> State:
    """Return a camera's state with its boxes in the network pixels of another input size.

    Prototypes, embeddings and masks do not depend on the size.
    """
    ratio = np.array(after.scale, np.float64) / np.array(before.scale, np.float64)
    if (ratio == 1).all():
        return state
    four = np.tile(ratio, 2)
    return replace(
        state,
        tracks=tuple(_track(track, four) for track in state.tracks),
        unmatched=tuple(replace(each, boxes=_times(each.boxes, four)) for each in state.unmatched),
    )


def _track(track: Track, ratio: NDArray[np.float64]) -> Track:
    """Scale a track; `ratio` (4,) is that of x, y, x, y."""
    return replace(
        track,
        box=_times(track.box, ratio),
        velocity=_times(track.velocity, ratio[:2]),
        motion=None if track.motion is None else _motion(track.motion, ratio),
        ego=None if track.ego is None else _motion(track.ego, ratio),
    )


def _motion(motion: Motion, ratio: NDArray[np.float64]) -> Motion:
    column = ratio[:, None]
    return replace(motion, mean=motion.mean * column, covariance=motion.covariance * column[..., None] ** 2)


def _times(values: NDArray[np.float32], ratio: NDArray[np.float64]) -> NDArray[np.float32]:
    return (values * ratio).astype(np.float32)
