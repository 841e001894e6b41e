"""Streaming accuracy: an image is compared with the tracks that exist when it arrives (sAP, Li et al. 2020).

A tracker that needs time answers for the past. Time is simulated: images arrive at the clip's times, frames
take times that are given, and the newest image waits while the tracker works. The result does not depend on
the machine or its load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pcan_model.core.config import ConfigError
from pcan_model.core.stamps import seconds
from pcan_model.core.structures import Frame, FrameKind, Tracks
from pcan_model.data.clips import Clip, ClipFrame
from pcan_model.evaluation.predict import EVERY_FRAME, Prediction
from pcan_model.tracking.pace import Pace
from pcan_model.tracking.tracker import Tracker


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """How long frames take, from image to tracks, seconds."""

    key: float
    propagated: float

    def __post_init__(self) -> None:
        if not (0 < self.key < math.inf and 0 < self.propagated < math.inf):
            raise ConfigError(
                f"--streaming: expected two times above 0 s, got {self.key:g} and {self.propagated:g}"
            )

    def of(self, kind: FrameKind) -> float:
        """Return the time of a frame of a kind."""
        return self.key if kind is FrameKind.KEY else self.propagated


class SimulatedTracker:
    """A tracker in simulated time: busy for as long as its frames take, then with the newest image."""

    def __init__(self, tracker: Tracker, times: FrameTimes, pace: Pace) -> None:
        self._tracker, self._times, self._pace = tracker, times, pace
        self._state = tracker.start()
        self._waiting: ClipFrame | None = None  # the newest image
        self._free = -math.inf  # when the last frame is done
        self._working: Tracks | None = None  # result of the frame that is done at `_free`
        self.shown: Tracks | None = None  # newest result so far

    def receive(self, frame: ClipFrame) -> None:
        """Let an image arrive, and finish everything that is done by then."""
        now = seconds(frame.time)
        self._finish(now)
        if self._waiting is not None and self._free < now:
            self._begin(self._free)
            self._finish(now)
        self._waiting = frame  # an older one is dropped
        if self._free <= now:
            self._begin(now)

    def _finish(self, now: float) -> None:
        if self._working is not None and self._free <= now:
            self.shown, self._working = self._working, None

    def _begin(self, now: float) -> None:
        """Track the waiting image from `now` on."""
        assert self._waiting is not None
        frame, self._waiting = self._waiting, None
        kind = self._pace.kind(drifted=self._state.drifted)
        image = Frame(frame.image, seconds(frame.time))
        self._state, self._working = self._tracker.step(self._state, image, kind=kind)
        spent = self._times.of(self._working.kind)
        self._pace = self._pace.after(self._working.kind, spent)
        self._free = now + spent


def predict_streaming(
    tracker: Tracker, times: FrameTimes, clip: Clip, pace: Pace = EVERY_FRAME
) -> Iterator[Prediction]:
    """Yield for every image of a clip the newest tracks that are done when it arrives, at their old places.

    Prediction.seconds is the age of these tracks; before the first there are none, and the image counts as
    dropped.
    """
    simulated = SimulatedTracker(tracker, times, pace)
    for frame in clip.frames():
        simulated.receive(frame)
        now, shown = seconds(frame.time), simulated.shown
        if shown is None:
            height, width = frame.image.shape[:2]
            yield Prediction(frame, Tracks(now, height, width, 0, ()), 0.0, dropped=True)
        else:
            yield Prediction(frame, replace(shown, stamp=now), now - shown.stamp)
