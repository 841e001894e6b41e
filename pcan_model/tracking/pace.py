"""Which frames are key frames: as many as a time budget allows, by measured times."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from pcan_model.core.structures import FrameKind

LONGEST = 30  # frames from one key frame to the next, at most: new objects are found in key frames only
NEWEST = 0.2  # share of the newest time in the running mean
SPIKE = 2.0  # multiple of the mean at which a single time is cut off
PATIENCE = 30  # frames for which a shorter interval must have fitted in the budget before it is taken


@dataclass(frozen=True, slots=True)
class Pace:
    """The rhythm of one camera's key frames, as a value: every `interval`-th frame is one.

    With a budget, the interval is the shortest whose mean time per frame fits in it. It grows as soon as the
    budget is exceeded and shrinks only after a while, so that it does not swing with the measurements. A
    drifting track pulls the next key frame forward by up to half the interval; the one after it comes later
    by as much, and the mean stays the same; of several cameras `shared` lets others wait instead.
    """

    budget: float = 0.0  # seconds per frame, mean; 0: the interval is fixed
    interval: int = 1  # frames from one key frame to the next
    waited: int = 0  # propagated frames since the last key frame
    delay: int = 0  # frames by which the next key frame comes later than after the interval
    owed: int = (
        0  # of them, those after a key frame that was pulled forward: other cameras may take them over
    )
    key: float | None = None  # seconds of a key frame, running mean; None: not measured yet
    propagated: float | None = None  # seconds of a propagated frame
    fitting: int = 0  # frames for which a shorter interval has fitted

    def __post_init__(self) -> None:
        if not (math.isfinite(self.budget) and self.budget >= 0 and self.interval >= 1):
            raise ValueError(
                f"Pace: expected budget >= 0 s and interval >= 1, got {self.budget} and {self.interval}"
            )

    def kind(self, *, drifted: bool = False) -> FrameKind:
        """Return the kind of the next frame.

        drifted  whether a track was carried to the last frame without certainty
        """
        counted = self.waited - self.delay + 1
        early = drifted and counted >= math.ceil(self.interval / 2)
        due = early or counted >= self.interval or self.key is None
        return FrameKind.KEY if due else FrameKind.PROPAGATED

    def after(self, kind: FrameKind, seconds: float) -> Pace:
        """Return the pace after a frame of a kind that took `seconds`."""
        if kind is FrameKind.KEY:
            early = max(0, self.interval - 1 - self.waited + self.delay) if self.key is not None else 0
            measured = replace(self, key=_mean(self.key, seconds), waited=0, delay=early, owed=early)
        else:
            measured = replace(self, propagated=_mean(self.propagated, seconds), waited=self.waited + 1)
        return measured._adapted() if self.budget else measured

    def _adapted(self) -> Pace:
        """Return the pace with the interval that its times and budget call for."""
        shortest = shortest_interval(self.key or 0.0, self.propagated or 0.0, self.budget)
        if shortest == self.interval:
            return replace(self, fitting=0)
        if shortest < self.interval and self.fitting + 1 < PATIENCE:
            return replace(self, fitting=self.fitting + 1)
        return replace(self, interval=shortest, fitting=0)


def shortest_interval(key: float, propagated: float, budget: float) -> int:
    """Return the shortest interval whose mean time per frame fits in the budget, at most LONGEST; seconds."""
    if key <= budget:
        return 1
    if budget <= propagated:
        return LONGEST
    return min(LONGEST, math.ceil((key - propagated) / (budget - propagated)))


def shared(paces: Mapping[int, Pace], drifting: Collection[int]) -> dict[int, Pace]:
    """Let cameras without a drifting track take over what others owe for early key frames; all by camera.

    A frame of one camera's interval is worth as large a part of another's, so the mean time of all together
    stays the same. No camera waits longer than two intervals; what none can take over stays with the camera
    that owes it.

    drifting  cameras with a drifting track, which take over nothing
    """
    after = dict(paces)
    for camera, pace in paces.items():
        for _ in range(pace.owed):
            own = after[camera]
            room = {
                other: each.interval - each.delay - math.ceil(each.interval / own.interval)
                for other, each in after.items()
                if other not in drifting and not each.owed
            }
            payer = max(room, key=room.__getitem__, default=camera)
            if payer == camera or room[payer] < 0:
                break
            part = math.ceil(after[payer].interval / own.interval)
            after[payer] = replace(after[payer], delay=after[payer].delay + part)
            after[camera] = replace(own, delay=own.delay - 1, owed=own.owed - 1)
    return after


def _mean(before: float | None, seconds: float) -> float:
    """Return the running mean after another time."""
    if before is None:
        return seconds
    return before + NEWEST * (min(seconds, SPIKE * before) - before)
